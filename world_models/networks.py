"""Building blocks that the models share: image encoders and decoders, recurrent cells, the goal encoder.

Every map between frames and vectors works on all frames of a batch at once; only recurrences loop over time, and
what they do per step is kept small: input projections are computed for all steps before (`GRU.project`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.distributions import GaussianHead
from world_models.interface import ACTIONS
from world_models.scans import gru_scan, rollout


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model's networks: what `--preset` chooses."""

    images: Literal["patch", "convolution"]
    """how frames are encoded and decoded"""
    channels: int
    """channels of the convolutions, or features of a merged patch"""
    embedding: int
    """D: frame embedding e"""
    belief: int
    """Dc = Dh: recurrent beliefs"""
    state: int
    """Ds: observation abstraction s"""
    abstraction: int
    """Dz: temporal abstraction z"""
    feature: int
    """what imagined states and goals are compared in"""


QUICK = Sizes(images="patch", channels=32, embedding=128, belief=128, state=8, abstraction=8, feature=64)
PAPER = Sizes(images="convolution", channels=128, embedding=128, belief=128, state=8, abstraction=8, feature=128)
SIZES = {"quick": QUICK, "paper": PAPER}


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) whose input projection is separate from its step."""

    def __init__(self, inputs: int, hidden: int) -> None:
        """Map inputs (..., inputs) and a state (..., hidden) to the next state."""
        super().__init__()
        self.project = nn.Linear(inputs, 3 * hidden)
        self.recur = nn.Linear(hidden, 3 * hidden)
        nn.init.orthogonal_(self.recur.weight)

    def step(self, projected: Float[Tensor, "b g"], h: Float[Tensor, "b h"]) -> Float[Tensor, "b h"]:
        """Advance by one step; `projected` comes from `project`."""
        size = h.shape[-1]
        recurrent = self.recur(h)
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
        """Run over time from h (zero if not given); `keep`, `update` and `init` as in `scans.gru_scan`."""
        if h is None:
            h = inputs.new_zeros(len(inputs), self.recur.in_features)
        recur = self.recur
        projected = self.project(inputs.transpose(0, 1)).transpose(0, 1)  # time-major in memory, as the scan works
        return gru_scan(projected, recur.weight, recur.bias, h, keep=keep, update=update, init=init)

    def rollout(
        self,
        head: GaussianHead,
        s: Float[Tensor, "b s"],
        h: Float[Tensor, "b h"],
        inputs: Float[Tensor, "b t inputs"],
        update: Float[Tensor, "b t"] | None = None,
    ) -> tuple[Float[Tensor, "b t s"], Float[Tensor, "b t h"]]:
        """Run over time from (s, h): each step reads (s, inputs) and makes s the head's mean; see `scans.rollout`."""
        project, recur, mean = self.project, self.recur, slice(s.shape[-1])
        first, last = (layer for layer in head.modules() if isinstance(layer, nn.Linear))
        projected = F.linear(inputs.transpose(0, 1), project.weight[:, s.shape[-1] :], project.bias).transpose(0, 1)
        rnn = (project.weight[:, mean], recur.weight, recur.bias)
        return rollout(projected, s, h, update, rnn, (first.weight, first.bias, last.weight[mean], last.bias[mean]))


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build a perceptron with one hidden layer of ELU units."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ELU(), nn.Linear(hidden, outputs))


