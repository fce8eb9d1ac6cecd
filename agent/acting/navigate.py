"""Observe, plan, act: agents on their way to goals, over a batch of episodes at once.

The episode of seed s is that of `JumpyMaze.reset(seed=s)`: the same start and goal for every agent, the same camera
jitter at the same step. An agent decides only where more than one action is legal; elsewhere the one legal action is
taken and nothing is planned.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from jaxtyping import Bool, Int8, Int64, Shaped, UInt8
from torch import Tensor

from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.episodes import Episodes
from envs.layout import Layout
from planners.interface import ModelFunctions
from planners.plan import PlanConfig, plan
from world_models.blocks.images import to_float

LIFE_STEPS = 100
CONTEXT = 5  # frames that a model is shown before it plans; fewer at the start of an episode
BATCH = 100  # episodes side by side


class Decision(NamedTuple):
    """What an agent does in one step of N episodes."""

    action: Int64[np.ndarray, " n"]
    """the action of every episode, the only legal one where nothing is to decide"""
    transitions: Int64[np.ndarray, " n"]
    """model transitions spent on each episode's decision"""


@runtime_checkable
class Agent(Protocol):
    """A batch of N episodes is one `reset` and then one `act` a step."""

    looks: bool
    """whether it uses the frames; they are not drawn for an agent that does not"""

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes with these episode seeds."""
        ...

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """Choose actions.

        Args:
            observation: the goal dictionary of `HallwayMazeVector`, rows first; empty for an agent that does not look.
            info: of `HallwayMazeVector`; a world model agent reads only the action mask.
            deciding: the running episodes with more than one legal action.
        """
        ...


class RandomAgent:
    """Uniform over the legal actions: the benchmark's floor.

    Each episode draws from a generator of its own, so that its path depends on nothing but the two seeds.
    """

    looks = False

    def __init__(self, seed: int = 0):
        self.seed = seed

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes."""
        draws = [np.random.default_rng((self.seed, int(seed))).random(LIFE_STEPS) for seed in seeds]
        self._uniform = iter(np.stack(draws, axis=1))  # one row a step

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """Draw the number of an action among the legal ones."""
        legal = info["action_mask"].cumsum(axis=1)  # (N, 3): how many actions up to this one are legal
        drawn = (next(self._uniform) * legal[:, -1]).astype(np.int64)
        return Decision((legal > drawn[:, None]).argmax(axis=1), np.zeros(len(legal), np.int64))


