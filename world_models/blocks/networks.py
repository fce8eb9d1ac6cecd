"""Building blocks shared by the models: sizes, recurrent cells, perceptrons, precision.

Only recurrences loop over time, and each step does little: input projections are computed for all steps beforehand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import GaussianHead
from world_models.blocks.filter_scan import filter_scan
from world_models.blocks.scans import gru_scan
from world_models.interface import ACTIONS


@dataclass(frozen=True)
class FrameSizes:
    """Sizes of the networks between frames and vectors."""

    images: Literal["patch", "convolution"]
    """how frames are encoded and decoded"""
    channels: int
    """channels of the convolutions, or features of a merged patch"""
    embedding: int
    """D: embedding of a frame"""


@dataclass(frozen=True)
class Sizes(FrameSizes):
    """Sizes of a model's networks: what `--preset` chooses."""

    belief: int
    """Dc = Dh: recurrent beliefs"""
    state: int
    """Ds: observation abstraction s"""
    abstraction: int
    """Dz: temporal abstraction z"""
    feature: int
    """features in which imagined states and goals are compared"""


QUICK = Sizes(images="patch", channels=32, embedding=128, belief=128, state=8, abstraction=8, feature=64)
PAPER = Sizes(images="convolution", channels=128, embedding=128, belief=128, state=8, abstraction=8, feature=128)
SIZES = {"quick": QUICK, "paper": PAPER}


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) whose input projection is separate from its step."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, 3 * hidden)
        self.recur = nn.Linear(hidden, 3 * hidden)
        nn.init.orthogonal_(self.recur.weight)

    def forward(self, *inputs: Tensor, h: Tensor, parent: Tensor | None = None) -> Tensor:
        """One step from inputs that are concatenated; `h` and `parent` as in `step`."""
        return self.step(self.project(torch.cat(inputs, -1)), h, parent)

    def step(
        self, projected: Float[Tensor, "b g"], h: Float[Tensor, "p h"], parent: Int64[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b h"]:
        """Advance by one step, given what `project` returns.

        With `parent`, row i continues from h[parent[i]]; each state is multiplied once, however many rows share it.
        """
        size = h.shape[-1]
        recurrent = self.recur(h)
        if parent is not None:
            recurrent, h = recurrent.index_select(0, parent), h.index_select(0, parent)
        gates = torch.sigmoid(projected[:, : 2 * size] + recurrent[:, : 2 * size])
        reset, update = gates.chunk(2, dim=-1)
        candidate = torch.tanh(torch.addcmul(projected[:, 2 * size :], reset, recurrent[:, 2 * size :]))
        return torch.lerp(candidate, h, update)

    def scan(
        self,
        inputs: Float[Tensor, "b t inputs"],
        h: Float[Tensor, "b h"] | None = None,
        *,
        keep: Float[Tensor, "b t"] | None = None,
        update: Float[Tensor, "b t"] | None = None,
        init: tuple[Float[Tensor, "b t h"], Float[Tensor, "b t"]] | None = None,
    ) -> Float[Tensor, "b t h"]:
        """Run over time from h (zero by default); see `scans.gru_scan`."""
        if h is None:
            h = inputs.new_zeros(len(inputs), self.recur.in_features)
        recur = self.recur
        projected = self.project(inputs.transpose(0, 1)).transpose(0, 1)  # time-major in memory, as the scan works
        return gru_scan(projected, recur.weight, recur.bias, h, keep=keep, update=update, init=init)

    def last(self, inputs: Float[Tensor, "b t inputs"], length: Int64[Tensor, " b"]) -> Float[Tensor, "b h"]:
        """State after the last `length` of T inputs; those before do not count."""
        return self.scan(inputs, keep=keep_last(inputs.shape[1], length))[:, -1]

    def given(
        self, inputs: Float[Tensor, "b t inputs"], size: int
    ) -> tuple[Float[Tensor, "b t g"], tuple[Tensor, Tensor, Tensor]]:
        """Project the known part of (z, inputs), where z has `size`; also return the weights of a scan over z."""
        weight = self.project.weight
        projected = F.linear(inputs.transpose(0, 1), weight[:, size:], self.project.bias).transpose(0, 1)
        return projected, (weight[:, :size], self.recur.weight, self.recur.bias)

    def rollout(
        self,
        head: GaussianHead,
        s: Float[Tensor, "b s"],
        h: Float[Tensor, "b h"],
        inputs: Float[Tensor, "b t inputs"],
        update: Float[Tensor, "b t"] | None = None,
        noise: Float[Tensor, "b t s"] | None = None,
    ) -> tuple[Float[Tensor, "b t s"], Float[Tensor, "b t h"]]:
        """Run over time from (s, h): each step reads (s, inputs), then s is the head's mean, or a sample.

        `noise` are the standard normals of the samples. See `filter_scan`.
        """
        first, last = head.linear_layers
        projected, rnn = self.given(inputs, s.shape[-1])
        features = first.bias.expand(*inputs.shape[:2], -1)
        noise = s.new_zeros(*inputs.shape[:2], s.shape[-1]) if noise is None else noise
        weights = (first.weight, last.weight, last.bias)
        h, _, s = filter_scan(projected, features, noise, rnn, weights, torch.cat([s, h], -1), update)
        return s, h


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build a perceptron with one hidden layer of ELU units."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ELU(), nn.Linear(hidden, outputs))


class LargeNetwork(nn.Module):
    """A network whose large matrix products training may compute in bfloat16; weights and results are float32."""

    bf16 = False

    def apply_large(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Apply a network in the precision chosen by `set_precision`; outside training always in float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training):
            return network(x).float()


def set_precision(model: nn.Module, precision: Literal["fp32", "bf16"]) -> None:
    """Choose the precision of a model's large networks in training."""
    for module in model.modules():
        if isinstance(module, LargeNetwork):
            module.bf16 = precision == "bf16"


def keep_last(frames: int, length: Int64[Tensor, " b"]) -> Float[Tensor, "b frames"]:
    """Context mask for a scan: 0 up to the first of the last `length` frames, which forgets all before it, then 1."""
    return (torch.arange(frames, device=length.device) > frames - length[:, None]).float()


def one_hot_actions(a: Tensor, actions: int = ACTIONS) -> Tensor:
    """Encode actions (...) int64 as (..., actions) float; for a video, which has none, the width is 0.

    Probabilities of actions, (..., actions) float, are their own code.
    """
    if a.is_floating_point():
        return a
    return F.one_hot(a, actions).float() if actions else a.new_zeros((*a.shape, 0), dtype=torch.float)
