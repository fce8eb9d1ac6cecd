"""What a planner knows of a model: functions over its beliefs. A planner never imports a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

State = Any
"""a belief: a named tuple of tensors with the batch first in each"""


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
    def of(cls, model: Any) -> ModelFunctions:
        """Take the functions from a world model, `imagine_from` if it has one."""
        return cls(model.imagine, model.feature, model.legal, getattr(model, "imagine_from", None))

    def branch(self, state: State, parent: Int64[Tensor, " m"], action: Int64[Tensor, " m"]) -> State:
        """Imagine one transition from rows of a state, M rows, of which any may share a parent."""
        if self.imagine_from is None:
            return self.imagine(take(state, parent), action)
        return self.imagine_from(state, parent, action)


class Level(NamedTuple):
    """The imagined states of one depth, for all episodes together (M of them)."""

    episode: Int64[Tensor, " m"]
    """row of the batch"""
    root: Int64[Tensor, " m"]
    """first action of the trajectory"""
    parent: Int64[Tensor, " m"]
    """place in the level above; the episode at depth 1"""
    action: Int64[Tensor, " m"]
    """action that led here"""
    score: Float[Tensor, " m"]
    """cosine with the goal"""


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
    tree: list[Level]
    """what was imagined, one entry a depth"""


def take(state: State, rows: Tensor) -> State:
    """Rows of a belief."""
    return type(state)(*(field.index_select(0, rows) for field in state))


def choose(best: Float[Tensor, "b depth a"], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the first action of the best trajectory.

    Args:
        best: largest cosine of any imagined state at each depth after each first action; -inf where there is none.
        epsilon: scores within this of the best count as equal; then the earliest arrival wins, then the higher score.

    Returns:
        action (B,), score (B,) and arrival depth (B,), which counts from 1.
    """
    top = best.flatten(1).amax(1)
    good = best >= (top - epsilon)[:, None, None]
    arrival = good.any(2).float().argmax(1)
    at_arrival = best[torch.arange(len(best), device=best.device), arrival]
    score, action = at_arrival.max(1)
    return action, score, arrival + 1


def check_root(root_mask: Bool[Tensor, "b a"]) -> None:
    """Refuse an episode in which no action is legal."""
    if not bool(root_mask.any(1).all()):
        raise ValueError("an episode has no legal action at the root: every row of root_mask needs a True")
