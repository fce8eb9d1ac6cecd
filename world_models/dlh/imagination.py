"""Chains of changes imagined as a planner uses them, which training compares with what was then seen."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from world_models.dlh.hierarchy import DLHState, Hierarchy
from world_models.hrssm.boundaries import rollout_frames, starts


class Course(NamedTuple):
    """Where chains run in windows: each begins after a context that ends at a choice."""

    rows: Int64[Tensor, "b 1"]
    """index of each window"""
    past: Int64[Tensor, "b c"]
    """frames of the context"""
    seen: Int64[Tensor, "b h"]
    """the frames after it"""
    ends: Float[Tensor, "b h"]
    """1 where the level changes in the frame after, 0 elsewhere"""
    begins: Float[Tensor, "b h"]
    """1 where it changes, and in the first frame in any case"""


def course(change: Bool[Tensor, "b t"], context: int, horizon: int) -> Course:
    """The course of one chain in each window of T frames, from the first change after a full context.

    Args:
        change: where the level changes.
        context: frames of the longest context.
        horizon: most frames of a chain; the window must leave one.
    """
    horizon = min(horizon, change.shape[1] - context)
    ends = torch.cat([change[:, 1:], torch.zeros_like(change[:, :1])], 1).float()
    rows, past, _, seen = rollout_frames(ends, context, change.shape[1] - context - horizon, horizon)
    return Course(rows, past, seen, ends[rows, seen], starts(ends[rows, seen]))


def chain(
    hierarchy: Hierarchy, state: DLHState, codes: Float[Tensor, "b h a"], begins: Float[Tensor, "b h"]
) -> Float[Tensor, "b h1 d"]:
    """(s^n, d^n) of level `jump_level` at a belief and in the H frames after it, with a change at each of `begins`.

    A change is that of `DLH.imagine`: `advance` given the action before its frame, then the change prior's mean.
    """
    n = hierarchy.options.jump_level - 1
    level, s, d, context = hierarchy.levels[n], state.s[:, n], state.d[:, n], state.context[:, n]
    beliefs, number = [torch.cat([s, d], -1)], begins.long().cumsum(1)
    first = begins.argsort(dim=1, descending=True, stable=True)[:, : int(number.max())]  # the frames of changes
    for code in codes.take_along_dim(first[..., None], 1).unbind(1):
        d = level.advance(s, code, d)
        s = level.change_prior(d, context).mean
        beliefs.append(torch.cat([s, d], -1))
    each = torch.stack(beliefs, 1)
    return torch.cat([each[:, :1], each.take_along_dim(number[..., None], 1)], 1)
