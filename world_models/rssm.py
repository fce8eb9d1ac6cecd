"""RSSM: the recurrent state space model that *Variational Temporal Abstraction* is compared with (section 5.2).

The networks of HRSSM with one level: every step updates the state and is conditioned on its action.

| symbol   | code     | shape         | meaning                                       |
|----------|----------|---------------|-----------------------------------------------|
| x_t, e_t | `x`, `e` | (B, T, ...)   | frame, its embedding                          |
| a_t      | `a`      | (B, T)        | action taken after x_t                        |
| s_t, h_t | `s`, `h` | (B, T, Ds/Dh) | state, its recurrent belief                   |
| phi_fwd  | `phi`    | (B, T, D)     | features of context and window so far: q(s)'s |

    h_t = f_s-rnn(s_{t-1} || a_{t-1}, h_{t-1}), s_t ~ p(s_t | h_t), x_t ~ p(x_t | s_t), s_0 = 0, h_0 = f_ctx(X_ctx)
    q(s_t | X) = N(phi_fwd_t), -log p(X) <= E_q sum_t [-log p(x_t | s_t) + KL[q(s_t) || p(s_t)]]
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from world_models.blocks.base import GoalModel
from world_models.blocks.distributions import Gaussian, GaussianHead, gaussian_kl, image_nll
from world_models.blocks.global_batch import integers
from world_models.blocks.goals import GoalSpace, check_goals
from world_models.blocks.images import scale
from world_models.blocks.networks import GRU, SIZES, Sizes, keep_last, one_hot_actions
from world_models.interface import Batch, Losses, ModelConfig, StepNumber
from world_models.options import Options, Positive
from world_models.shapes import Action, Actions, Between, Frames, Lengths, NewFrames, Planned
from world_models.spec import ModelSpec, Recipe


@dataclass(frozen=True)
class RSSMOptions(Options):
    """What `--variant` chooses; fields as in `HRSSMOptions`, for steps instead of jumps. Defaults are the paper's."""

    context: int = 5
    window: int = 20
    horizon: int = 20
    dequantise: bool = True
    sigma: Positive = 1.0
    imagination_weight: float | None = None
    contrast_temperature: Positive = 0.1
    contrast_frames: int = 12
    legal_weight: float | None = None


VTA = RSSMOptions()
OURS = RSSMOptions(horizon=36, dequantise=False, imagination_weight=10.0, legal_weight=10.0)
VARIANTS = {"vta": VTA, "ours": OURS}


class RSSMState(NamedTuple):
    """Belief at one environment step."""

    s: Float[Tensor, "*b s"]
    h: Float[Tensor, "*b h"]


