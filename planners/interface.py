"""The interface of planners, and the functions through which they see a model. A planner never imports a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from world_models.interface import Branching, Plannable, State


@dataclass(frozen=True)
class ModelFunctions:
    """A model as a planner sees it: functions of N beliefs."""

    imagine: Callable[[State, Tensor], State]
    """state and action (N,) to the state after one model transition"""
    feature: Callable[[State], Tensor]
    """state to (N, D), compared with the goal's feature by cosine"""
    legal: Callable[[State], Tensor]
    """state to (N, A) bool, the next actions worth trying; at least one per row"""
    imagine_from: Callable[[State, Tensor, Tensor], State] | None = None
    """`branch` of a model that computes once what actions from the same row share"""

    @classmethod
    def of(cls, model: Plannable) -> ModelFunctions:
        """The functions of a world model."""
        branch = model.imagine_from if isinstance(model, Branching) else None
        return cls(model.imagine, model.feature, model.legal, branch)

    def branch(self, state: State, parent: Int64[Tensor, " m"], action: Int64[Tensor, " m"]) -> State:
        """Imagine one transition from each of the M parent rows of a state, which may repeat."""
        if self.imagine_from is None:
            return self.imagine(take(state, parent), action)
        return self.imagine_from(state, parent, action)


class Plan(NamedTuple):
    """One decision per episode of a batch."""

    action: Int64[Tensor, " b"]
    """first action of the chosen trajectory"""
    score: Float[Tensor, " b"]
    """largest cosine on it"""
    arrival: Int64[Tensor, " b"]
    """number of transitions until that"""
    transitions: Int64[Tensor, " b"]
    """model transitions spent"""


@runtime_checkable
class Planner(Protocol):
    """A search over imagined trajectories: a frozen dataclass of its options, listed in `planners.registry`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    kind: ClassVar[str]
    """its name in results and on the command line"""

    @property
    def budget(self) -> int:
        """The largest number of model transitions per decision."""
        ...

    def with_budget(self, transitions: int) -> Planner:
        """The same planner with at most this many model transitions per decision.

        Raises:
            ValueError: if no search is that small.
        """
        ...

    def plan(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
    ) -> Plan:
        """Decide for a batch of episodes.

        Args:
            functions: the model.
            state: beliefs at the roots, B rows.
            goal_feature: the features to reach.
            root_mask: legal first actions.
            generator: the only source of randomness, on the CPU.

        Raises:
            ValueError: if an episode has no legal action.
        """
        ...


class Remembers(ABC):
    """Base of planners that use in a decision what the last one of the same episode imagined.

    `plan` forgets; an agent calls `plan_on`. What is kept is the planner's own affair.
    """

    @abstractmethod
    def plan_on(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
        past: Sequence[Any],
    ) -> tuple[Plan, list[Any]]:
        """Decide as `Planner.plan` does, and say what each episode keeps for its next decision.

        The planner takes it that the chosen action was taken, and then all actions without a choice.

        Args:
            functions: see `Planner.plan`, also for the next four.
            state: beliefs at the roots.
            goal_feature: the features to reach; an episode's goal stays the same.
            root_mask: legal first actions.
            generator: the only source of randomness.
            past: what each episode kept; None at its first decision.
        """

    def plan(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
    ) -> Plan:
        """See `Planner.plan`."""
        return self.plan_on(functions, state, goal_feature, root_mask, generator, [None] * len(root_mask))[0]


def take(state: State, rows: Tensor) -> State:
    """Rows of a belief."""
    return type(state)(*(field.index_select(0, rows) for field in state))


def choose(best: Float[Tensor, "b depth a"], tie_tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the first action of the best trajectory.

    Args:
        best: largest cosine of any imagined state at each depth after each first action; -inf if there is none.
        tie_tolerance: cosines within this of the best count as equal; the earliest arrival wins, then the higher
            cosine.

    Returns:
        action (B,), score (B,) and arrival depth (B,), from 1.
    """
    top = best.flatten(1).amax(1)
    good = best >= (top - tie_tolerance)[:, None, None]
    arrival = good.any(2).float().argmax(1)
    at_arrival = best[torch.arange(len(best), device=best.device), arrival]
    score, action = at_arrival.max(1)
    return action, score, arrival + 1


def check_root(root_mask: Bool[Tensor, "b a"]) -> None:
    """Check that every episode has a legal action."""
    if not bool(root_mask.any(1).all()):
        raise ValueError("an episode has no legal action at the root: every row of root_mask needs a True")
