"""CW-VAE of Saxena, Ba and Hafner, *Clockwork Variational Autoencoders* (NeurIPS 2021, arXiv:2102.09532): videos only.

A hierarchy of recurrent state space models, each of which ticks at its own fixed pace: level l at every k^(l-1)-th
frame, the first one included. Its state stays the same in between and is an input of the level below.

| symbol     | code                  | shape         | meaning                                                         |
|------------|-----------------------|---------------|-----------------------------------------------------------------|
| x_t        | `x`                   | (B, T, ...)   | frame                                                           |
| L, k       | `levels`, `factor`    | –             | levels; ticks of a level per tick of the level above            |
| T_l        | `period`              | –             | active steps of level l: every k^(l-1)-th frame; N ticks in all |
| e^l        | `e`                   | (B, N, D)     | embedding of the k^(l-1) frames from a tick of level l on       |
| h^l        | `h`                   | (B, N, Dh)    | recurrent belief, the state's deterministic part                |
| z^l        | `z`                   | (B, N, Ds)    | the state's stochastic part                                     |
| s^{l+1}    | `above`               | (B, N, Dh+Ds) | state of the level above, (h, z); none above the top            |
| t          | `clock`               | (B,)          | frames so far                                                   |

    h^l_t = f^l-rnn(z^l_{t-1} || s^{l+1}_t, h^l_{t-1}), s^l_0 = 0, t in T_l
    p(z^l_t | h^l_t), q(z^l_t | h^l_t || e^l_t), x_t ~ p(x_t | s^1_t)
    -log p(x) <= E_q [sum_t -log p(x_t | s^1_t) + sum_l sum_{t in T_l} KL[q(z^l_t) || p(z^l_t)]]

Prior and posterior share the recurrence and differ in their outputs. So the posterior reads its own last samples, as in
the paper and unlike in rssm.py, whose posterior has its own recurrence: this takes the loop of `filter_scan`. Levels
are computed from the top down, each over all its ticks at once. If a sequence ends within a tick, e^l sums its frames.

Differs from the paper: the networks of frames, recurrent cells and standard deviations (a sigmoid) are those of the
sibling models, so that only the hierarchies are compared; `observe` filters a context at the posteriors' means.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.base import FrameModel
from world_models.blocks.distributions import Gaussian, GaussianHead, gaussian_kl, image_nll
from world_models.blocks.filter_scan import filter_scan
from world_models.blocks.global_batch import normal
from world_models.blocks.images import scale
from world_models.blocks.networks import GRU, FrameSizes
from world_models.interface import Batch, Losses, ModelConfig, StepNumber
from world_models.options import Domain, Options, Positive, check_context
from world_models.shapes import Action, Actions, Between, Frames, Lengths, NewFrames, Planned
from world_models.spec import ModelSpec, Recipe


@dataclass(frozen=True)
class CWVAESizes(FrameSizes):
    """Sizes of a CW-VAE's networks: what `--preset` chooses. The embedding is |e|, of every level."""

    belief: int
    """Dh: a level's recurrent belief"""
    state: int
    """Ds: a level's stochastic state"""


QUICK = CWVAESizes(images="patch", channels=32, embedding=128, belief=128, state=12)
# The paper's appendix, with the sibling models' channels.
PAPER = CWVAESizes(images="convolution", channels=128, embedding=1024, belief=200, state=20)
MILLION = replace(QUICK, belief=153)
SIZES = {"quick": QUICK, "paper": PAPER, "million": MILLION}


@dataclass(frozen=True)
class CWVAEOptions(Options):
    """What `--variant` chooses. The defaults are the paper's."""

    levels: Annotated[int, Domain(1, 16)] = 3
    """L: levels of the hierarchy"""
    factor: Annotated[int, Domain(1, 1000)] = 6
    """k: ticks of a level per tick of the level above; 1: a hierarchy without clocks"""
    window: int = 100
    """T: frames of the evidence lower bound"""
    context: int = 36
    """frames shown before an open-loop prediction, fewer than `window`: one tick of the paper's top level"""
    sigma: Positive = 1.0
    """standard deviation of the Gaussian likelihood"""

    def __post_init__(self) -> None:
        """Check that the context leaves frames to predict."""
        super().__post_init__()
        check_context(self.context, self.window)


VARIANTS = {"paper": CWVAEOptions()}


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

    @property
    def state(self) -> Tensor:
        """s^l = (h, z)."""
        return torch.cat([self.h, self.z], -1)


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

    def gather(self, e: Float[Tensor, "b t d"], keep: Float[Tensor, "b t"]) -> Float[Tensor, "b n d"]:
        """Return e^l: sums over the frames of each tick whose `keep` is 1 (paper, appendix)."""
        e = self.embed(e) * keep[..., None]
        return F.pad(e, (0, 0, 0, -e.shape[1] % self.period)).unflatten(1, (-1, self.period)).sum(2)

    def filter(self, e: Tensor, above: Tensor, noise: Tensor) -> Filtered:
        """Compute h^l over all ticks, each from a sample of the posterior q(z^l_t | h^l_t || e^l_t) at the tick before.

        `noise` (B, N, Ds) are the standard normals of the samples; zeros give means.
        """
        first, last = self.post.linear_layers
        belief = self.rnn.recur.in_features
        projected, rnn = self.rnn.given(above, noise.shape[-1])
        features = F.linear(e.transpose(0, 1), first.weight[:, belief:], first.bias).transpose(0, 1)
        head = (first.weight[:, :belief], last.weight, last.bias)
        return Filtered(*filter_scan(projected, features, noise, rnn, head))


