"""A model of jumps that knows a maze: its belief is the pose that waits for a passage, and the hallway just walked."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments.navigation.imagined_map import starts
from experiments.navigation.jump_accuracy import pass_on
from planners.interface import ModelFunctions


class PassageState(NamedTuple):
    """The belief of a model that knows everything."""

    pose: Tensor
    hallway: Tensor


class Passages:
    """The functions of a layout's model; an illegal action fails. All passages of the maze are walked once."""

    def __init__(self, layout: Layout) -> None:
        self.layout, dynamics = layout, Dynamics.of(layout)
        self.functions = ModelFunctions(self.imagine, self.feature, self.legal)
        poses = dynamics.poses[dynamics.passage(dynamics.poses)]
        self.places = {tuple(pose): place for place, pose in enumerate(poses.tolist())}
        self.pose, self.mask = torch.from_numpy(poses).long(), dynamics.action_mask(poses) == 1  # (P, 4), (P, A)
        self.after, self.walked = np.full((2, *self.mask.shape), -1)
        place, action = self.mask.nonzero()
        reached, self.walked[place, action] = pass_on(poses[place], action, layout)
        self.after[place, action] = [self.places[tuple(pose)] for pose in reached.tolist()]

    def place(self, state: PassageState) -> np.ndarray:
        return np.array([self.places[tuple(pose)] for pose in state.pose.tolist()])

    def imagine(self, state: PassageState, action: Tensor) -> PassageState:
        place, taken = self.place(state), action.numpy()
        assert self.mask[place, taken].all()
        return PassageState(self.pose[self.after[place, taken]], torch.from_numpy(self.walked[place, taken]))

    def feature(self, state: PassageState) -> Tensor:
        return self.goals(state.hallway)

    def goals(self, hallway: Tensor) -> Tensor:
        return F.one_hot(hallway + 1, self.layout.hallways + 1).float()

    def legal(self, state: PassageState) -> Tensor:
        return torch.from_numpy(self.mask[self.place(state)])

    def roots(self, number: int, seed: int = 0) -> PassageState:
        """Arrivals with a choice."""
        pose = starts(self.layout)
        chosen = np.random.default_rng(seed).permutation(len(pose))[:number]
        return PassageState(torch.from_numpy(pose[chosen]).long(), torch.full((len(chosen),), -1))

    def shortest(self, root: list[int], goal: int) -> tuple[int, set[int]]:
        """Fewest passages until the goal hallway is walked, and the first actions of all ways that short."""
        first = {self.places[tuple(root)]: {0, 1, 2}}  # first actions of the ways to each place of a depth
        for depth in range(1, 100):
            found, further = set[int](), dict[int, set[int]]()
            for place, begun in first.items():
                for action in np.flatnonzero(self.mask[place]).tolist():
                    ways = begun if depth > 1 else {action}
                    found |= ways if self.walked[place, action] == goal else set()
                    further.setdefault(int(self.after[place, action]), set()).update(ways)
            if found:
                return depth, found
            first = further
        raise AssertionError(goal)
