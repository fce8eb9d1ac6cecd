"""CW-VAE of Saxena, Ba and Hafner, *Clockwork Variational Autoencoders* (NeurIPS 2021, arXiv:2102.09532): videos only.

A hierarchy of recurrent state space models, each of which ticks at its own fixed pace: level l at every k^(l-1)-th
frame, the first one included. Its state stays as it is in between and is what the level below reads.

| symbol     | code                  | shape         | meaning                                                         |
|------------|-----------------------|---------------|-----------------------------------------------------------------|
| x_t        | `x`                   | (B, T, ...)   | frame                                                           |
| L, k       | `levels`, `factor`    | –             | levels, and how many ticks of a level share one of that above   |
| T_l        | `period`              | –             | active steps of level l: every k^(l-1)-th frame; N ticks in all |
| e^l        | `e`                   | (B, N, D)     | embedding of the k^(l-1) frames from a tick of level l on       |
| h^l        | `h`                   | (B, N, Dh)    | recurrent belief, the state's deterministic part                |
| z^l        | `z`                   | (B, N, Ds)    | the state's stochastic part                                     |
| s^{l+1}    | `above`               | (B, N, Dh+Ds) | state of the level above, (h, z); none above the top            |
| t          | `clock`               | (B,)          | frames so far                                                   |

    h^l_t = f^l-rnn(z^l_{t-1} || s^{l+1}_t, h^l_{t-1}), s^l_0 = 0, t in T_l
    p(z^l_t | h^l_t), q(z^l_t | h^l_t || e^l_t), x_t ~ p(x_t | s^1_t)

Prior and posterior share the recurrence; each has an output of its own. So the posterior reads its own last samples, as
in the paper and unlike in rssm.py, whose posterior has a recurrence of its own: only the loop of `filter_scan` can
compute it. The levels go one after the other from the top, each over all its ticks at once.

A sequence that ends within a tick leaves its e^l with the frames that there are, in a training window and in a context.

Differs from the paper: networks of frames, recurrent cells and deviations (a sigmoid) are those of the sibling models,
so that a comparison is one of the hierarchies; a context that `observe` is given is filtered at the posteriors' means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import Gaussian, GaussianHead, gaussian_kl, image_nll
from world_models.blocks.filter_scan import filter_scan
from world_models.blocks.frames import frame_decoder, frame_encoder
from world_models.blocks.images import scale
from world_models.blocks.networks import GRU, FrameSizes
from world_models.interface import Batch, Losses
from world_models.options import check_context


@dataclass(frozen=True)
class CWVAESizes(FrameSizes):
    """Sizes of a CW-VAE's networks: what `--preset` chooses. The embedding is |e|, of every level."""

    belief: int
    """Dh: a level's recurrent belief"""
    state: int
    """Ds: a level's stochastic state"""


QUICK = CWVAESizes(images="patch", channels=32, embedding=128, belief=128, state=12)
# The paper's appendix; the channels of its convolutions are those of the sibling models here.
PAPER = CWVAESizes(images="convolution", channels=128, embedding=1024, belief=200, state=20)
SIZES = {"quick": QUICK, "paper": PAPER}


@dataclass(frozen=True)
class CWVAEOptions:
    """What `--variant` chooses. The defaults are the paper's."""

    levels: int = 3
    """L: levels of the hierarchy"""
    factor: int = 6
    """k: ticks of a level for each tick of the level above; 1 is a hierarchy without clocks"""
    window: int = 100
    """T: frames of the evidence lower bound"""
    context: int = 36
    """frames that are shown before an open-loop prediction, fewer than `window`: one tick of the paper's top level"""
    sigma: float = 1.0
    """deviation of the Gaussian likelihood"""

    def __post_init__(self) -> None:
        """Refuse a context that leaves nothing to predict."""
        check_context(self.context, self.window)


VARIANTS = {"paper": CWVAEOptions()}


@dataclass(frozen=True)
class CWVAEConfig:
    """Everything that defines a CW-VAE."""

    sizes: CWVAESizes
    options: CWVAEOptions
    frame_size: int = 32
    actions: int = 0
    """none: a CW-VAE models videos"""


class CWVAEState(NamedTuple):
    """Belief after a frame, at all levels; level 1 comes first."""

    h: Float[Tensor, "b levels h"]
    z: Float[Tensor, "b levels s"]
    clock: Int64[Tensor, " b"]
    """frames so far: level l ticks with the next one if k^(l-1) divides it"""


