"""Agents: what acts in the steps of many episodes at once, from a random walk to a world model that plans.

An agent decides only where more than one action is legal; elsewhere the one legal action is taken and nothing is
planned.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int8, Int64, UInt8
from torch import Tensor

from envs.dynamics import Dynamics
from envs.episodes import LIFE_STEPS
from envs.layout import Layout
from planners.interface import ModelFunctions, Planner
from world_models.blocks.images import to_float
from world_models.interface import Plannable


class Decision(NamedTuple):
    """What an agent does in one step of N episodes."""

    action: Int64[np.ndarray, " n"]
    """the action of every episode, the only legal one where nothing is to decide"""
    transitions: Int64[np.ndarray, " n"]
    """model transitions spent on each episode's decision"""


@runtime_checkable
class Agent(Protocol):
    """Who acts in a batch of N episodes: one `reset`, then one `act` in every step."""

    looks: bool
    """whether it uses the frames; they are not rendered for an agent that does not"""

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

    The model never sees a pose, a map or a goal position: only frames, its own past actions and the goal's crop. It is
    shown as many frames as in its training; fewer at the start of an episode.
    """

    looks = True

    def __init__(self, model: Plannable, planner: Planner):
        """Takes a model on any device.

        Args:
            model: in evaluation mode.
            planner: how it plans, with what budget.
        """
        self.model, self.planner = model, planner
        self._functions = ModelFunctions.of(model)
        self._device = next(model.parameters()).device

    def reset(self, seeds: Int64[np.ndarray, " n"]) -> None:
        """Begin N episodes; the first seed decides what a random planner draws."""
        self._context = Context(len(seeds), self.model.context)
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
        chosen = self.planner.plan(self._functions, state, goal_feature, legal, self._generator)
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


def _forced(mask: Int8[np.ndarray, "n 3"]) -> Int64[np.ndarray, " n"]:
    """The only legal action of each row (the first one where there are more)."""
    return mask.argmax(axis=1)
