"""How boundaries are compared with the true ones."""

import itertools

import numpy as np
import pytest
import torch

from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_profile, boundary_scores, match
from envs.dynamics import Dynamics
from tests.support.tiny import Oracle

CPU = torch.device("cpu")


def passages(replay: Replay) -> np.ndarray:
    """Where passages are followed in the two test episodes, by the maze's rules."""
    pose = replay.slices(np.array([8, 9]), np.zeros(2, dtype=np.int64), 100)["pose"]
    return Dynamics.of(replay.layout).passage(pose.reshape(-1, 4)).reshape(2, 100)


def test_true_boundaries_score_one(data):
    replay = Replay.open(data)
    assert list(replay.split("test")) == [8, 9]
    true = passages(replay)
    exact = boundary_scores(Oracle(true), replay, CPU, 100)
    assert exact["boundary_f1_exact"] == exact["boundary_f1"] == exact["boundary_recall"] == 1
    assert exact["boundary_share"] == pytest.approx(true[:, 1:].mean())
    at_start = true.copy()
    at_start[:, 0] = ~true[:, 0]
    assert boundary_scores(Oracle(at_start), replay, CPU, 100) == exact  # the first frame is ignored
    late = np.roll(true, 1, axis=1)
    late[:, 0] = False
    shifted = boundary_scores(Oracle(late), replay, CPU, 100)
    assert shifted["boundary_f1_exact"] == 0
    assert shifted["boundary_f1"] > 0.95


def test_choices_leave_out_the_passages_of_bends(data):
    replay = Replay.open(data)
    mask = replay.slices(np.array([8, 9]), np.zeros(2, dtype=np.int64), 100)["action_mask"]
    true = passages(replay)
    choices = true & (mask.sum(-1) > 1)
    assert choices[:, 1:].sum() < true[:, 1:].sum()
    assert boundary_scores(Oracle(choices), replay, CPU, 100, choices=True)["boundary_f1_exact"] == 1
    assert boundary_scores(Oracle(choices), replay, CPU, 100)["boundary_recall"] < 1
    assert boundary_scores(Oracle(true), replay, CPU, 100, choices=True)["boundary_precision"] < 1


def test_a_boundary_one_frame_late_is_seen_as_that(data):
    replay = Replay.open(data)
    true = passages(replay)
    late = np.roll(true, 1, axis=1)
    late[:, 0] = False
    profile = boundary_profile(Oracle(late), replay, CPU, 100, 3)
    assert list(profile) == [-3, -2, -1, 0, 1, 2, 3]
    assert (profile[1], profile[0], profile[-1]) == (1, 0, 0)
    assert boundary_profile(Oracle(true), replay, CPU, 100, 99)[-99] is None  # no episode is that long


@pytest.mark.parametrize(
    ("predicted", "true", "tolerance", "precision", "recall"),
    [
        ("01001100", "10001001", 0, 1 / 3, 1 / 3),  # only frame 4
        ("01001100", "10001001", 1, 2 / 3, 2 / 3),  # 1 for 0 and 4 for 4; 7 is too far from 5
        ("0101", "0010", 1, 1 / 2, 1),  # one to one
        ("00011", "00110", 1, 1, 1),  # 3 for 2 and 4 for 3
        ("0000", "0100", 1, 0, 0),
        ("0100", "0000", 1, 0, 0),
    ],
)
def test_boundaries_are_matched_one_to_one(predicted, true, tolerance, precision, recall):
    one, other = (np.array([[digit == "1" for digit in text]]) for text in (predicted, true))
    found = match(one, other, tolerance)
    assert (found.precision, found.recall) == (pytest.approx(precision), pytest.approx(recall))
    total = precision + recall
    assert found.f1 == pytest.approx(2 * precision * recall / total if total else 0)


def most_pairs(predicted: tuple[int, ...], true: tuple[int, ...]) -> int:
    """The most one-to-one pairs at most one frame apart, by trying all."""
    if not true:
        return 0
    taken = [1 + most_pairs(tuple(p for p in predicted if p != own), true[1:]) for own in predicted if near(own, true)]
    return max([most_pairs(predicted, true[1:]), *taken])


def near(place: int, true: tuple[int, ...]) -> bool:
    return abs(place - true[0]) <= 1


def test_matching_finds_the_most_pairs():
    masks = np.array(list(itertools.product([False, True], repeat=5)))
    for predicted, true in itertools.product(masks, masks):
        if not predicted.any():
            continue
        pairs = match(predicted[None], true[None], 1).precision * predicted.sum()
        places = (tuple(np.flatnonzero(mask).tolist()) for mask in (predicted, true))
        assert round(pairs) == most_pairs(*places), (predicted, true)