class CWVAE(FrameModel):
    """Clockwork variational autoencoder; one transition is one frame."""

    replayable = True
    config: ModelConfig[CWVAESizes, CWVAEOptions]

    def __init__(self, config: ModelConfig[CWVAESizes, CWVAEOptions]) -> None:
        sizes, o = config.sizes, config.options
        super().__init__(config, sizes.belief + sizes.state)
        levels = [Level(sizes, o.factor**number, number == o.levels - 1) for number in range(o.levels)]
        self.levels: Sequence[Level] = nn.ModuleList(levels)  # type: ignore[assignment]

    @property
    def window_length(self) -> int:
        """Frames of a training window."""
        return self.config.options.window

    # ---------------------------------------------------------------- inference

    def infer(self, e: Float[Tensor, "b t d"], keep: Float[Tensor, "b t"], sample: bool = True) -> list[Filtered]:
        """Filter frames, the first of which is a tick of every level; return the levels, the lowest first.

        `keep` is 1 for frames that count, which come first in each row. Without `sample`, posteriors give means.
        """
        filtered: list[Filtered] = []
        above, ticks = e[..., :0], 1
        for level in reversed(self.levels):
            tick = level.gather(e, keep)
            shape = (*tick.shape[:2], self.config.sizes.state)
            noise = normal(shape, e.device) if sample else tick.new_zeros(shape)
            above = above.repeat_interleave(ticks, 1)[:, : tick.shape[1]]
            filtered.insert(0, level.filter(tick, above, noise))
            above, ticks = filtered[0].state, self.config.options.factor
        return filtered

    def observe(self, x: Frames, a: Between, length: Lengths, sample: bool = False) -> CWVAEState:
        """Belief after the last `length` frames, which begin at clock 0; each level is at its last tick."""
        frames, rows = x.shape[1], torch.arange(len(x), device=x.device)
        clock = torch.arange(frames, device=x.device)
        moved = (clock + (frames - length)[:, None]).clamp(max=frames - 1)  # padding goes to the end, where none counts
        keep = (clock < length[:, None]).float()
        levels = self.infer(self.encoder(x)[rows[:, None], moved], keep, sample)
        last = [(length - 1) // level.period for level in self.levels]
        h = torch.stack([level.h[rows, tick] for level, tick in zip(levels, last, strict=True)], 1)
        z = torch.stack([level.z[rows, tick] for level, tick in zip(levels, last, strict=True)], 1)
        return CWVAEState(h, z, length)

    # ---------------------------------------------------------------- imagination

    def imagine(self, state: CWVAEState, action: Action, sample: bool = False) -> CWVAEState:
        """One frame: levels whose clock ticks take a step of their priors, from the top; the action is not read."""
        h, z = list(state.h.unbind(1)), list(state.z.unbind(1))
        above = state.h[:, 0, :0]
        for number, level in reversed(list(enumerate(self.levels))):
            ticks = (state.clock % level.period == 0)[:, None]
            if ticks.any():
                belief = level.rnn(z[number], above, h=h[number])
                p = level.prior(belief)
                h[number] = torch.where(ticks, belief, h[number])
                z[number] = torch.where(ticks, p.sample() if sample else p.mean, z[number])
            above = torch.cat([h[number], z[number]], -1)
        return CWVAEState(torch.stack(h, 1), torch.stack(z, 1), state.clock + 1)

    def decode(self, state: CWVAEState) -> Float[Tensor, "b 3 h w"]:
        """Frame of the lowest level's state."""
        return self.decoder(torch.cat([state.h[:, :1], state.z[:, :1]], -1))[:, 0]

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, None]:
        """As in `Generative`, with the context filtered at samples too; a CW-VAE has no boundaries."""
        assert mode in self.generation_modes, mode
        state, frames = self.observe(x, a, length, sample=True), []
        for action in actions.unbind(1):
            state = self.imagine(state, action, sample=True)
            frames.append(self.decode(state))
        return torch.stack(frames, 1), None

    def reconstruct(self, x: Frames, a: Actions) -> tuple[NewFrames, None]:
        """As in `Rebuilding`."""
        lowest = self.infer(self.encoder(x), torch.ones_like(x[:, :, 0, 0, 0]))[0]
        return self.decoder(lowest.state[:, self.config.options.context :]), None

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: StepNumber) -> Losses:
        """Negative lower bound per frame: the image's error and, at its ticks, every level's divergence."""
        x = scale(self.encoder.patchify(batch.observation))
        levels = self.infer(self.encoder.embed(x), torch.ones_like(batch.action, dtype=torch.float))
        kl = [
            gaussian_kl(filtered.q, level.prior(filtered.h)).sum(1).mean() / x.shape[1]
            for level, filtered in zip(self.levels, levels, strict=True)
        ]
        image = image_nll(x, self.decoder.patches(levels[0].state), self.config.options.sigma)
        metrics = {f"kl_s_{number}": value.detach() for number, value in enumerate(kl, 1)}
        return Losses.bound({"image": image, "kl_s": torch.stack(kl).sum()}, metrics)


RECIPES = {
    ("quick", "paper"): Recipe(2_000, 32, 1e-3, clip=1e4, warmup=100, decay=0.5, epsilon=1e-4, amsgrad=False),
    ("paper", "paper"): Recipe(60_000, 100, 3e-4, clip=1e4, epsilon=1e-4, amsgrad=False),
}
SPEC = ModelSpec(CWVAE, SIZES, VARIANTS, RECIPES, "CW-VAE", colour="#cc79a7", acts=False, shown=36)
