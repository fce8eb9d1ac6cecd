"""How trained agents plan: planners as options of a command, and the standard planner of each model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Union

import tyro

from planners.interface import Planner
from planners.registry import PLANNERS
from planners.tree import TreeSearch, full_tree
from world_models.registry import spec_of


@dataclass(frozen=True)
class Standard:
    """The planner in the model's registry entry: shooting for rssm, tree for the others."""

    kind: ClassVar[str] = "standard"
    budget: int = TreeSearch().budget
    """Most model transitions per decision."""

    def __post_init__(self) -> None:
        """Validate the budget."""
        if self.budget < 1:
            raise ValueError(f"--budget must be at least 1, got {self.budget}")

    def with_budget(self, transitions: int) -> Standard:
        """See `Planner.with_budget`."""
        return replace(self, budget=transitions)

    def of(self, model: str) -> Planner:
        """The planner of a model, by name."""
        return PLANNERS[spec_of(model).planner]().with_budget(self.budget)


def planner_of(choice: Standard | Planner, model: str) -> Planner:
    """The planner that a choice means for a model, by name."""
    return choice.of(model) if isinstance(choice, Standard) else choice


def planner_within(choice: Standard | Planner, model: str, budget: int | None, actions: int) -> tuple[Planner, int]:
    """The planner that a choice means for a model, and its budget, where there are so many actions.

    Raises:
        ValueError: if no search is as small as the budget.
    """
    planner = planner_of(choice, model)
    budget = choice.budget if budget is None and isinstance(choice, Standard) else budget
    if isinstance(planner, TreeSearch):  # the only one whose budget depends on the number of actions
        if budget is None:
            return planner, full_tree(planner.depth, actions)
        return planner.with_budget(budget, actions), budget
    return (planner, planner.budget) if budget is None else (planner.with_budget(budget), budget)


def planner_facts(planner: Planner) -> dict[str, Any]:
    """What results record about a planner."""
    return {"kind": planner.kind, **asdict(planner)}


def tree_depth(facts: dict[str, Any]) -> int | None:
    """L, how deep the exhaustive tree is that `planner_facts` describe; None of another planner."""
    return facts["depth"] if facts["kind"] == TreeSearch.kind else None


def check_budgets(option: str, budgets: tuple[int, ...]) -> None:
    """Check that the budgets of an option are different positive numbers of model transitions."""
    if len(set(budgets)) != len(budgets) or min(budgets, default=1) < 1:
        raise ValueError(f"{option} must be different numbers from 1 up, got {list(budgets)}")


_CHOICES: tuple[type[Standard] | type[Planner], ...] = (Standard, *PLANNERS.values())
_SUBCOMMANDS = tuple(Annotated[choice, tyro.conf.subcommand(name=choice.kind)] for choice in _CHOICES)
PlannerOption = Annotated[Planner, tyro.conf.arg(constructor=Union[_SUBCOMMANDS[1:]])]  # noqa: UP007  made at runtime
"""A field of a command's dataclass: any planner in Python, one from the registry on the command line."""
PlannerChoice = Annotated[
    Standard | Planner,
    tyro.conf.arg(constructor=Union[_SUBCOMMANDS]),  # noqa: UP007  made at runtime
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
]
"""The same, or each model's standard planner; for commands with a single planner."""
