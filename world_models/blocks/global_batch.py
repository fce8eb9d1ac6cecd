"""A batch whose rows are divided among processes: its random numbers, sums and means are those of the whole batch.

Within `divided` a model sees its process's rows; each process has as many, in the order of the ranks. The random
numbers of a step are drawn for all rows on every process, which keeps its own: they belong to the row, not to the
process. So the same seed gives the same step, however many processes share it. Elsewhere the rows here are all rows.

The mean over processes of what a loss returns is the loss of the whole batch: what is a mean over rows is computed from
the rows here, anything else with `per`, `mean_over_all` or `everywhere`, whose gradients flow back to every process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, distributed


class Share(NamedTuple):
    """Which rows of the batch are here."""

    rank: int = 0
    ranks: int = 1
    group: Any = None
    """the process group that sums and gathers; of its own, since training reduces gradients meanwhile"""


ALONE = Share()
_share: ContextVar[Share] = ContextVar("share", default=ALONE)


@contextmanager
def divided(share: Share) -> Iterator[None]:
    """Let the rows of every batch within the block be a share of a larger batch."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


# ---------------------------------------------------------------- random numbers


def uniform(shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in [0, 1); the first axis of the shape are the rows here."""
    whole, mine = _rows(shape)
    return torch.rand(whole, device=device, dtype=dtype)[mine]


def normal(shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normals; the first axis of the shape are the rows here."""
    whole, mine = _rows(shape)
    return torch.randn(whole, device=device, dtype=dtype)[mine]


def integers(low: int, high: int, shape: Sequence[int], device: torch.device) -> Int64[Tensor, "..."]:
    """Uniform integers from low to high - 1; the first axis of the shape are the rows here."""
    whole, mine = _rows(shape)
    return torch.randint(low, high, whole, device=device)[mine]


def _rows(shape: Sequence[int]) -> tuple[tuple[int, ...], slice]:
    """The shape for all rows, and where those here are."""
    rank, ranks, _ = _share.get()
    return (ranks * shape[0], *shape[1:]), slice(rank * shape[0], (rank + 1) * shape[0])


# ---------------------------------------------------------------- sums, means and rows


def total(value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The sum over processes."""
    share = _share.get()
    return value if share.ranks == 1 else _Sum.apply(value, share)


def mean_over_all(value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean over processes, of a mean over the rows here."""
    return total(value) / _share.get().ranks


def per(value: Float[Tensor, ""], count: Tensor | int) -> Float[Tensor, ""]:
    """A sum over the rows here, divided so that the mean over processes is the sum over all rows by the count of all.

    Args:
        value: the sum.
        count: of what was summed, without a gradient; 1 if there is nothing.
    """
    counted = count.to(value) if isinstance(count, Tensor) else value.new_full((), count)
    return value * _share.get().ranks / total(counted).clamp(min=1)


def everywhere(value: Shaped[Tensor, "n *rest"]) -> Shaped[Tensor, "all *rest"]:
    """The rows of all processes; each has as many."""
    share = _share.get()
    return value if share.ranks == 1 else _Rows.apply(value, share)


class _Sum(torch.autograd.Function):
    """The sum over processes; each has the gradients of all."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, share: Share) -> Tensor:
        """Sum."""
        ctx.share = share
        result = value.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result, group=share.group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Sum the gradients."""
        return _Sum.apply(grad, ctx.share), None


class _Rows(torch.autograd.Function):
    """The rows of all processes; the gradients of all of them flow back to each row."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, share: Share) -> Tensor:
        """Gather."""
        ctx.share, ctx.rows = share, len(value)
        parts = [torch.empty_like(value, memory_format=torch.contiguous_format) for _ in range(share.ranks)]
        distributed.all_gather(parts, value.contiguous(), group=share.group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Sum the gradients, and keep those of the rows here."""
        first = ctx.share.rank * ctx.rows
        return _Sum.apply(grad, ctx.share)[first : first + ctx.rows], None


def first_row(rows: int) -> int:
    """The number, among those of all processes, of the first of `rows` rows here."""
    return _share.get().rank * rows


def is_divided() -> bool:
    """Whether some rows of the batch are on other processes."""
    return _share.get().ranks > 1
