"""What a planner is, and what it knows of a model: functions over its beliefs. A planner never imports a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from world_models.interface import Branching, Plannable, State


@dataclass(frozen=True)
class ModelFunctions:
    """A model as a planner sees it.

    Args:
        imagine: (state of N rows, action (N,)) to the state after one model transition.
        feature: state to (N, D), compared with the goal's feature by cosine.
        legal: state to (N, A) bool, the actions worth trying next; never all False in a row.
        imagine_from: (state, parent (M,), action (M,)) to what `imagine` returns from these rows of the state, for a
            model that computes once what several actions from one row share; None: `imagine` from copies of the rows.
    """

    imagine: Callable[[State, Tensor], State]
    feature: Callable[[State], Tensor]
    legal: Callable[[State], Tensor]
    imagine_from: Callable[[State, Tensor, Tensor], State] | None = None

    @classmethod
    def of(cls, model: Plannable) -> ModelFunctions:
        """Take the functions from a world model, `imagine_from` if it has one."""
        branch = model.imagine_from if isinstance(model, Branching) else None
        return cls(model.imagine, model.feature, model.legal, branch)

    def branch(self, state: State, parent: Int64[Tensor, " m"], action: Int64[Tensor, " m"]) -> State:
        """Imagine one transition from rows of a state, M rows, of which any may share a parent."""
        if self.imagine_from is None:
            return self.imagine(take(state, parent), action)
        return self.imagine_from(state, parent, action)


class Plan(NamedTuple):
    """A decision for every episode of a batch."""

    action: Int64[Tensor, " b"]
    """first action of the chosen trajectory"""
    score: Float[Tensor, " b"]
    """its largest cosine"""
    arrival: Int64[Tensor, " b"]
    """after how many transitions it reaches that"""
    transitions: Int64[Tensor, " b"]
    """model transitions spent"""


@runtime_checkable
class Planner(Protocol):
    """A search over what a model imagines: a frozen dataclass whose fields are its options.

    An entry in `planners.registry.PLANNERS` gives it a name on the command line.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    kind: ClassVar[str]
    """its name in results and on the command line"""

    @property
    def budget(self) -> int:
        """The most model transitions that one decision may spend."""
        ...

    def with_budget(self, transitions: int) -> Planner:
        """The same planner, of which one decision spends at most this many model transitions.

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
            goal_feature: what the imagined features are compared with.
            root_mask: legal first actions.
            generator: source of all random draws, on the CPU.

        Returns:
            The decisions; `transitions` are counted per episode.

        Raises:
            ValueError: if an episode has no legal action.
        """
        ...


def take(state: State, rows: Tensor) -> State:
    """Rows of a belief."""
    return type(state)(*(field.index_select(0, rows) for field in state))


def choose(best: Float[Tensor, "b depth a"], tie_tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the first action of the best trajectory.

    Args:
        best: largest cosine of any imagined state at each depth after each first action; -inf where there is none.
        tie_tolerance: cosines within this of the best count as equal; then the earliest arrival wins, then the higher
            cosine.

    Returns:
        action (B,), score (B,) and arrival depth (B,), which counts from 1.
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
