"""The episodes in which an agent lost most, walked again, and what it imagined where it first went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int16, Int64

from agent.acting.agents import WorldModelAgent
from agent.acting.navigate import navigate
from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.common.trained_runs import load_trained
from experiments.navigation.imagining import Episode, Imagination, Imaginer, actions_between
from experiments.navigation.summary import Episodes
from planners.registry import PLANNERS
from world_models.interface import Plannable


@dataclass(frozen=True)
class Turn:
    """A decision that leaves every shortest path."""

    t: int
    """step of the episode"""
    taken: int
    right: int
    """the action of a shortest path"""
    found: Imagination
    """imagined anew for this decision"""


@dataclass(frozen=True)
class Walk:
    """An episode, walked again."""

    episode: Episode
    poses: Int16[np.ndarray, "t 4"]
    shortest: Int16[np.ndarray, "s 4"]
    """a shortest path"""
    lost: int
    """reward of the shortest path, less its own"""
    steps: int
    success: bool
    same: bool
    """whether it took as many steps as in the benchmark; a planner that samples may not"""
    turn: Turn | None
    """None if it never left the shortest paths"""


def worst(own: Episodes, ceiling: Episodes, number: int) -> Int64[np.ndarray, " n"]:
    """Rows of the episodes that lost most reward against the shortest path, the first of equals first."""
    lost = ceiling["reward"] - own["reward"]
    order = np.argsort(-lost, kind="stable")[:number]
    return order[lost[order] > 0].astype(np.int64)


def walk_again(
    agent: Mapping[str, Any], layout: Layout, camera: Camera, own: Episodes, rows: Int64[np.ndarray, " n"]
) -> list[Walk]:
    """Walk some episodes of an agent again, with the weights of its run.

    Args:
        agent: its entry in the summary.
        layout: the maze.
        camera: the camera of the benchmark.
        own: all its episodes.
        rows: which of them.

    Raises:
        ValueError: if the run is not here any more, was trained further, or its planner is unknown.
    """
    run = load_trained(agent["run"], data="maze", label=agent["label"])
    if run.checkpoint != agent["checkpoint"]:
        raise ValueError(f"{run.name} was trained further since the benchmark: run the benchmark again")
    options = dict(agent["planner"])
    kind = options.pop("kind")
    if kind not in PLANNERS:
        raise ValueError(f"the planner {kind!r} is not registered: use one of {', '.join(PLANNERS)}")
    planner = PLANNERS[kind](**options)
    acting, imaginer = WorldModelAgent(run.able(Plannable), planner), Imaginer(run.able(Plannable), layout)
    view = Raycaster(layout, camera.size, camera.fov_degrees)
    seeds = own["seed"][rows]
    again = navigate(acting, layout, seeds.tolist(), camera, batch=len(seeds), record=True)
    walks = []
    for number, row in enumerate(rows.tolist()):
        episode, steps = Episode.of(layout, int(seeds[number])), int(again["steps"][number])
        poses = again["pose"][number, : steps + 1]
        shortest = _shortest(layout, episode)
        life = Dynamics.of(layout).life_steps
        turn = _wrong_turn(imaginer, planner, view, camera, episode, poses)
        lost, success = life - len(shortest) + 1 - int(own["reward"][row]), bool(own["success"][row])
        walks.append(
            Walk(episode, poses, shortest, lost, int(own["steps"][row]), success, steps == int(own["steps"][row]), turn)
        )
    return walks


def _shortest(layout: Layout, episode: Episode) -> Int16[np.ndarray, "s 4"]:
    """The poses of a shortest path."""
    dynamics, goal = Dynamics.of(layout), np.array([episode.goal], np.int16)
    poses = [np.array([episode.start], np.int16)]
    while tuple(poses[-1][0, :2].tolist()) != episode.goal:
        poses.append(dynamics.step(poses[-1], dynamics.shortest_action(poses[-1], goal))[0])
    return np.concatenate(poses)


def _wrong_turn(
    imaginer: Imaginer, planner: Any, view: Raycaster, camera: Camera, episode: Episode, poses: np.ndarray
) -> Turn | None:
    """The first decision after which the goal is farther than it has to be, imagined anew."""
    dynamics = Dynamics.of(imaginer.layout)
    goal = np.repeat(np.array([episode.goal], np.int16), len(poses), axis=0)
    distance = dynamics.distance(poses, goal)
    wrong = np.flatnonzero((distance[1:] != distance[:-1] - 1) & (dynamics.action_mask(poses[:-1]).sum(1) > 1))
    if not len(wrong):
        return None
    t = int(wrong[0])
    actions = actions_between(dynamics, poses)
    frames = episode.frames(view, camera, poses[: t + 1], imaginer.model.context)
    legal = dynamics.action_mask(poses[t : t + 1])[0].tolist()
    right = int(dynamics.shortest_action(poses[t : t + 1], goal[:1])[0])
    found = imaginer.imagine(planner, frames, actions[:t], episode.goal, legal, episode.seed + t)
    return Turn(t, actions[t], right, found)


def best_by_first_action(found: Imagination) -> dict[int, float]:
    """The largest cosine that was imagined after each first action."""
    tree, first = found.tree, found.tree.action.clone()
    for node, parent in enumerate(tree.parent.tolist()):
        if parent >= 0:
            first[node] = first[parent]
    return {int(action): float(tree.cosine[first == action].max()) for action in torch.unique(first)}
