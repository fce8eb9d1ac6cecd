"""What every world model takes and answers (DESIGN: training, planning and plots use these calls and no others)."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

ACTIONS = 3
"""forward, turn left, turn right; a video has 0 actions"""

S = TypeVar("S", bound="StateLike")


class StateLike(Protocol):
    """A belief: a named tuple of tensors with the batch first in each."""

    def _replace(self, **fields: Tensor) -> Any: ...


class Batch(NamedTuple):
    """Windows of episodes as stored; a model makes its own floats of them.

    A video has neither actions nor goals: its `action` is 0 everywhere and read by no network, its masks and crops are
    empty.
    """

    observation: UInt8[Tensor, "b t h w 3"]
    action: Int64[Tensor, "b t"]
    """a_t, taken after seeing x_t"""
    action_mask: Bool[Tensor, "b t actions"]
    achieved_goal: UInt8[Tensor, "b t y x rgb"]
    """crop of the map around the agent"""

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass
class Losses:
    """Named terms, unweighted, in nats: summed over dimensions, averaged over batch and time."""

    terms: dict[str, Tensor]
    weights: dict[str, float]
    """weight of each term in `total`"""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """what is watched but not minimised"""

    @property
    def total(self) -> Tensor:
        """The one place where weights are applied."""
        return torch.stack([self.weights[name] * term for name, term in self.terms.items()]).sum()


class WorldModel(Protocol[S]):
    """The calls that training, planning and plots use.

    Shapes: B batch, T time. `x` is float in [-1, 1], channels first. A context is left-padded to T frames, of which the
    last `length` count; what the padding holds never changes a result.

    A model may also answer `imagine_from(state, parent, action)`, `imagine` from some rows of a belief, where it can
    share what several actions from one row have in common: searches over trees use it.
    """

    config: Any

    def loss(self, batch: Batch, step: int) -> Losses:
        """Training terms of a batch whose windows are `window_length` frames long."""
        ...

    def observe(self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t-1"], length: Int64[Tensor, " b"]) -> S:
        """Belief after a context of 1 to T frames and the actions between them."""
        ...

    def imagine(self, state: S, action: Int64[Tensor, " b"]) -> S:
        """One transition of the model's own time scale."""
        ...

    def feature(self, state: S) -> Float[Tensor, "b d"]:
        """What goals are compared with."""
        ...

    def goal_feature(self, goal: Float[Tensor, "b 3 3 3"]) -> Float[Tensor, "b d"]:
        """A goal crop in the same space."""
        ...

    def legal(self, state: S) -> Bool[Tensor, "b 3"]:
        """Actions that the model expects to be legal next; all of them where it does not predict that."""
        ...

    def decode(self, state: S) -> Float[Tensor, "b 3 h w"]:
        """The picture of a belief."""
        ...
