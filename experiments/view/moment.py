"""What the page shows: the maze, an episode, and a moment of it, as plain JSON.

The page holds the episode and the actions so far and sends both with each request. So the server keeps nothing between
requests: browsers cannot disturb each other, and a page goes on where it was when the server comes back.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from PIL import Image

from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.navigation.imagining import ACTION_NAMES, Episode, Imagination
from experiments.navigation.tree_drawing import curves
from experiments.view.agents import ShownAgent, planner_from, planner_options
from planners.interface import Planner

SEEN = 5
"""frames that are shown where no model says how many it reads"""
YOU = "you"
"""name of the agent that the keyboard walks"""


class Scene:
    """A maze with its agents: answers the page's requests, one after the other."""

    def __init__(self, layout: Layout, agents: Sequence[ShownAgent], camera: Camera, device: torch.device) -> None:
        self.layout, self.agents = layout, {agent.name: agent for agent in agents}
        self._camera, self._device = camera, device
        self._view = Raycaster(layout, camera.size, camera.fov_degrees)
        self._dynamics = Dynamics.of(layout)
        self._turn = threading.Lock()

    def setup(self) -> dict[str, Any]:
        """What does not change: the maze, the agents with their planners, all planners' options."""
        layout = self.layout
        return {
            "layout": {
                "name": layout.name,
                "rows": layout.rows,
                "hallway": layout.hallway.tolist(),
                "colours": [["#{:02x}{:02x}{:02x}".format(*cell) for cell in row] for row in layout.picture.tolist()],
                "life_steps": self._dynamics.life_steps,
            },
            "agents": [_about(agent) for agent in self.agents.values()],
            "planners": planner_options(),
            "actions": ACTION_NAMES,
        }

    def episode(self, asked: dict[str, Any]) -> dict[str, Any]:
        """An episode: the benchmark's with a seed, or with another goal, or with the agent placed in a cell.

        Raises:
            ValueError: if it cannot take place.
        """
        episode = Episode.of(self.layout, _whole(asked, "seed"))
        goal = _numbers(asked, "goal", 2) if "goal" in asked else episode.goal
        start = _numbers(asked, "start", 4) if "start" in asked else episode.start
        episode = Episode(episode.seed, start, goal)
        if "cell" in asked:
            episode = Episode.placed(self.layout, episode.seed, _numbers(asked, "cell", 2), goal)
        episode.check(self.layout)
        pose, target = np.array([episode.start], np.int16), np.array([episode.goal], np.int16)
        shortest = int(self._dynamics.distance(pose, target)[0])
        return {"seed": episode.seed, "start": episode.start, "goal": episode.goal, "shortest": shortest} | {
            "crop": _png(self.layout.crops[goal[1], goal[0]])
        }

    def moment(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What an agent sees after some actions of an episode, what it will do next, and what it imagines for that.

        Raises:
            ValueError: if the episode, the actions, the agent or its planner are impossible.
            Gone: if the agent's run cannot be read any more.
        """
        given = _part(asked, "episode")
        episode = Episode(_whole(given, "seed"), _numbers(given, "start", 4), _numbers(given, "goal", 2))
        actions = _numbers(asked, "actions")
        episode.check(self.layout)
        with self._turn:
            poses = episode.poses(self.layout, actions)
            driven = asked.get("agent") == YOU
            agent = self._agent(asked.get("model") if driven else asked.get("agent"), optional=driven)
            longest = agent.imaginer.model.context if agent and agent.imaginer else SEEN
            frames = episode.frames(self._view, self._camera, poses, longest)
            found = self._where(episode, poses, frames)
            if driven:
                return found | self._expectations(agent, episode, poses, frames, actions)
            if found["done"]:
                return found | {"decision": None}
            assert agent is not None
            planner = agent.planner
            if agent.imaginer and asked.get("planner") is not None:
                given = _part(asked, "planner")
                planner = planner_from(given.get("kind"), given.get("options"))
            return found | {"decision": self._decision(agent, planner, episode, poses, frames, actions)}

    def _agent(self, name: Any, optional: bool) -> ShownAgent | None:
        if name is None and optional:
            return None
        if not isinstance(name, str) or name not in self.agents:
            raise ValueError(f"unknown agent {name!r}: use one of {', '.join(self.agents)}")
        return self.agents[name].fresh(self.layout, self._device)

    def _where(self, episode: Episode, poses: np.ndarray, frames: np.ndarray) -> dict[str, Any]:
        """Where the agent is, what it sees, and how the episode stands."""
        taken, goal = len(poses) - 1, np.array([episode.goal], np.int16)
        success = tuple(poses[-1, :2].tolist()) == episode.goal
        life = self._dynamics.life_steps
        return {
            "poses": poses.tolist(),
            "frames": [_png(frame) for frame in frames],
            "mask": self._dynamics.action_mask(poses[-1:])[0].tolist(),
            "shortest": int(self._dynamics.distance(poses[-1:], goal)[0]),
            "done": success or taken >= life,
            "success": success,
            "reward": life - taken if success else 0,
        }

    def _decision(
        self,
        agent: ShownAgent,
        planner: Planner | None,
        episode: Episode,
        poses: np.ndarray,
        frames: np.ndarray,
        actions: Sequence[int],
    ) -> dict[str, Any]:
        """The agent's next action, and what it imagined where there was a choice."""
        legal = self._dynamics.action_mask(poses[-1:])[0].tolist()
        if agent.imaginer is None or planner is None:
            return {"action": self._untrained(agent, episode, poses), "choice": sum(legal) > 1}
        if sum(legal) == 1:
            return {"action": legal.index(1), "choice": False}
        seed = episode.seed + len(actions)
        found = agent.imaginer.imagine(planner, frames, actions, episode.goal, legal, seed)
        return (
            {"action": found.action, "choice": True, "budget": planner.budget}
            | imagined(found)
            | {"curves": np.round(curves(self.layout, found, *poses[-1, :2].tolist()), 2).tolist()}
        )

    def _untrained(self, agent: ShownAgent, episode: Episode, poses: np.ndarray) -> int:
        """The next action of an agent without a model, which acts again from the start for it."""
        agent.agent.reset(np.array([episode.seed]))
        goal, deciding = np.array([episode.goal], np.int16), np.ones(1, bool)
        action = 0
        for pose in poses:
            info = {"action_mask": self._dynamics.action_mask(pose[None]), "pose": pose[None], "goal_cell": goal}
            action = int(agent.agent.act({}, info, deciding).action[0])
        return action

    def _expectations(
        self,
        agent: ShownAgent | None,
        episode: Episode,
        poses: np.ndarray,
        frames: np.ndarray,
        actions: Sequence[int],
    ) -> dict[str, Any]:
        """What a model expected to see now, and what it expects after each legal action."""
        if agent is None or agent.imaginer is None:
            return {}
        imaginer, legal = agent.imaginer, self._dynamics.action_mask(poses[-1:])[0].tolist()
        ahead = imaginer.expected(frames, actions, legal) if sum(legal) > 1 else None
        choices = [t for t in range(len(actions)) if self._dynamics.action_mask(poses[t : t + 1]).sum() > 1]
        now = None
        if choices:
            last = choices[-1]
            context = episode.frames(self._view, self._camera, poses[: last + 1], imaginer.model.context)
            now = imaginer.foreseen(context, actions[:last], actions[last:], episode.seed)
        return {
            "ahead": None if ahead is None else [_png(picture) for picture in ahead],
            "expected": None if now is None else _png(now[-1]),
            "off": None if now is None else _difference(now[-1], frames[-1]),
        }


def imagined(found: Imagination) -> dict[str, Any]:
    """A decision's tree as lists, one entry per imagined transition."""
    tree = found.tree
    return {
        "parent": tree.parent.tolist(),
        "action_of": tree.action.tolist(),
        "depth": tree.depth.tolist(),
        "cosine": _rounded(tree.cosine.cpu().numpy()),
        "legal": (tree.legal.long() @ torch.tensor([1, 2, 4], device=tree.legal.device)).tolist(),
        "hallway": found.hallway.tolist(),
        "sure": _rounded(found.sure),
        "trajectory": found.trajectory,
        "pictures": None if found.pictures is None else [_png(picture) for picture in found.pictures],
        "score": round(float(found.plan.score[0]), 4),
        "arrival": int(found.plan.arrival[0]),
        "transitions": int(found.plan.transitions[0]),
        "milliseconds": round(1000 * found.seconds, 1),
    }


def _about(agent: ShownAgent) -> dict[str, Any]:
    """An agent on the page."""
    known = {name: agent.facts[name] for name in ("run", "model", "variant", "trained_steps") if name in agent.facts}
    planner = agent.planner and {"kind": agent.planner.kind, "options": asdict(agent.planner)}
    about = {"name": agent.name, "display": agent.display, "colour": agent.colour, "planner": planner}
    return about | known | {"trained": agent.imaginer is not None}


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values.astype(float), 4).tolist()


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two frames, as a share of white."""
    return round(float(np.abs(one.astype(int) - other).mean()) / 255, 4)


def _png(picture: np.ndarray) -> str:
    """A picture as a data URL."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


# ---------------------------------------------------------------- what a request may hold


def _whole(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name)
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{name} must be a whole number of 0 or more, got {value!r}")
    return value


def _numbers(asked: dict[str, Any], name: str, length: int | None = None) -> Any:
    """A list of whole numbers as a tuple."""
    value = asked.get(name)
    right = isinstance(value, list) and all(type(each) is int and -(2**15) <= each < 2**15 for each in value)
    if not right or (length is not None and len(value or ()) != length):
        raise ValueError(f"{name} must be a list of {length or 'any number of'} whole numbers, got {value!r:.100}")
    return tuple(value or ())


def _part(asked: dict[str, Any], name: str) -> dict[str, Any]:
    value = asked.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, got {value!r:.100}")
    return value
