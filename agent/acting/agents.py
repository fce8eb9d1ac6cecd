"""Agents, from a random walk to a world model that plans; each acts in many episodes at once.

Where only one action is legal it is taken, and nothing is planned.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from agent.acting.decider import Decider
from envs.dynamics import Dynamics
from envs.layout import Layout
from planners.interface import Planner
from world_models.interface import Plannable


class Decision(NamedTuple):
    """An agent's actions in one step of N episodes."""

    action: Int64[np.ndarray, " n"]
    transitions: Int64[np.ndarray, " n"]
    """model transitions spent on each episode's decision"""


@runtime_checkable
class Agent(Protocol):
    """Acts in a batch of N episodes: one `reset`, then one `act` per step."""

    looks: bool
    """whether it uses the frames; otherwise they are not rendered"""

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes with these seeds."""
        ...

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """Choose actions.

        Args:
            observation: the goal dictionary of `HallwayMazeVector`, batch first; empty for an agent that does not look.
            info: that of `HallwayMazeVector`; a world model agent reads only the action mask.
            deciding: the running episodes with more than one legal action.
        """
        ...


class RandomAgent:
    """Uniform over the legal actions: the benchmark's floor.

    Each episode has its own generator, so that its path depends on nothing but the two seeds.
    """

    looks = False
    BLOCK = 100  # steps for which random numbers are drawn at once

    def __init__(self, seed: int = 0):
        self.seed = seed

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """See `Agent.reset`."""
        self._generators = [np.random.default_rng((self.seed, int(seed))) for seed in seeds]
        self._uniform = self._draw()

    def _draw(self) -> Iterator[np.ndarray]:
        """Uniform numbers in [0, 1), (N,) for each step."""
        while True:
            yield from np.stack([rng.random(self.BLOCK) for rng in self._generators], axis=1)

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """See `Agent.act`."""
        legal = info["action_mask"].cumsum(axis=1)  # (N, 3): number of legal actions up to this one
        chosen = (next(self._uniform) * legal[:, -1]).astype(np.int64)  # index among the legal actions
        return Decision((legal > chosen[:, None]).argmax(axis=1), np.zeros(len(legal), np.int64))


class ShortestPathAgent:
    """Follows a shortest path on the map: the benchmark's ceiling."""

    looks = False

    def __init__(self, layout: Layout):
        self._dynamics = Dynamics.of(layout)

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """See `Agent.reset`; there is no state."""

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """See `Agent.act`."""
        action = self._dynamics.shortest_action(info["pose"], info["goal_cell"])
        return Decision(action, np.zeros(len(action), np.int64))


class WorldModelAgent:
    """Shows a world model the last frames and plans in its imagination.

    The model is shown as many frames as in training; fewer at the start of an episode.
    """

    looks = True

    def __init__(self, model: Plannable, planner: Planner):
        """The model is in evaluation mode, on any device."""
        self.model, self.planner = model, planner

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """See `Agent.reset`; the first seed is that of a random planner."""
        self._context = Context(len(seeds), self.model.context)
        self._decider = Decider(self.model, self.planner, len(seeds), int(seeds[0]))

    def act(self, observation: dict, info: dict, deciding: Bool[np.ndarray, " n"]) -> Decision:
        """See `Agent.act`; plans only where there is a choice."""
        mask = info["action_mask"]
        action, transitions = mask.argmax(axis=1), np.zeros(len(mask), np.int64)
        self._context.see(observation["observation"])
        rows = np.flatnonzero(deciding)
        if len(rows):
            context, goal = self._context.tensors(rows), observation["desired_goal"][rows]
            action[rows], transitions[rows] = self._decider.decide(rows, *context, goal, mask[rows])
        self._context.took(action)
        return Decision(action, transitions)


class Context:
    """The last frames of N episodes and the actions between them, left-padded with zeros."""

    def __init__(self, number: int, frames: int):
        self._capacity = frames
        self._frames = deque[np.ndarray](maxlen=frames)
        self._actions = deque([np.zeros(number, np.int64)] * frames, maxlen=frames)

    def see(self, frame: UInt8[np.ndarray, "n s s 3"]) -> None:
        """Append the current frames."""
        self._frames.append(frame.copy())

    def took(self, action: Int64[np.ndarray, " n"]) -> None:
        """Append the actions taken after the last frames."""
        self._actions.append(action.copy())

    def tensors(
        self, rows: Int64[np.ndarray, " b"]
    ) -> tuple[UInt8[Tensor, "b t s s 3"], Int64[Tensor, "b t_1"], Int64[Tensor, " b"]]:
        """Frames, the T - 1 actions between them and the number of valid frames of some episodes."""
        length = len(self._frames)
        seen = [frame[rows] for frame in self._frames]
        frames = np.stack([np.zeros_like(seen[0])] * (self._capacity - length) + seen, axis=1)
        actions = np.stack(self._actions, axis=1)[rows, 1:]
        return torch.from_numpy(frames), torch.from_numpy(actions), torch.full((len(rows),), length)
