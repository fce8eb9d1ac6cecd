"""RSSM: the recurrent state space model that *Variational Temporal Abstraction* is compared with (section 5.2).

The networks of HRSSM with one level: every step updates the state and is conditioned on its action.

| symbol   | code     | shape         | meaning                                        |
|----------|----------|---------------|------------------------------------------------|
| x_t, e_t | `x`, `e` | (B, T, ...)   | frame, its embedding                           |
| a_t      | `a`      | (B, T)        | action taken after x_t                         |
| s_t, h_t | `s`, `h` | (B, T, Ds/Dh) | state, its recurrent belief                    |
| phi_fwd  | `phi`    | (B, T, D)     | what q(s) reads: context and window so far     |

    h_t = f_s-rnn(s_{t-1} || a_{t-1}, h_{t-1}), s_t ~ p(s_t | h_t), x_t ~ p(x_t | s_t), s_0 = 0, h_0 = f_ctx(X_ctx)
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from world_models.blocks.distributions import Gaussian, GaussianHead, gaussian_kl, image_nll
from world_models.blocks.frames import frame_decoder, frame_encoder
from world_models.blocks.goals import GoalSpace, cosine_loss
from world_models.blocks.images import scale, to_float
from world_models.blocks.networks import (
    GRU,
    Sizes,
    keep_last,
    one_hot_actions,
)
from world_models.interface import ACTIONS, Batch, Losses


@dataclass(frozen=True)
class RSSMOptions:
    """What `--variant` chooses. The defaults are the paper's."""

    context: int = 5
    """frames before the window"""
    window: int = 20
    """T: frames of the evidence lower bound"""
    horizon: int = 20
    """frames of an imagined rollout while training (with `imagination_weight`)"""
    dequantise: bool = True
    """add uniform noise within the 5-bit steps of the images while training"""
    sigma: float = 1.0
    """deviation of the Gaussian likelihood"""
    imagination_weight: float | None = None
    """weight of the contrastive loss on imagined steps; None: the paper's cosine loss on posterior states"""
    contrast_temperature: float = 0.1
    """temperature of the contrastive loss"""
    contrast_frames: int = 12
    """frames of each sequence that the contrastive loss compares"""
    legal_weight: float | None = None
    """weight of predicting the legal actions after a step; None: not predicted, planners try all"""


VTA = RSSMOptions()
OURS = RSSMOptions(horizon=36, dequantise=False, imagination_weight=10.0, legal_weight=10.0)
VARIANTS = {"vta": VTA, "ours": OURS}


@dataclass(frozen=True)
class RSSMConfig:
    """Everything that defines a RSSM."""

    sizes: Sizes
    options: RSSMOptions
    frame_size: int = 32
    actions: int = ACTIONS
    """0 for videos, which have neither actions nor goals"""


class RSSMState(NamedTuple):
    """Belief at one environment step."""

    s: Float[Tensor, "*b s"]
    h: Float[Tensor, "*b h"]


