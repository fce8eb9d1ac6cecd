"""Whether jump accuracy asks the question that it claims to ask."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from envs.camera import Camera
from envs.dynamics import FORWARD, LEFT, RIGHT, Dynamics
from envs.layout import Layout
from experiments.navigation.jump_accuracy import arrivals, jump_accuracy, pass_on

LAYOUT = Layout.paper()


class Pose(NamedTuple):
    """The true pose, as a belief."""

    pose: Tensor


class Oracle(nn.Module):
    """Knows the maze; its features are one-hot hallways. `late` makes its first jump stay where it is."""

    def __init__(self, late: bool = False, context: int = 5, shown: int = 5) -> None:
        super().__init__()
        self.context, self.shown = context, shown
        self.nothing = nn.Parameter(torch.zeros(1))
        self.late = late
        self.hallways = int(LAYOUT.hallway.max()) + 1

    def observe(self, x: Tensor, a: Tensor, length: Tensor) -> Pose:
        assert x.shape[1:] == (self.shown, 3, 32, 32)
        assert a.shape[1] == self.shown - 1
        assert length.tolist() == [self.shown] * len(x)
        pose = torch.from_numpy(np.repeat(arrivals(LAYOUT), len(x) // len(arrivals(LAYOUT)), axis=0))
        return Pose(torch.cat([pose, torch.full((len(pose), 1), -1, dtype=torch.int16)], 1))

    def imagine(self, state: Pose, action: Tensor) -> Pose:
        before = state.pose[:, :4].numpy()
        pose, reached = pass_on(before, action.numpy(), LAYOUT)
        if self.late:
            reached = np.zeros_like(reached)
        return Pose(torch.from_numpy(np.concatenate([pose, reached[:, None].astype(np.int16)], 1)))

    def legal(self, state: Pose) -> Tensor:
        return torch.from_numpy(Dynamics.of(LAYOUT).action_mask(state.pose[:, :4].numpy()) == 1)

    def feature(self, state: Pose) -> Tensor:
        return nn.functional.one_hot(state.pose[:, 4].long(), self.hallways).float()

    def goal_feature(self, goal: Tensor) -> Tensor:
        """One-hot of the hallway whose cells have this crop's middle colour; junctions never come."""
        middle = ((goal[:, :, 1, 1] + 1) * 16 - 0.5).round().int()
        colours = torch.from_numpy(LAYOUT.tones[:, 0].copy()).int() // 8
        return (middle[:, None] == colours[None]).all(-1).float()


def test_a_model_that_knows_the_maze_is_always_right() -> None:
    assert jump_accuracy(Oracle(), LAYOUT, Camera(), passages=4, jitters=2) == [1.0] * 4


def test_a_model_that_names_one_hallway_is_right_as_often_as_it_is_reached() -> None:
    accuracy = jump_accuracy(Oracle(late=True), LAYOUT, Camera(), passages=2, jitters=1)
    assert all(0 < share < 0.1 for share in accuracy)


@pytest.mark.parametrize(("context", "shown"), [(1, 1), (3, 3), (9, 5)])  # the shortest hallway has four cells
def test_a_model_is_shown_its_context_as_far_as_hallways_reach(context: int, shown: int) -> None:
    oracle = Oracle(context=context, shown=shown)
    assert jump_accuracy(oracle, LAYOUT, Camera(), passages=1, jitters=1) == [1.0]


def test_every_junction_is_entered_through_each_of_its_hallways() -> None:
    pose = arrivals(LAYOUT)
    assert len({tuple(row) for row in pose.tolist()}) == len(pose) == 54  # 28 hallways have 56 ends, 2 of them dead
    assert Dynamics.of(LAYOUT).passage(pose).all()


def test_a_passage_ends_at_the_next_one() -> None:
    start = np.array([[6, 6, 1, 0]] * 3, np.int16)  # the X junction in the upper left, entered from above
    pose, reached = pass_on(start, np.array([FORWARD, LEFT, RIGHT]), LAYOUT)
    assert pose.tolist() == [[6, 11, 1, 0], [12, 6, 0, 0], [1, 6, 2, 0]]
    assert reached.tolist() == [LAYOUT.hallway[8, 6], LAYOUT.hallway[6, 8], LAYOUT.hallway[6, 3]]
