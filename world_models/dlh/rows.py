"""Rows of tensors of which something is computed: by index on a CPU, where the others are spared, by mask on a GPU.

Indices have as many entries as a mask has true ones: the program has to wait for the GPU until it knows, and a CUDA
graph cannot hold such a step. There everything is computed for all rows, and a mask chooses what counts.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Some:
    """Some of N rows: all if both fields are None."""

    index: Int64[Tensor, " m"] | None = None
    """the rows that are taken; None: all are"""
    mask: Bool[Tensor, " n"] | None = None
    """which of them count; None: all do"""

    @classmethod
    def of(cls, mask: Bool[Tensor, " n"], masked: bool) -> "Some":
        """The rows where a mask is true."""
        return cls(mask=mask) if masked else cls(mask.nonzero().squeeze(1))

    @property
    def none(self) -> bool:
        """Whether it is known that there is no row."""
        return self.index is not None and not len(self.index)

    def take(self, value: Shaped[Tensor, "n *rest"]) -> Shaped[Tensor, "m *rest"]:
        """The rows that are taken."""
        return value if self.index is None else value.index_select(0, self.index)

    def put(self, into: Shaped[Tensor, "n *rest"], value: Shaped[Tensor, "m *rest"]) -> None:
        """Overwrite the rows that count."""
        if self.index is not None:
            into[self.index] = value
        else:
            into.copy_(value if self.mask is None else torch.where(_wide(self.mask, value), value, into))

    def sum(self, value: Shaped[Tensor, "m *rest"]) -> Shaped[Tensor, ""]:
        """The sum over the rows that count."""
        return value.sum() if self.mask is None else torch.where(_wide(self.mask, value), value, 0).sum()


class Rows(NamedTuple):
    """The frames in which a level gets a posterior, as rows of (B, T) flattened: nothing else counts.

    The first frame of every sequence is one of them, so that each has a last posterior.
    """

    here: Some
    """the frames"""
    last: Int64[Tensor, "b t"]
    """number, among the rows that are taken, of the last that counts up to each frame"""

    @classmethod
    def of(cls, mask: Bool[Tensor, "b t"], masked: bool) -> "Rows":
        """The rows of a mask that is true in every first frame."""
        flat = mask.flatten()
        if not masked:
            return cls(Some.of(flat, masked), (flat.cumsum(0) - 1).view_as(mask))
        number = torch.arange(len(flat), device=flat.device)
        return cls(Some.of(flat, masked), torch.where(flat, number, 0).cummax(0).values.view_as(mask))

    def pick(self, value: Shaped[Tensor, "b t *rest"]) -> Shaped[Tensor, "m *rest"]:
        """Take the rows."""
        return self.here.take(value.flatten(0, 1))

    def spread(self, value: Shaped[Tensor, "m *rest"]) -> Shaped[Tensor, "b t *rest"]:
        """Give every frame the value of the last row."""
        return value.index_select(0, self.last.flatten()).unflatten(0, self.last.shape)

    def before(self, value: Shaped[Tensor, "m *rest"]) -> Shaped[Tensor, "m *rest"]:
        """Give every row the value of the one before it in time; a first one gets any other."""
        if self.here.index is not None:
            return value.roll(1, 0)
        return value.index_select(0, F.pad(self.last[:, :-1], (1, 0)).flatten())

    def among(self, mask: Bool[Tensor, " m"]) -> Some:
        """Those of the rows that count where a mask is true."""
        if self.here.mask is None:
            return Some.of(mask, masked=False)
        return Some.of(mask & self.here.mask, masked=True)


def _wide(mask: Tensor, value: Tensor) -> Tensor:
    """A mask of rows that applies to a value's other axes."""
    return mask.view(-1, *(1 for _ in value.shape[1:]))