class ShortestPathAgent:
    """Follows a shortest path, which it knows: the benchmark's ceiling."""

    looks = False

    def __init__(self, layout: Layout):
        self._dynamics = Dynamics.of(layout)

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes; nothing is kept between steps."""

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """Read the map."""
        action = self._dynamics.shortest_action(info["pose"], info["goal"])
        return Decision(action, np.zeros(len(action), np.int64))


class WorldModelAgent:
    """Shows a world model the last frames and plans in its imagination.

    The model never sees a pose, a map or a goal position: only frames, its own past actions and the goal's crop.
    """

    looks = True

    def __init__(self, model: Any, config: PlanConfig, context: int = CONTEXT):
        """Takes a model on any device.

        Args:
            model: a `world_models.interface.WorldModel` in evaluation mode.
            config: which planner, with what budget.
            context: number of frames kept, at least 1.
        """
        self.model, self.config = model, config
        self._functions = ModelFunctions.of(model)
        self._device = next(model.parameters()).device
        self._context_frames = context

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes; the first seed decides what a random planner draws."""
        self._context = Context(len(seeds), self._context_frames)
        self._generator = torch.Generator().manual_seed(int(seeds[0]))

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """Plan where there is a choice."""
        mask = info["action_mask"]
        action, transitions = _forced(mask), np.zeros(len(mask), np.int64)
        self._context.see(observation["observation"])
        rows = np.flatnonzero(deciding)
        if len(rows):
            action[rows], transitions[rows] = self._plan(rows, observation["desired_goal"][rows], mask[rows])
        self._context.took(action)
        return Decision(action, transitions)

    @torch.inference_mode()
    def _plan(self, rows: np.ndarray, goal: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions and spent transitions of some episodes, given their goal crops and legal actions."""
        frames, actions, length = (tensor.to(self._device) for tensor in self._context.tensors(rows))
        state = self.model.observe(to_float(frames), actions, length)
        goal_feature = self.model.goal_feature(to_float(torch.from_numpy(goal).to(self._device)))
        legal = torch.from_numpy(mask.astype(bool)).to(self._device)
        chosen = plan(self._functions, state, goal_feature, legal, self.config, self._generator)
        return chosen.action.cpu().numpy(), chosen.transitions.cpu().numpy()


class Context:
    """The last frames of N episodes and the actions between them, left-padded with zeros."""

    def __init__(self, number: int, frames: int):
        self._number, self._capacity, self._seen = number, frames, 0

    def see(self, frame: UInt8[np.ndarray, "n s s 3"]) -> None:
        """Append the present frame of every episode."""
        if not self._seen:
            self._frames = np.zeros((self._number, self._capacity, *frame.shape[1:]), np.uint8)
            self._actions = np.zeros((self._number, self._capacity), np.int64)
        self._frames = np.roll(self._frames, -1, axis=1)
        self._frames[:, -1] = frame
        self._seen += 1

    def took(self, action: Int64[np.ndarray, " n"]) -> None:
        """Append the action taken after the last frame."""
        self._actions = np.roll(self._actions, -1, axis=1)
        self._actions[:, -1] = action

    def tensors(
        self, rows: Int64[np.ndarray, " b"]
    ) -> tuple[UInt8[Tensor, "b t s s 3"], Int64[Tensor, "b t_1"], Int64[Tensor, " b"]]:
        """Frames, the T - 1 actions between them and the number of frames that count, of some episodes."""
        length = np.full(len(rows), min(self._seen, self._capacity), np.int64)
        frames, actions = self._frames[rows], self._actions[rows, 1:]
        return torch.from_numpy(frames), torch.from_numpy(actions), torch.from_numpy(length)


def navigate(
    agent: Agent,
    layout: Layout,
    seeds: Sequence[int],
    camera: Camera | None = None,
    batch: int = BATCH,
    record: bool = False,
) -> dict[str, Shaped[np.ndarray, "e ..."]]:
    """Run an agent over episodes.

    Args:
        agent: who acts.
        layout: the maze.
        seeds: the episodes' seeds, at least one.
        camera: the default camera if None.
        batch: episodes side by side.
        record: also return where it went.

    Returns:
        An array per name, one entry an episode: ``seed``; ``steps`` taken; ``reward``; ``success``; ``shortest_path``
        from the start, in steps; ``decisions`` (steps with more than one legal action); model ``transitions`` spent on
        them; ``planning_seconds``, the wall time of the agent's deciding steps, shared equally by the episodes that
        decided in the step. If recorded also ``pose`` (E, 101, 4), the last one repeated to the end, and ``goal``
        (E, 2).

    Raises:
        ValueError: if there are no seeds.
    """
    if not len(seeds):
        raise ValueError("navigation needs at least one episode seed, got none")
    batches = [np.asarray(seeds[first : first + batch], np.int64) for first in range(0, len(seeds), batch)]
    parts = [_navigate_batch(agent, layout, part, camera or Camera(), record) for part in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _navigate_batch(
    agent: Agent, layout: Layout, seeds: np.ndarray, camera: Camera, record: bool
) -> dict[str, np.ndarray]:
    """`navigate` for episodes side by side; those that are over stand still until the last one is."""
    number = len(seeds)
    episodes = Episodes(number, layout, "raycast", camera, LIFE_STEPS)
    for row, seed in enumerate(seeds.tolist()):
        episodes.begin(row, np_random(seed)[0], seed)
    agent.reset(seeds)
    reward, seconds = np.zeros(number), np.zeros(number)
    decisions, transitions = np.zeros(number, np.int64), np.zeros(number, np.int64)
    shortest_path = episodes.info()["shortest_path"]
    running = np.ones(number, bool)
    poses = [episodes.pose]
    while running.any():
        info = episodes.info()
        observation = episodes.observation() if agent.looks else {}
        deciding = running & (info["action_mask"].sum(axis=1) > 1)
        began = time.perf_counter()
        decision = agent.act(observation, info, deciding)
        seconds[deciding] += (time.perf_counter() - began) / max(deciding.sum(), 1)
        decisions += deciding
        transitions += decision.transitions
        earned, terminated, truncated = episodes.act(decision.action, running)
        reward += earned
        running = running & ~terminated & ~truncated
        poses.append(episodes.pose)
    result = {"seed": seeds, "steps": episodes.t, "reward": reward, "success": episodes.success}
    result |= {"shortest_path": shortest_path, "decisions": decisions, "transitions": transitions}
    result["planning_seconds"] = seconds
    if record:
        poses += [episodes.pose] * (LIFE_STEPS + 1 - len(poses))
        result |= {"pose": np.stack(poses, axis=1), "goal": episodes.goal}
    return result


def _forced(mask: Int8[np.ndarray, "n 3"]) -> Int64[np.ndarray, " n"]:
    """The only legal action of each row (the first one where there are more)."""
    return mask.argmax(axis=1)
