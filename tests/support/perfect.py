"""A world model that knows the maze, and an agent that shows it where it is."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agent.acting.agents import Decision, WorldModelAgent
from envs.dynamics import Dynamics
from envs.layout import Layout
from planners.tree import TreeSearch

PAPER = Layout.paper()
CELLS = 26 * 18


class PoseState(NamedTuple):
    """The belief of a model that knows everything."""

    pose: Tensor


class PerfectModel(torch.nn.Module):
    """Imagines one true environment step; reads the pose from frames that `Revealing` wrote."""

    def __init__(self, context: int = 5) -> None:
        super().__init__()
        self.context = context
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.lengths: list[int] = []
        self.actions: list[np.ndarray] = []

    def observe(self, x: Tensor, a: Tensor, length: Tensor) -> PoseState:
        assert x.shape[1] == self.context
        assert a.shape[1] == self.context - 1
        self.lengths += length.tolist()
        self.actions += list(a.numpy())
        return PoseState(spelled(x[:, -1]))

    def imagine(self, state: PoseState, action: Tensor) -> PoseState:
        pose, _ = Dynamics.of(PAPER).step(state.pose.numpy(), action.numpy())
        return PoseState(torch.from_numpy(pose))

    def feature(self, state: PoseState) -> Tensor:
        cell = state.pose[:, 1].long() * 26 + state.pose[:, 0]
        return torch.nn.functional.one_hot(cell, CELLS).float()

    def goal_feature(self, goal: Tensor) -> Tensor:
        return self.feature(PoseState(spelled(goal)))

    def legal(self, state: PoseState) -> Tensor:
        return torch.from_numpy(Dynamics.of(PAPER).action_mask(state.pose.numpy()) == 1)


class Revealing(WorldModelAgent):
    """Spells the pose and the goal in the pixels, which survives the models' 5-bit quantisation."""

    model: PerfectModel

    def act(self, observation: dict, info: dict, deciding: np.ndarray) -> Decision:
        frame, goal = np.zeros((2, len(deciding), 3, 3, 3), np.uint8)
        frame.reshape(-1, 27)[:, :4] = info["pose"] * 8
        goal.reshape(-1, 27)[:, :2] = info["goal_cell"] * 8
        return super().act({"observation": frame, "desired_goal": goal}, info, deciding)


def spelled(image: Tensor) -> Tensor:
    """The pose that `Revealing` wrote into images (B, 3, 3, 3) in [-1, 1], channels first."""
    levels = ((image.movedim(1, -1).flatten(1) + 1) * 16).floor()
    return levels[:, :4].to(torch.int16)


def perfect_agent(context: int = 5) -> Revealing:
    return Revealing(PerfectModel(context), TreeSearch(depth=40))
