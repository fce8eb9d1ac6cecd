"""Random shooting on a line of integers."""

import pytest
import torch

from planners.shooting import Shooting
from tests.support.line import ANY, START, Line, generator, goals


@pytest.mark.parametrize(
    ("horizon", "budget", "spent"),
    [
        (7, 100, 98),  # 14 trajectories of 7
        (30, 1092, 1080),
        (6, 6, 6),
        (30, 5, 5),  # one trajectory, cut short
    ],
)
def test_whole_trajectories_are_spent(horizon: int, budget: int, spent: int) -> None:
    line = Line((False, False, True))
    decision = Shooting(horizon, budget).plan(line.functions(), START, goals(1, 0), ANY, generator())
    assert decision.transitions.tolist() == [spent, spent]
    assert sum(map(len, line.taken)) == 2 * spent


def test_the_goal_is_found_by_the_shortest_way_seen() -> None:
    planner = Shooting(horizon=6, transitions=6 * 1000)  # a way of 4 right steps is seen with 1 - (80/81)^1000
    decision = planner.plan(Line().functions(), START, goals(4, -3), ANY, generator())
    assert decision.action.tolist() == [0, 1]
    assert decision.score.tolist() == [1, 1]
    assert decision.arrival.tolist() == [4, 3]


def test_the_root_mask_is_kept() -> None:
    # The goal of both lies to the right; the first episode may only go left or stay, the second only left.
    mask, line = torch.tensor([[False, True, True], [False, True, False]]), Line()
    decision = Shooting(horizon=3, transitions=300).plan(line.functions(), START, goals(2, 2), mask, generator())
    assert decision.action.tolist() == [2, 1]
    assert 0 not in line.taken[0]


def test_other_seeds_sample_other_trajectories() -> None:
    def taken(seed: int) -> list[torch.Tensor]:
        line = Line()
        Shooting(horizon=5, transitions=50).plan(line.functions(), START, goals(4, 4), ANY, generator(seed))
        return line.taken

    assert not all(map(torch.equal, taken(3), taken(4)))


def test_samples_are_uniform_over_legal_actions() -> None:
    line = Line((True, False, True))
    Shooting(horizon=2, transitions=4000).plan(line.functions(), START, goals(1, 1), ANY, generator())
    first, second = (torch.bincount(taken, minlength=3) / len(taken) for taken in line.taken)
    assert first.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)  # four standard errors of 4000 samples
    assert second.tolist() == pytest.approx([0.5, 0, 0.5], abs=0.032)


def test_more_trajectories_than_fit_together_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planners.shooting.TOGETHER", 500)
    line = Line()
    decision = Shooting(horizon=6, transitions=6 * 1000).plan(line.functions(), START, goals(4, -3), ANY, generator())
    assert [len(taken) for taken in line.taken] == [500] * 6 * 4
    assert decision.action.tolist() == [0, 1]
    assert decision.transitions.tolist() == [6000, 6000]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"horizon": 0}, "--horizon.*got 0"), ({"transitions": -3}, "--transitions.*-3")],
)
def test_an_empty_search_is_an_error(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shooting(**options)
