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


class Strider(Oracle):
    """Its jump leads to the next choice, through bends; it names the `named` hallway of those on the way."""

    def __init__(self, named: int = -1) -> None:
        super().__init__()
        self.named = named

    def observe(self, x: Tensor, a: Tensor, length: Tensor) -> Pose:
        pose = arrivals(LAYOUT)
        pose = pose[Dynamics.of(LAYOUT).action_mask(pose).sum(1) > 1]
        poses = torch.from_numpy(np.repeat(pose, len(x) // len(pose), axis=0))
        return Pose(torch.cat([poses, torch.full((len(poses), 1), -1, dtype=torch.int16)], 1))

    def imagine(self, state: Pose, action: Tensor) -> Pose:
        pose, chosen = state.pose[:, :4].numpy(), action.numpy()
        ways: list[list[int]] = [[] for _ in pose]
        for _ in range(3):  # there are no more bends in a row
            legal = Dynamics.of(LAYOUT).action_mask(pose)
            going = np.array([not way for way in ways]) | (legal.sum(1) == 1)
            ahead, reached = pass_on(pose, np.where([not way for way in ways], chosen, legal.argmax(1)), LAYOUT)
            for row in np.flatnonzero(going):
                ways[row].append(int(reached[row]))
            pose = np.where(going[:, None], ahead, pose)
        named = np.array([[way[self.named]] for way in ways], np.int16)
        return Pose(torch.from_numpy(np.concatenate([pose, named], 1)))


@pytest.mark.parametrize("named", [0, -1])
def test_a_jump_over_bends_may_name_any_hallway_on_its_way(named: int) -> None:
    assert jump_accuracy(Strider(named), LAYOUT, Camera(), passages=3, jitters=1, over_bends=True) == [1.0] * 3