class Filtered(NamedTuple):
    """A level over its ticks, (B, N, ...)."""

    h: Tensor
    q: Gaussian
    z: Tensor


class Level(nn.Module):
    """One level: a recurrent state space model that is conditioned on the state above."""

    def __init__(self, sizes: CWVAESizes, period: int, top: bool) -> None:
        """Build the networks of a level that ticks every `period` frames."""
        super().__init__()
        self.period = period
        d, belief, state = sizes.embedding, sizes.belief, sizes.state
        self.embed = nn.Sequential(nn.Linear(d, d), nn.ELU())  # of a frame, for the sum of a tick
        self.rnn = GRU(state + (0 if top else belief + state), belief)  # f^l-rnn
        self.prior = GaussianHead(belief, belief, state)
        self.post = GaussianHead(belief + d, belief, state)

    def step(self, z: Tensor, above: Tensor, h: Tensor) -> Tensor:
        """Return h^l_t = f^l-rnn(z^l_{t-1} || s^{l+1}_t, h^l_{t-1})."""
        return self.rnn.step(self.rnn.project(torch.cat([z, above], -1)), h)

    def gather(self, e: Float[Tensor, "b t d"], keep: Float[Tensor, "b t"]) -> Float[Tensor, "b n d"]:
        """Return e^l: sums over the frames of each tick, of which those count whose `keep` is 1 (paper, appendix)."""
        e = self.embed(e) * keep[..., None]
        return F.pad(e, (0, 0, 0, -e.shape[1] % self.period)).unflatten(1, (-1, self.period)).sum(2)

    def filter(self, e: Tensor, above: Tensor, noise: Tensor) -> Filtered:
        """Run `step` over all ticks, each on a sample of the posterior q(z^l_t | h^l_t || e^l_t) of the tick before.

        Args:
            e: (B, N, D) embeddings of the ticks.
            above: (B, N, Dh+Ds) state above at the ticks.
            noise: (B, N, Ds) what the samples are made of; zeros give means.
        """
        first, last = (layer for layer in self.post.modules() if isinstance(layer, nn.Linear))
        rnn, state = self.rnn, noise.shape[-1]
        belief = rnn.recur.in_features
        projected = F.linear(above.transpose(0, 1), rnn.project.weight[:, state:], rnn.project.bias).transpose(0, 1)
        features = F.linear(e.transpose(0, 1), first.weight[:, belief:], first.bias).transpose(0, 1)
        recurrence = (rnn.project.weight[:, :state], rnn.recur.weight, rnn.recur.bias)
        head = (first.weight[:, :belief], last.weight, last.bias)
        return Filtered(*filter_scan(projected, features, noise, recurrence, head))


