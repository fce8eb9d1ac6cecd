"""What every planner of the registry keeps, with models whose every imagination is known."""

from dataclasses import FrozenInstanceError, fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.interface import Plan, Planner, take
from planners.registry import PLANNERS
from tests.support.line import ANY, START, Line, generator, goals, start

KINDS = pytest.mark.parametrize("kind", PLANNERS)
BUDGETS = (3, 10, 12, 39, 100, 363, 1000)


def plan(planner: Planner, root_mask: torch.Tensor, *x: int, line: Line | None = None) -> Plan:
    """Decide on the line, from its middle, for goals at these places."""
    functions = (line or Line()).functions()
    return planner.plan(functions, start(*[0] * len(x)), goals(*x), root_mask, generator())


@KINDS
def test_a_planner_is_frozen_options_under_its_own_name(kind: str) -> None:
    planner = PLANNERS[kind]()
    assert isinstance(planner, Planner)
    assert planner.kind == kind
    with pytest.raises(FrozenInstanceError):
        setattr(planner, fields(planner)[0].name, 1)


@KINDS
@pytest.mark.parametrize("budget", BUDGETS)
def test_a_decision_costs_what_is_counted_and_at_most_the_budget(kind: str, budget: int) -> None:
    planner, line = PLANNERS[kind]().with_budget(budget), Line()
    assert planner.budget <= budget
    decision = plan(planner, ANY, 3, -2, line=line)
    assert (decision.transitions <= planner.budget).all()
    assert (decision.transitions > 0).all()
    assert decision.transitions.sum() == sum(map(len, line.taken))


@KINDS
@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_changes_nothing_else(kind: str, budget: int) -> None:
    planner = PLANNERS[kind]()
    assert planner.with_budget(planner.budget) == planner
    assert planner.with_budget(budget).with_budget(planner.budget) == planner
    again = planner.with_budget(budget)
    assert again.with_budget(again.budget) == again
    assert type(again) is type(planner)


@KINDS
@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_of_nothing_is_an_error(kind: str, budget: int) -> None:
    with pytest.raises(ValueError, match=rf"at least .*{budget}"):
        PLANNERS[kind]().with_budget(budget)


@KINDS
def test_a_batch_is_decided_like_its_episodes_one_by_one(kind: str) -> None:
    # Every goal is one step away, so that a random planner sees it too, whatever it draws.
    planner, line = PLANNERS[kind](), Line()
    x, goal = start(-4, 0, 7, 3), goals(-3, -1, 7, 4)
    mask = torch.tensor([[True, True, True], [False, True, True], [True, True, True], [True, False, True]])
    together = planner.plan(line.functions(), x, goal, mask, generator())
    assert together.action.tolist() == [0, 1, 2, 0]
    for row in range(len(mask)):
        one = torch.tensor([row])
        alone = planner.plan(line.functions(), take(x, one), goal[one], mask[one], generator())
        for name, expected, value in zip(Plan._fields, alone, together, strict=True):
            assert value[row].item() == expected.item(), name


@KINDS
@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.tuples(st.lists(st.booleans(), min_size=3, max_size=3).filter(any), st.integers(-5, 5))).filter(
        len
    ),
    allowed=st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any),
    budget=st.integers(3, 150),
)
def test_only_legal_actions_are_imagined_and_chosen(
    kind: str, rows: list[tuple[list[bool], int]], allowed: tuple[bool, bool, bool], budget: int
) -> None:
    mask, line = torch.tensor([legal for legal, _ in rows]), Line(allowed)
    planner = PLANNERS[kind]().with_budget(budget)
    decision = plan(planner, mask, *(x for _, x in rows), line=line)
    assert mask[torch.arange(len(rows)), decision.action].all()
    first, *later = line.taken
    assert mask.any(0)[first].all()
    again = mask.any(0) & (kind in ("mcts", "cem"))  # these return to the root
    assert all((torch.tensor(allowed) | again)[taken].all() for taken in later)
    assert ((decision.transitions > 0) & (decision.transitions <= planner.budget)).all()
    assert (decision.arrival >= 1).all()
    assert ((decision.score >= 0) & (decision.score <= 1)).all()


@KINDS
def test_an_episode_without_a_legal_action_is_an_error(kind: str) -> None:
    mask = torch.tensor([[True, True, True], [False, False, False]])
    with pytest.raises(ValueError, match=r"no legal action.*root_mask"):
        PLANNERS[kind]().plan(Line().functions(), START, goals(1, 1), mask, generator())


@KINDS
def test_a_decision_is_decided_by_its_generator(kind: str) -> None:
    def taken(seed: int) -> list[torch.Tensor]:
        torch.rand(1)  # the global generator plays no part
        line = Line()
        PLANNERS[kind]().with_budget(39).plan(line.functions(), START, goals(4, 4), ANY, generator(seed))
        return line.taken

    assert all(map(torch.equal, taken(3), taken(3)))