class RSSM(nn.Module):
    """Recurrent state space model, one transition an environment step."""

    generation_modes = ("full",)

    def __init__(self, config: RSSMConfig) -> None:
        """Build the networks with random weights."""
        super().__init__()
        self.config = config
        sizes, o = config.sizes, config.options
        d, belief = sizes.embedding, sizes.belief
        self.encoder = frame_encoder(sizes, config.frame_size)
        self.decoder = frame_decoder(sizes, config.frame_size, sizes.state)
        self.context_rnn = GRU(d, belief)  # h_0 = f_ctx(X_ctx)
        self.phi_forward = GRU(d, belief)
        self.s_rnn = GRU(sizes.state + config.actions, belief)  # f_s-rnn, with the action
        self.prior_s = GaussianHead(belief, belief, sizes.state)
        self.post_s = GaussianHead(belief, belief, sizes.state)
        feature = None if o.imagination_weight is None else sizes.feature
        if config.actions:
            self.goals = GoalSpace(sizes.state + belief, belief, feature, o.legal_weight is not None)

    @property
    def window_length(self) -> int:
        """Frames of a training window, context included."""
        o = self.config.options
        return o.context + (o.window if o.imagination_weight is None else max(o.window, o.horizon))

    def step_s(self, s: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """Return h_t = f_s-rnn(s_{t-1} || a_{t-1}, h_{t-1})."""
        return self.s_rnn.step(self.s_rnn.project(torch.cat([s, one_hot_actions(a, self.config.actions)], -1)), h)

    def context_belief(self, e: Float[Tensor, "b t d"], length: Int64[Tensor, " b"]) -> Float[Tensor, "b h"]:
        """Return h_0 = f_ctx of the last `length` embeddings; those before do not count."""
        return self.context_rnn.scan(e, keep=keep_last(e.shape[1], length))[:, -1]

    def observe(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t_1"], length: Int64[Tensor, " b"]
    ) -> RSSMState:
        """Belief after the last `length` frames: s_0 = 0 and h_0."""
        h = self.context_belief(self.encoder(x), length)
        return RSSMState(h.new_zeros(len(h), self.config.sizes.state), h)

    def imagine(self, state: RSSMState, action: Int64[Tensor, " b"]) -> RSSMState:
        """One environment step at the prior's mean."""
        h = self.step_s(state.s, action, state.h)
        return RSSMState(self.prior_s(h).mean, h)

    def feature(self, state: RSSMState) -> Float[Tensor, "*b d"]:
        """Feature of (s, h)."""
        return self.goals.feature(torch.cat(state, -1))

    def goal_feature(self, goal: Float[Tensor, "b 3 3 3"]) -> Float[Tensor, "b d"]:
        """Feature of a goal crop."""
        return self.goals.goal(goal)

    def legal(self, state: RSSMState) -> Bool[Tensor, "b 3"]:
        """Actions expected to be legal after the step; all, where the variant predicts none."""
        return self.goals.legal(torch.cat(state, -1))

    def decode(self, state: RSSMState) -> Float[Tensor, "b 3 h w"]:
        """Frame of the state."""
        return self.decoder(state.s[:, None])[:, 0]

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], None]:
        """Sample a future of a context, one frame an action; a RSSM knows no boundaries and no other mode.

        Args:
            x: context, as for `observe`.
            a: its actions.
            length: how many of its frames count.
            actions: one for every environment step.
            mode: "full".
        """
        assert mode in self.generation_modes, mode
        state = self.observe(x, a, length)
        frames = []
        for t in range(actions.shape[1]):
            h = self.step_s(state.s, actions[:, t], state.h)
            state = RSSMState(self.prior_s(h).sample(), h)
            frames.append(self.decode(state))
        return torch.stack(frames, 1), None

    def reconstruct(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b n 3 h w"], None]:
        """Rebuild the window of a full training window; a RSSM knows no boundaries."""
        o = self.config.options
        length = torch.full((len(x),), o.context, device=x.device)
        return self.decoder(self._infer(self.encoder(x[:, : o.context + o.window]), length).sample()), None

    def _infer(self, e: Tensor, length: Tensor) -> Gaussian:
        """Return q(s_t | phi_fwd_t) over the window after the last `length` frames of context."""
        o = self.config.options
        keep = torch.cat([keep_last(o.context, length), e.new_ones(len(e), o.window)], 1)
        return self.post_s(self.phi_forward.scan(e, keep=keep)[:, o.context :])

    def loss(self, batch: Batch, step: int) -> Losses:
        """Negative lower bound per frame and the goal feature's loss."""
        o = self.config.options
        window = slice(o.context, o.context + o.window)
        length = torch.randint(1, o.context + 1, (len(batch.action),), device=batch.action.device)
        x = scale(self.encoder.arrange(batch.observation), dequantise=self.training and o.dequantise)
        e = self.encoder.embed(x)
        q_s = self._infer(e[:, : window.stop], length)
        s = q_s.sample()
        h_0 = self.context_belief(e[:, : o.context], length)
        a = batch.action[:, o.context - 1 : -1]  # a_{t-1}
        h = self._scan_h(s, a[:, : o.window], h_0)
        terms = {
            "image": image_nll(x[:, window], self.decoder.arranged(s), o.sigma),
            "kl_s": gaussian_kl(q_s, self.prior_s(h)).mean(),
        }
        weights = dict.fromkeys(terms, 1.0)
        metrics = {"nelbo": torch.stack(list(terms.values())).sum().detach()}
        if not self.config.actions:  # a video has no goals
            return Losses(terms, weights, metrics)
        if o.imagination_weight is None:
            goal = self.goal_feature(to_float(batch.achieved_goal[:, window].flatten(0, 1)))
            terms["goal"] = cosine_loss(self.feature(RSSMState(s, h)).flatten(0, 1), goal)
            weights["goal"] = 1.0
        else:
            terms |= self._imagination(batch, h_0, a[:, : o.horizon])
            weights["contrast"] = o.imagination_weight
            if o.legal_weight is not None:
                weights["legal"] = o.legal_weight
        return Losses(terms, weights, metrics)

    def _scan_h(self, s: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """Return (B, T, Dh): `step_s` over a window; a holds a_{t-1}."""
        s_before = torch.cat([torch.zeros_like(s[:, :1]), s[:, :-1]], 1)
        return self.s_rnn.scan(torch.cat([s_before, one_hot_actions(a, self.config.actions)], -1), h)

    def _imagination(self, batch: Batch, h: Tensor, a: Tensor) -> dict[str, Tensor]:
        """Train steps the way planning uses them: imagined from the context, every feature has to name its crop.

        Differs from the paper, as in HRSSM: the baseline gets every advantage that applies to it.
        """
        o = self.config.options
        s = h.new_zeros(len(h), self.config.sizes.state)
        imagined = torch.cat(self.s_rnn.rollout(self.prior_s, s, h, one_hot_actions(a)), -1)
        crop = batch.achieved_goal[:, o.context - 1 : o.context + o.horizon]
        states = torch.cat([torch.cat([s, h], -1)[:, None], imagined], 1)
        terms = {"contrast": self.goals.contrast(states, crop, o.contrast_frames, o.contrast_temperature)}
        if o.legal_weight is not None:
            mask = batch.action_mask[:, o.context : o.context + o.horizon]
            terms["legal"] = self.goals.legal_error(imagined, torch.ones_like(imagined[..., 0]), mask)
        return terms
