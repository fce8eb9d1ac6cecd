"""How trained agents plan: the planners as options of a command, and each model's own standard planner."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Union

import tyro

from planners.interface import Planner
from planners.registry import PLANNERS
from planners.tree import TreeSearch
from world_models.registry import spec_of


@dataclass(frozen=True)
class Standard:
    """Each model's own planner, as its entry in the registry says: shooting for rssm, tree for the others."""

    kind: ClassVar[str] = "standard"
    budget: int = TreeSearch().budget
    """Most model transitions that one decision may spend."""

    def __post_init__(self) -> None:
        """Check that there is something to search."""
        if self.budget < 1:
            raise ValueError(f"--budget must be at least 1, got {self.budget}")

    def with_budget(self, transitions: int) -> Standard:
        """The same at another budget."""
        return replace(self, budget=transitions)

    def of(self, model: str) -> Planner:
        """The planner of a model, given by its name."""
        return PLANNERS[spec_of(model).planner]().with_budget(self.budget)


def planner_of(choice: Standard | Planner, model: str) -> Planner:
    """The planner that a choice means for a model, given by its name."""
    return choice.of(model) if isinstance(choice, Standard) else choice


def planner_facts(planner: Planner) -> dict[str, Any]:
    """What results say of a planner."""
    return {"kind": planner.kind, **asdict(planner)}


def check_budgets(option: str, budgets: tuple[int, ...]) -> None:
    """Check that budgets are different numbers of model transitions.

    Raises:
        ValueError: naming the option.
    """
    if len(set(budgets)) != len(budgets) or min(budgets, default=1) < 1:
        raise ValueError(f"{option} must be different numbers from 1 up, got {list(budgets)}")


_CHOICES: tuple[type[Standard] | type[Planner], ...] = (Standard, *PLANNERS.values())
_SUBCOMMANDS = tuple(Annotated[choice, tyro.conf.subcommand(name=choice.kind)] for choice in _CHOICES)
PlannerOption = Annotated[Planner, tyro.conf.arg(constructor=Union[_SUBCOMMANDS[1:]])]  # noqa: UP007  made at runtime
"""A field of a command's dataclass: any planner in Python, one of the registry on the command line."""
PlannerChoice = Annotated[
    Standard | Planner,
    tyro.conf.arg(constructor=Union[_SUBCOMMANDS]),  # noqa: UP007  made at runtime
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
]
"""The same, or each model's own; the only planner of its command."""