def over_time(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module made for (N, ...) to (B, T, ...), all frames at once."""
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class LargeNetwork(nn.Module):
    """A network of large products that training may compute in bfloat16; its weights and results are float32."""

    bf16 = False

    def apply_large(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Apply a network in the precision that `set_precision` chose; always in float32 outside training."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training):
            return network(x).float()


def set_precision(model: nn.Module, precision: Literal["fp32", "bf16"]) -> None:
    """Choose what a model's large networks compute in while it trains."""
    for module in model.modules():
        if isinstance(module, LargeNetwork):
            module.bf16 = precision == "bf16"


class FrameEncoder(LargeNetwork):
    """Encode frames (B, T, 3, H, W) to (B, T, D).

    Some networks arrange the pixels in their own way first. A loss that also compares frames does that once, with the
    stored bytes, and compares them as they are arranged.
    """

    def __init__(self, module: nn.Sequential) -> None:
        """Wrap a network for (N, 3, H, W)."""
        super().__init__()
        self.module = module

    def forward(self, x: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t d"]:
        """Return the embeddings."""
        return over_time(self.module, x)

    def arrange(self, image: UInt8[Tensor, "b t h w 3"]) -> UInt8[Tensor, "b t *pixels"]:
        """Return stored frames with their pixels as `embed` takes them."""
        cut = self.module[0]
        if isinstance(cut, CutPatches):
            return cut.stored(image.flatten(0, 1)).unflatten(0, image.shape[:2])
        return image.movedim(-1, -3)

    def embed(self, x: Float[Tensor, "b t *pixels"]) -> Float[Tensor, "b t d"]:
        """Return the embeddings of arranged frames."""
        network = self.module[isinstance(self.module[0], CutPatches) :]
        return self.apply_large(network, x.flatten(0, 1)).unflatten(0, x.shape[:2])


class FrameDecoder(LargeNetwork):
    """Decode (B, T, inputs) to frames (B, T, 3, H, W) in [-1, 1]."""

    def __init__(self, module: nn.Sequential) -> None:
        """Wrap a network for (N, inputs)."""
        super().__init__()
        self.module = module

    def forward(self, s: Float[Tensor, "b t inputs"]) -> Float[Tensor, "b t 3 h w"]:
        """Return the frames."""
        return over_time(self.module, s)

    def arranged(self, s: Float[Tensor, "b t inputs"]) -> Float[Tensor, "b t *pixels"]:
        """Return the frames with their pixels arranged as the encoder does it."""
        network = self.module[:-1] if isinstance(self.module[-1], JoinPatches) else self.module
        return self.apply_large(network, s.flatten(0, 1)).unflatten(0, s.shape[:2])

    def join(self, arranged: Float[Tensor, "b t *pixels"]) -> Float[Tensor, "b t 3 h w"]:
        """Return arranged frames as frames."""
        last = self.module[-1]
        return over_time(last, arranged) if isinstance(last, JoinPatches) else arranged


class CutPatches(nn.Module):
    """Cut frames into patches of 4 x 4 pixels: (N, 3, S, S) to (N, P, 48), P = S²/16.

    Four neighbouring patches (2 x 2) follow each other, and so do four such groups: merging neighbours, and the
    results' neighbours, takes no copy.
    """

    def forward(self, x: Shaped[Tensor, "n 3 s s"]) -> Shaped[Tensor, "n p 48"]:
        """Return the patches' pixels."""
        side = x.shape[-1] // 16
        x = x.unflatten(3, (side, 2, 2, 4)).unflatten(2, (side, 2, 2, 4))
        return x.permute(0, 2, 6, 3, 7, 4, 8, 5, 9, 1).reshape(len(x), -1, 48)

    def stored(self, image: UInt8[Tensor, "n s s 3"]) -> UInt8[Tensor, "n p 48"]:
        """Return the patches of stored frames; three times faster: a patch's row moves as three words of four bytes."""
        place = torch.arange(image[0].numel(), device=image.device).view(1, *image.shape[1:])
        order = self(place.movedim(-1, -3)).flatten()[::4] // 4
        words = image.flatten(1).contiguous().view(torch.int32).index_select(1, order)
        return words.view(torch.uint8).view(len(image), -1, 48)


class JoinPatches(nn.Module):
    """Undo `CutPatches`: (N, P, 48) to (N, 3, S, S), channels last in memory as stored images are."""

    def forward(self, patches: Float[Tensor, "n p 48"]) -> Float[Tensor, "n 3 s s"]:
        """Return the frames."""
        side = math.isqrt(patches.shape[1] // 16)
        x = patches.view(-1, side, side, 2, 2, 2, 2, 4, 4, 3).permute(0, 1, 3, 5, 7, 2, 4, 6, 8, 9)
        return x.reshape(len(patches), 16 * side, 16 * side, 3).movedim(-1, -3)


def patch_encoder(size: int, channels: int, embedding: int) -> nn.Sequential:
    """Encode (N, 3, size, size) by linear maps of 4 x 4 patches and of two merges; size is a multiple of 16."""
    side = size // 16
    return nn.Sequential(
        CutPatches(),
        nn.Linear(48, channels // 2),
        nn.ELU(),
        *(nn.Unflatten(1, (-1, 4)), nn.Flatten(2)),  # merge 2 x 2 patches
        nn.Linear(2 * channels, channels),
        nn.ELU(),
        *(nn.Unflatten(1, (-1, 4)), nn.Flatten(2)),
        nn.Linear(4 * channels, 2 * channels),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(2 * channels * side * side, embedding),
        nn.ELU(),
    )


def patch_decoder(size: int, channels: int, inputs: int) -> nn.Sequential:
    """Mirror `patch_encoder`: (N, inputs) to (N, 3, size, size) in [-1, 1]."""
    side = size // 16
    return nn.Sequential(
        nn.Linear(inputs, 2 * channels * side * side),
        nn.ELU(),
        nn.Unflatten(1, (side * side, 2 * channels)),
        nn.Linear(2 * channels, 4 * channels),
        nn.ELU(),
        *(nn.Unflatten(2, (4, -1)), nn.Flatten(1, 2)),  # split into 2 x 2 patches
        nn.Linear(channels, 2 * channels),
        nn.ELU(),
        *(nn.Unflatten(2, (4, -1)), nn.Flatten(1, 2)),
        nn.Linear(channels // 2, 48),
        nn.Tanh(),
        JoinPatches(),
    )


def convolution_encoder(size: int, channels: int, embedding: int) -> nn.Sequential:
    """Four convolutions (kernel 4, strides 2, 2, 2, 1) with batch norm and ELU: Kim et al. 2019, published set-up."""
    side = size // 8 - 3
    layers: list[nn.Module] = []
    for inputs, stride, padding in ((3, 2, 1), (channels, 2, 1), (channels, 2, 1), (channels, 1, 0)):
        layers += [nn.Conv2d(inputs, channels, 4, stride, padding, bias=False), nn.BatchNorm2d(channels), nn.ELU()]
    return _channels_last(nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, embedding), nn.ELU()))


def convolution_decoder(size: int, channels: int, inputs: int) -> nn.Sequential:
    """Mirror `convolution_encoder`: (N, inputs) to (N, 3, size, size) in [-1, 1]."""
    side = size // 8 - 3
    layers: list[nn.Module] = [nn.Linear(inputs, channels * side * side), nn.Unflatten(1, (channels, side, side))]
    for stride, padding in ((1, 0), (2, 1), (2, 1)):
        layers += [
            nn.ConvTranspose2d(channels, channels, 4, stride, padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ELU(),
        ]
    return _channels_last(nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()))


def _channels_last(network: nn.Sequential) -> nn.Sequential:
    """Keep the weights of convolutions channels last in memory, as stored frames are: faster on a CPU."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def frame_encoder(sizes: Sizes, frame_size: int) -> FrameEncoder:
    """Build the encoder (B, T, 3, H, W) to (B, T, D)."""
    build = patch_encoder if sizes.images == "patch" else convolution_encoder
    return FrameEncoder(build(frame_size, sizes.channels, sizes.embedding))


def frame_decoder(sizes: Sizes, frame_size: int, inputs: int) -> FrameDecoder:
    """Build the decoder (B, T, inputs) to (B, T, 3, H, W)."""
    build = patch_decoder if sizes.images == "patch" else convolution_decoder
    return FrameDecoder(build(frame_size, sizes.channels, inputs))


def keep_last(frames: int, length: Int64[Tensor, " b"]) -> Float[Tensor, "b frames"]:
    """Keep the last `length` frames: 0 up to the first that counts, 1 after it, so that a scan forgets all before."""
    return (torch.arange(frames, device=length.device) > frames - length[:, None]).float()


def one_hot_actions(a: Tensor, actions: int = ACTIONS) -> Tensor:
    """Encode actions (...) int64 as (..., actions) float; of a video's none nothing is left."""
    return F.one_hot(a, actions).float() if actions else a.new_zeros((*a.shape, 0), dtype=torch.float)