class CWVAE(nn.Module):
    """Clockwork variational autoencoder, one transition a frame."""

    generation_modes = ("full",)

    def __init__(self, config: CWVAEConfig) -> None:
        """Build the networks with random weights."""
        super().__init__()
        self.config = config
        sizes, o = config.sizes, config.options
        self.encoder = frame_encoder(sizes, config.frame_size)
        self.decoder = frame_decoder(sizes, config.frame_size, sizes.belief + sizes.state)
        levels = [Level(sizes, o.factor**number, number == o.levels - 1) for number in range(o.levels)]
        self.levels: Sequence[Level] = nn.ModuleList(levels)  # type: ignore[assignment]

    @property
    def window_length(self) -> int:
        """Frames of a training window."""
        return self.config.options.window

    # ---------------------------------------------------------------- inference

    def infer(self, e: Float[Tensor, "b t d"], keep: Float[Tensor, "b t"], sample: bool = True) -> list[Filtered]:
        """Filter frames whose first is a tick of every level; return the levels, the lowest first.

        Args:
            e: embeddings.
            keep: 1 for frames that count, which are a row's first.
            sample: at the posteriors' samples; otherwise at their means.
        """
        filtered: list[Filtered] = []
        above, ticks = e[..., :0], 1
        for level in reversed(self.levels):
            tick = level.gather(e, keep)
            shape = (*tick.shape[:2], self.config.sizes.state)
            noise = torch.randn(shape, device=e.device) if sample else tick.new_zeros(shape)
            above = above.repeat_interleave(ticks, 1)[:, : tick.shape[1]]
            filtered.insert(0, level.filter(tick, above, noise))
            above, ticks = torch.cat([filtered[0].h, filtered[0].z], -1), self.config.options.factor
        return filtered

    def observe(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t_1"], length: Int64[Tensor, " b"]
    ) -> CWVAEState:
        """Belief after the last `length` frames, filtered at the means; the first of them is a tick of every level."""
        return self._observe(x, length, sample=False)

    def _observe(self, x: Tensor, length: Tensor, sample: bool) -> CWVAEState:
        """Belief after the last `length` frames: every row's begin at clock 0, and each level is at its last tick."""
        frames, rows = x.shape[1], torch.arange(len(x), device=x.device)
        clock = torch.arange(frames, device=x.device)
        moved = (clock + (frames - length)[:, None]).clamp(max=frames - 1)  # padding goes to the end, where none counts
        keep = (clock < length[:, None]).float()
        levels = self.infer(self.encoder(x)[rows[:, None], moved], keep, sample)
        last = [(length - 1) // level.period for level in self.levels]
        h, z = (
            torch.stack([values[rows, tick] for values, tick in zip(field, last, strict=True)], 1)
            for field in ([level.h for level in levels], [level.z for level in levels])
        )
        return CWVAEState(h, z, length)

    # ---------------------------------------------------------------- imagination

    def _next(self, state: CWVAEState, sample: bool) -> CWVAEState:
        """Imagine the next frame's state: levels whose clock ticks take a step of their priors, from the top."""
        h, z = list(state.h.unbind(1)), list(state.z.unbind(1))
        above = state.h[:, 0, :0]
        for number, level in reversed(list(enumerate(self.levels))):
            ticks = (state.clock % level.period == 0)[:, None]
            if ticks.any():
                belief = level.step(z[number], above, h[number])
                p = level.prior(belief)
                h[number] = torch.where(ticks, belief, h[number])
                z[number] = torch.where(ticks, p.sample() if sample else p.mean, z[number])
            above = torch.cat([h[number], z[number]], -1)
        return CWVAEState(torch.stack(h, 1), torch.stack(z, 1), state.clock + 1)

    def imagine(self, state: CWVAEState, action: Int64[Tensor, " b"]) -> CWVAEState:
        """One frame at the priors' means; the action is not read."""
        return self._next(state, sample=False)

    def decode(self, state: CWVAEState) -> Float[Tensor, "b 3 h w"]:
        """Frame of the lowest level's state."""
        return self.decoder(torch.cat([state.h[:, :1], state.z[:, :1]], -1))[:, 0]

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], None]:
        """Sample a future of a context, open loop: K frames. The context is filtered at samples, too.

        Args:
            x: context, as for `observe`.
            a: not read.
            length: how many of its frames count.
            actions: not read; there are as many as frames to draw.
            mode: "full".
        """
        assert mode in self.generation_modes, mode
        state = self._observe(x, length, sample=True)
        frames = []
        for _ in range(actions.shape[1]):
            state = self._next(state, sample=True)
            frames.append(self.decode(state))
        return torch.stack(frames, 1), None

    def reconstruct(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b n 3 h w"], None]:
        """Rebuild what follows the context of a full training window; a CW-VAE finds no boundaries."""
        lowest = self.infer(self.encoder(x), torch.ones_like(x[:, :, 0, 0, 0]))[0]
        return self.decoder(torch.cat([lowest.h, lowest.z], -1)[:, self.config.options.context :]), None

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: int) -> Losses:
        """Negative lower bound per frame: the image's error and, at its ticks, every level's divergence."""
        x = scale(self.encoder.arrange(batch.observation))
        levels = self.infer(self.encoder.embed(x), torch.ones_like(batch.action, dtype=torch.float))
        frames = x.shape[1]
        kl = [
            gaussian_kl(filtered.q, level.prior(filtered.h)).sum(1).mean() / frames
            for level, filtered in zip(self.levels, levels, strict=True)
        ]
        lowest = torch.cat([levels[0].h, levels[0].z], -1)
        terms = {
            "image": image_nll(x, self.decoder.arranged(lowest), self.config.options.sigma),
            "kl_s": torch.stack(kl).sum(),
        }
        metrics = {f"kl_s_{number}": value.detach() for number, value in enumerate(kl, 1)}
        metrics["nelbo"] = torch.stack(list(terms.values())).sum().detach()
        return Losses(terms, dict.fromkeys(terms, 1.0), metrics)