class RSSM(GoalModel):
    """Recurrent state space model; one transition is one environment step."""

    replayable = True
    config: ModelConfig[Sizes, RSSMOptions]

    def __init__(self, config: ModelConfig[Sizes, RSSMOptions]) -> None:
        check_goals(config.actions, config.options)
        sizes, o = config.sizes, config.options
        super().__init__(config, sizes.state)
        d, belief = sizes.embedding, sizes.belief
        self.context_rnn = GRU(d, belief)  # h_0 = f_ctx(X_ctx)
        self.phi_forward = GRU(d, belief)
        self.s_rnn = GRU(sizes.state + config.actions, belief)  # f_s-rnn, with the action
        self.prior_s = GaussianHead(belief, belief, sizes.state)
        self.post_s = GaussianHead(belief, belief, sizes.state)
        feature = None if o.imagination_weight is None else sizes.feature
        if config.actions:
            self.goals = GoalSpace(
                sizes.state + belief, belief, feature, o.legal_weight is not None, config.actions, config.goal
            )

    @property
    def window_length(self) -> int:
        """Frames of a training window, context included."""
        o = self.config.options
        return o.context + (o.window if o.imagination_weight is None else max(o.window, o.horizon))

    def observe(self, x: Frames, a: Between, length: Lengths) -> RSSMState:
        """Belief after the last `length` frames: s_0 = 0 and h_0."""
        h = self.context_rnn.last(self.encoder(x), length)
        return RSSMState(h.new_zeros(len(h), self.config.sizes.state), h)

    def imagine(self, state: RSSMState, action: Action, sample: bool = False) -> RSSMState:
        """One environment step, h_t = f_s-rnn(s_{t-1} || a_{t-1}, h_{t-1}), and s_t at the prior's mean or a sample."""
        h = self.s_rnn(state.s, one_hot_actions(action, self.config.actions), h=state.h)
        p = self.prior_s(h)
        return RSSMState(p.sample() if sample else p.mean, h)

    def decode(self, state: RSSMState) -> Float[Tensor, "b 3 h w"]:
        """Frame of the state."""
        return self.decoder(state.s[:, None])[:, 0]

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, None]:
        """As in `Generative`; a RSSM has no boundaries."""
        assert mode in self.generation_modes, mode
        state, frames = self.observe(x, a, length), []
        for action in actions.unbind(1):
            state = self.imagine(state, action, sample=True)
            frames.append(self.decode(state))
        return torch.stack(frames, 1), None

    def reconstruct(self, x: Frames, a: Actions) -> tuple[NewFrames, None]:
        """As in `Rebuilding`: the window after the context."""
        o = self.config.options
        length = torch.full((len(x),), o.context, device=x.device)
        return self.decoder(self._infer(self.encoder(x[:, : o.context + o.window]), length).sample()), None

    def _infer(self, e: Tensor, length: Tensor) -> Gaussian:
        """Return q(s_t | phi_fwd_t) over the window after the last `length` frames of context."""
        o = self.config.options
        keep = torch.cat([keep_last(o.context, length), e.new_ones(len(e), o.window)], 1)
        return self.post_s(self.phi_forward.scan(e, keep=keep)[:, o.context :])

    def loss(self, batch: Batch, step: StepNumber) -> Losses:
        """Negative lower bound per frame and the loss of the goal's feature."""
        o = self.config.options
        window = slice(o.context, o.context + o.window)
        length = integers(1, o.context + 1, batch.action.shape[:1], batch.action.device)
        x = scale(self.encoder.patchify(batch.observation), dequantise=self.training and o.dequantise)
        e = self.encoder.embed(x)
        q_s = self._infer(e[:, : window.stop], length)
        s = q_s.sample()
        h_0 = self.context_rnn.last(e[:, : o.context], length)
        a = batch.action[:, o.context - 1 : -1]  # a_{t-1}
        h = self._scan_h(s, a[:, : o.window], h_0)
        image = image_nll(x[:, window], self.decoder.patches(s), o.sigma)
        losses = Losses.bound({"image": image, "kl_s": gaussian_kl(q_s, self.prior_s(h)).mean()})
        if not self.config.actions:  # a video has no goals
            return losses
        if o.imagination_weight is None:
            losses.add("goal", self.goals.cosine(torch.cat([s, h], -1), batch.achieved_goal[:, window]), 1.0)
        else:
            self._add_imagination(losses, batch, h_0, a[:, : o.horizon])
        return losses

    def _scan_h(self, s: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """Return (B, T, Dh): `imagine`'s h over a window; a holds a_{t-1}."""
        s_before = F.pad(s[:, :-1], (0, 0, 1, 0))
        return self.s_rnn.scan(torch.cat([s_before, one_hot_actions(a, self.config.actions)], -1), h)

    def _add_imagination(self, losses: Losses, batch: Batch, h: Tensor, a: Tensor) -> None:
        """Train steps the way planning uses them: imagined from the context, every feature has to name its crop.

        Differs from the paper, as in HRSSM: the baseline gets every advantage that applies to it.
        """
        o = self.config.options
        assert o.imagination_weight is not None
        s = h.new_zeros(len(h), self.config.sizes.state)
        imagined = torch.cat(self.s_rnn.rollout(self.prior_s, s, h, one_hot_actions(a, self.config.actions)), -1)
        crop = batch.achieved_goal[:, o.context - 1 : o.context + o.horizon]
        states = torch.cat([torch.cat([s, h], -1)[:, None], imagined], 1)
        contrast = self.goals.contrast(states, crop, o.contrast_frames, o.contrast_temperature)
        losses.add("contrast", contrast, o.imagination_weight)
        if o.legal_weight is not None:
            mask = batch.action_mask[:, o.context : o.context + o.horizon]
            legal = self.goals.legal_error(imagined, torch.ones_like(imagined[..., 0]), mask)
            losses.add("legal", legal, o.legal_weight)


# HRSSM uses the same.
RECIPES = {
    ("quick", "vta"): Recipe(3_000, 32, 5e-4, clip=10.0),
    ("quick", "ours"): Recipe(1_600, 32, 2e-3, clip=100.0, warmup=100, decay=0.5),
    ("paper", "vta"): Recipe(500_000, 64, 5e-4, clip=10.0),
    ("paper", "ours"): Recipe(50_000, 64, 5e-4, clip=10.0, warmup=100, decay=0.5),
}
SPEC = ModelSpec(
    RSSM,
    SIZES | {"million": replace(SIZES["quick"], belief=237)},
    VARIANTS,
    RECIPES,
    "RSSM",
    colour="#d55e00",
    planner="shooting",
    bounded_context=True,
)
