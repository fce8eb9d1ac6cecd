"""The choice among trajectories, and branches of world models."""

from typing import Any

import pytest
import torch

from planners.interface import ModelFunctions, choose, take
from tests.support.tiny import FRAME, random_frames
from world_models.registry import build_model


def test_earliest_arrival_wins_within_the_tolerance() -> None:
    # (depth, action): action 0 scores 0.90 at once, 1 scores 0.92 at depth 2, 2 scores 0.93 at depth 3
    best = torch.full((1, 3, 3), -torch.inf)
    best[0] = torch.tensor([[0.90, 0.1, 0.2], [0.3, 0.92, 0.4], [0.2, 0.5, 0.93]])
    for tolerance, choice in ((0.05, (0, 0.90, 1)), (0.015, (1, 0.92, 2)), (0.0, (2, 0.93, 3))):
        action, score, arrival = choose(best, tolerance)
        assert (action.item(), score.item(), arrival.item()) == (choice[0], pytest.approx(choice[1]), choice[2])


def test_of_equal_arrivals_the_higher_score_wins() -> None:
    best = torch.tensor([[[0.90, 0.93, 0.91]], [[-torch.inf, -torch.inf, 0.2]]])
    action, score, arrival = choose(best, 0.05)
    assert action.tolist() == [1, 2]
    assert score.tolist() == pytest.approx([0.93, 0.2])
    assert arrival.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["hrssm", "rssm", "dlh"])
def test_a_branch_is_what_is_imagined_from_copies_of_its_parent(name: str) -> None:
    torch.manual_seed(0)
    model: Any = build_model(name, "quick", "ours", FRAME)
    functions = ModelFunctions.of(model)
    x, a = random_frames(4, 5)
    state = functions.imagine(model.observe(x, a[:, :4], torch.full((4,), 5)), a[:, 4])
    parent, action = torch.tensor([0, 0, 0, 1, 3, 3]), torch.tensor([0, 1, 2, 1, 0, 2])  # row 2 has no children
    branched = functions.branch(state, parent, action)
    assert type(branched) is type(state)
    for field, expected in zip(branched, functions.imagine(take(state, parent), action), strict=True):
        torch.testing.assert_close(field, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(functions.feature(branched)[0], functions.feature(branched)[1])  # actions do matter
