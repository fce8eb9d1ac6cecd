"""HRSSM of Kim, Ahn and Bengio, *Variational Temporal Abstraction* (NeurIPS 2019).

| symbol          | code             | shape         | meaning                                               |
|-----------------|------------------|---------------|-------------------------------------------------------|
| x_t, e_t, a_t   | `x`, `e`, `a`    | (B, T, ...)   | frame, its embedding, action taken after x_t          |
| m_t, m_{t-1}    | `m`, `start`     | (B, T)        | 1 where a subsequence ends, starts at t; m_0 = 1      |
| z_t, c_t        | `z`, `c`         | (B, T, Dz/Dc) | temporal abstraction, its recurrent belief            |
| s_t, h_t        | `s`, `h`         | (B, T, Ds/Dh) | observation abstraction, its recurrent belief         |
| psi_fwd/bwd     | `psi_*`          | (B, T, D)     | q(z)'s features of the past, the present subsequence  |
| phi_fwd         | `phi`            | (B, T, D)     | q(s)'s features of the present subsequence so far     |

Equations, their sections and their code; N(c) is a Gaussian whose mean and standard deviation are computed from c:

    p(X, Z, S, M) = prod_t p(x_t | s_t) p(m_t | s_t) p(s_t | s_<t, z_t, m_{t-1}) p(z_t | z_<t, m_{t-1})    2.2
    p(x_t | s_t) = N(f_dec(s_t), sigma^2)                                            2.2  `decoder`, `image_nll`
    p(m_t = 1 | s_t) = 0 if n >= N_max, else 1 if l >= l_max, else sigmoid(f_m(s_t)) 2.3  `boundary_prior`, `prior_m`
    z_t = z_{t-1}, c_t = c_{t-1}                         if m_{t-1} = 0: COPY        2.4  `copy_or_update`, `_scan_c`
    z_t ~ N(c_t), c_t = f_z-rnn(z_{t-1}, a_{t-1}, c_{t-1})        if 1: UPDATE       2.4  `prior_z`, `jump`
    s_t ~ N(h_t), h_t = f_s-rnn(s_{t-1} || z_t, h_{t-1}) if m_{t-1} = 0: UPDATE      2.4  `prior_s`, `step_s`, `_scan_h`
                  h_t = f_s-mlp(z_t)                              if 1: INIT         2.4  `init_s`
    q(Z, S, M | X) = q(M | X) q(Z | M, X) q(S | Z, M, X)                               3  `_bound`
    q(m_t | X) = Bern(sigmoid(convolutions over X))                                    3  `boundary_logit`
    q(z_t | M, X) = z_{t-1} if m_{t-1} = 0, else N(psi_fwd_{t-1}, psi_bwd_t)           3  `infer`, `post_z`
    q(s_t | z_t, M, X) = N(phi_fwd_t, z_t)                                             3  `infer`, `post_s`
    -log p(X) <= E_q sum_t [-log p(x_t | s_t) + KL[q(s_t) || p(s_t)]                   3  `image`, `kl_s`
                            + m_{t-1} KL[q(z_t) || p(z_t)] + KL[q(m_t) || p(m_t)]]     3  `kl_z`, `kl_m`

Windows follow `context` frames, of which 1 to 5 count: c_0 = f_ctx(X_ctx) (section 5); `lookahead` frames follow them,
for q(m) only. Only z's transition sees actions, so that one jump is one action (section 5.2).

Where the variants differ, and why: `options`.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models import rssm
from world_models.blocks.base import GoalModel
from world_models.blocks.distributions import (
    Gaussian,
    GaussianHead,
    bernoulli_kl,
    gaussian_kl,
    image_nll,
    logistic_like,
    straight_through_bernoulli,
)
from world_models.blocks.global_batch import integers, mean_over_all, uniform
from world_models.blocks.goals import GoalSpace, check_goals
from world_models.blocks.images import scale
from world_models.blocks.networks import GRU, SIZES, Sizes, keep_last, mlp, one_hot_actions
from world_models.hrssm.boundaries import (
    BoundaryNet,
    ForeseenActions,
    boundary_prior,
    copy_or_update,
    decisions,
    random_boundaries,
    relaxed_kl,
    starts,
    too_short,
)
from world_models.hrssm.imagination import add_imagination
from world_models.hrssm.options import VARIANTS, HRSSMOptions
from world_models.interface import Batch, Losses, ModelConfig
from world_models.shapes import Action, Actions, Between, Frames, Lengths, NewFrames, Planned, Starts
from world_models.spec import ModelSpec


class HRSSMState(NamedTuple):
    """Belief at the end of a subsequence."""

    z: Float[Tensor, "b z"]
    c: Float[Tensor, "b c"]


class Posterior(NamedTuple):
    """Posteriors, samples and the beliefs that follow from these, over a window, (B, T, ...)."""

    q_z: Gaussian
    z: Tensor
    c: Tensor
    q_s: Gaussian
    s: Tensor
    h: Tensor


class Boundaries(NamedTuple):
    """Samples of q(m) over a window, (B, T), with the logits and the logistic noise that they come from."""

    m: Tensor
    logit: Tensor
    noise: Tensor


class HRSSM(GoalModel):
    """Hierarchical recurrent state space model with learned subsequences."""

    config: ModelConfig[Sizes, HRSSMOptions]
    generation_modes = ("full", "jumpy")
    belief_shown: Tensor

    def __init__(self, config: ModelConfig[Sizes, HRSSMOptions]) -> None:
        check_goals(config.actions, config.options)
        sizes, o = config.sizes, config.options
        d, belief = sizes.embedding, sizes.belief
        shown = sizes.state + belief * o.frames_see_belief
        super().__init__(config, shown)
        read = d + config.actions * o.boundary_sees_actions
        self.boundary_net = BoundaryNet(read, belief, o.boundary_causal, o.boundary_batch_norm)
        self.context_rnn = GRU(d, belief)  # c_0 = f_ctx(X_ctx)
        self.psi_forward, self.psi_backward, self.phi_forward = GRU(d, belief), GRU(d, belief), GRU(d, belief)
        self.z_rnn = GRU(sizes.abstraction + config.actions, belief)  # f_z-rnn, with the action
        below = sizes.abstraction + belief * o.below_sees_belief
        self.s_rnn = GRU(sizes.state + below, belief)  # f_s-rnn
        known = sizes.abstraction + belief * o.init_sees_belief
        self.s_init = nn.Sequential(mlp(known, belief, belief), nn.Tanh())  # f_s-mlp
        self.prior_z = GaussianHead(belief, belief, sizes.abstraction)
        self.prior_s = GaussianHead(belief, belief, sizes.state)
        self.prior_m = mlp(shown, belief, 1) if o.prior_m_is_mlp else nn.Linear(shown, 1)
        if o.frames_see_belief and o.belief_from:
            self.register_buffer("belief_shown", torch.zeros(()))  # 1 from that step on
        self.post_z = GaussianHead(2 * belief, belief, sizes.abstraction)
        self.post_s = GaussianHead(belief + below, belief, sizes.state)
        feature = None if o.imagination_weight is None else sizes.feature
        if config.actions:
            self.goals = GoalSpace(
                sizes.abstraction + belief, belief, feature, o.legal_weight is not None, config.actions, config.goal
            )
            if o.action_weight is not None:
                self.foreseen_actions = ForeseenActions(sizes.abstraction + belief, belief, o.l_max, config.actions)

    @property
    def window_length(self) -> int:
        """Frames of a training window, context and lookahead included."""
        o = self.config.options
        after = o.window if o.imagination_weight is None else max(o.window, o.horizon)
        return o.context + after + o.lookahead

    # ---------------------------------------------------------------- boundaries

    def boundary_logit(self, e: Float[Tensor, "b t d"], a: Actions) -> Float[Tensor, "b t"]:
        """Logit of q(m_t = 1 | X): convolutions over time (section 3, "Sequence Decomposition")."""
        if self.config.options.boundary_sees_actions:
            before = F.pad(one_hot_actions(a[:, :-1], self.config.actions), (0, 0, 1, 0))  # a_{t-1} at t
            e = torch.cat([e, before], -1)
        return self.boundary_net(e)

    def segment(self, x: Frames, a: Actions) -> Float[Tensor, "b t"]:
        """Probability q(m_t = 1) that a subsequence ends at each frame."""
        return torch.sigmoid(self.boundary_logit(self.encoder(x), a))

    def temperature(self, step: int) -> float:
        """Temperature of the boundary samples: from 1 to 0.1 (section 5.1)."""
        o = self.config.options
        return 0.1 + 0.9 * o.temperature_decay ** (step / o.temperature_steps)

    # ---------------------------------------------------------------- the transition

    def jump(self, state: HRSSMState, a: Tensor, parent: Tensor | None = None) -> Tensor:
        """Return c_t = f_z-rnn(z_{t-1}, a_{t-1}, c_{t-1}), the UPDATE of the temporal abstraction (section 2.4).

        With `parent`, row i continues from row parent[i] of the state, as in `GRU.step`.
        """
        z = state.z if parent is None else state.z.index_select(0, parent)
        return self.z_rnn(z, one_hot_actions(a, self.config.actions), h=state.c, parent=parent)

    def init_s(self, z: Tensor, c: Tensor) -> Tensor:
        """Return h_t = f_s-mlp(z_t), the INIT of the observation abstraction (section 2.4)."""
        return self.s_init(torch.cat([z, c], -1) if self.config.options.init_sees_belief else z)

    def step_s(self, s: Tensor, state: HRSSMState, h: Tensor, start: Tensor) -> Tensor:
        """Return h_t: INIT where a subsequence starts, else f_s-rnn(s_{t-1} || z_t, h_{t-1}) (section 2.4)."""
        return torch.lerp(self.s_rnn(s, self.abstract(*state), h=h), self.init_s(*state), start[:, None])

    def abstract(self, z: Tensor, c: Tensor) -> Tensor:
        """What q(s_t) and f_s-rnn read of the temporal abstraction."""
        return torch.cat([z, c], -1) if self.config.options.below_sees_belief else z

    def shown(self, h: Tensor, s: Tensor) -> Tensor:
        """What x_t is decoded from."""
        h = h * self.belief_shown if hasattr(self, "belief_shown") else h
        return torch.cat([s, h], -1) if self.config.options.frames_see_belief else s

    def end_logit(self, h: Tensor, s: Tensor) -> Tensor:
        """Logit of p(m_t = 1 | s_t), without N_max and l_max."""
        return self.prior_m(torch.cat([s, h], -1) if self.config.options.frames_see_belief else s).squeeze(-1)

    # ---------------------------------------------------------------- inference

    def infer(self, e: Tensor, a: Tensor, start: Tensor, m: Tensor, length: Tensor) -> Posterior:
        """Sample q(Z|M,X) and q(S|Z,M,X) (section 3, "State Inference").

        Args:
            e: (B, context + T, D) embeddings of context and window.
            a: (B, T, A) actions of jumps, see `jump_actions`.
            start: (B, T) m_{t-1}.
            m: (B, T) m_t.
            length: (B,) how many context frames count.
        """
        context = e.shape[1] - start.shape[1]
        window = e[:, context:]
        keep = torch.cat([keep_last(context, length), torch.ones_like(start[:, 1:])], 1)
        psi_forward = self.psi_forward.scan(e[:, :-1], keep=keep)[:, context - 1 :]  # psi_fwd at t - 1
        psi_backward = self.psi_backward.scan(window.flip(1), keep=1 - m.flip(1)).flip(1)
        phi = self.phi_forward.scan(window, keep=1 - start)
        q_z = self.post_z(torch.cat([psi_forward, psi_backward], -1))
        z = copy_or_update(q_z.sample(), start)
        c = self._scan_c(z, a, start, self.context_rnn.last(e[:, :context], length))
        q_s = self.post_s(torch.cat([phi, self.abstract(z, c)], -1))
        s = q_s.sample()
        return Posterior(q_z, z, c, q_s, s, self._scan_h(s, z, c, start))

    def jump_actions(self, a: Actions, choice: Bool[Tensor, "b t"], m: Tensor) -> Float[Tensor, "b window actions"]:
        """The action that each frame of the window would start a subsequence with, as `jump_action` chooses it.

        Args:
            a: actions of context and window, at least.
            choice: whether several actions were legal.
            m: (B, T) where a subsequence ends, of the window.
        """
        o, given = self.config.options, one_hot_actions(a, self.config.actions)
        first, last = o.context, o.context + o.window
        if not self.config.actions or o.jump_action == "before":
            return given[:, first - 1 : last - 1]
        given = given[:, first:last]
        return given if o.jump_action == "first" else decisions(given, choice[:, first:last], m)

    def observe(self, x: Frames, a: Between, length: Lengths) -> HRSSMState:
        """Belief after the last `length` frames: z_0 = 0 and c_0, ready for the first jump.

        If jumps read an action of their own subsequence, which begins with the frame that the next action is chosen at,
        then the last frame does not count, unless it is the only one.
        """
        e = self.encoder(x)
        if self.config.actions and self.config.options.jump_action != "before" and x.shape[1] > 1:
            alone = (length == 1)[:, None, None]
            e, length = torch.where(alone, e[:, 1:], e[:, :-1]), (length - 1).clamp(min=1)
        c = self.context_rnn.last(e, length)
        return HRSSMState(c.new_zeros(len(c), self.config.sizes.abstraction), c)

    # ---------------------------------------------------------------- imagination

    def imagine(self, state: HRSSMState, action: Action, sample: bool = False) -> HRSSMState:
        """One jump given the passage's action: the next temporal abstraction at its prior mean, or a sample."""
        c = self.jump(state, action)
        p = self.prior_z(c)
        return HRSSMState(p.sample() if sample else p.mean, c)

    def imagine_from(self, state: HRSSMState, parent: Int64[Tensor, " b"], action: Action) -> HRSSMState:
        """As in `Branching`: products of states that several rows continue from are computed once."""
        c = self.jump(state, action, parent)
        return HRSSMState(self.prior_z(c).mean, c)

    def decode(self, state: HRSSMState, sample: bool = False) -> Float[Tensor, "b 3 h w"]:
        """First frame of the subsequence: s at its prior mean after INIT, or a sample."""
        h = self.init_s(*state)
        p = self.prior_s(h)
        return self.decoder(self.shown(h, p.sample() if sample else p.mean)[:, None])[:, 0]

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, Starts]:
        """As in `Generative`, one jump per action.

        "full" decodes every frame: `window` of them, or one per action of a video. Subsequences end by p(m_t | s_t),
        l_min and l_max, except the last action's; N_max applies to training windows only. "jumpy" decodes the first
        frame of each subsequence. "timed" decodes one frame per action, which is the one before it; a jump
        reads that before its first frame.
        """
        o, jumpy, timed = self.config.options, mode == "jumpy", mode == "timed" or not self.config.actions
        if mode == "timed" and o.jump_action != "before":
            raise ValueError(
                f"timed generation needs the option jump_action=before, got {o.jump_action}: train with it"
            )
        state = self.observe(x, a, length)
        s = state.z.new_zeros(len(x), self.config.sizes.state)
        h = torch.zeros_like(state.c)
        start, used, since = s.new_ones(len(x)), torch.zeros_like(length), torch.zeros_like(length)
        frames, begun = [], []
        for t in range(actions.shape[1] if jumpy or timed else o.window):
            place = torch.full_like(used, t) if timed else used.clamp(max=actions.shape[1] - 1)
            action = actions.gather(1, place[:, None])[:, 0]
            c = self.jump(state, action)
            z = self.prior_z(c).sample()
            state = HRSSMState(torch.lerp(state.z, z, start[:, None]), torch.lerp(state.c, c, start[:, None]))
            h = self.step_s(s, state, h, start)
            s = self.prior_s(h).sample()
            frames.append(self.decoder(self.shown(h, s)[:, None])[:, 0])
            begun.append(start)
            used, since = used + start.long(), torch.where(start > 0, 1, since + 1)
            sampled = torch.bernoulli(torch.sigmoid(self.end_logit(h, s))).bool() & (since >= o.l_min)
            ends = sampled | (since >= o.l_max)
            start = torch.ones_like(start) if jumpy else (ends & (timed | (used < actions.shape[1]))).float()
        return torch.stack(frames, 1), torch.stack(begun, 1)

    def reconstruct(self, x: Frames, a: Actions) -> tuple[NewFrames, Starts]:
        """As in `Rebuilding`: the window after the context. Every frame counts as a choice (`jump_actions`)."""
        o = self.config.options
        e = self.encoder(x)
        m = (self.boundary_logit(e, a) > 0).float()[:, o.context : o.context + o.window]
        start, whole = starts(m), torch.full((len(x),), o.context, device=x.device)
        jumps = self.jump_actions(a, torch.ones_like(a, dtype=torch.bool), m)
        post = self.infer(e[:, : o.context + o.window], jumps, start, m, whole)
        return self.decoder(self.shown(post.h, post.s)), start

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: int) -> Losses:
        """Negative lower bound (section 3), priors on boundaries and the losses of goals."""
        o = self.config.options
        if hasattr(self, "belief_shown") and self.training:
            self.belief_shown.fill_(float(step >= o.belief_from))
        length = integers(1, o.context + 1, batch.action.shape[:1], batch.action.device)
        x = scale(self.encoder.patchify(batch.observation), dequantise=self.training and o.dequantise)
        e = self.encoder.embed(x)
        logit = self.boundary_logit(e, batch.action)
        noise = logistic_like(logit)
        m = self._explore(straight_through_bernoulli(logit, self.temperature(step), noise), step)
        window = slice(o.context, o.context + o.window)
        a = self.jump_actions(batch.action, batch.action_mask.sum(-1) > 1, m[:, window].detach())
        q = Boundaries(*(each[:, window] for each in (m, logit, noise)))
        terms, belief = self._bound(x[:, window], e[:, : window.stop], a, q, length)
        metrics = {"boundaries": m[:, window].sum(1).mean(), "temperature": torch.tensor(self.temperature(step))}
        losses = Losses.bound(terms, metrics)
        if o.short_weight:
            losses.add("short", too_short(torch.sigmoid(logit), o.l_min), o.short_weight)
        if o.rate_weight:
            rate = mean_over_all(torch.sigmoid(logit).mean())
            kl = bernoulli_kl(torch.logit(rate), torch.full_like(rate, o.boundary_rate))
            losses.add("rate", kl, o.rate_weight)
        if not self.config.actions:  # a video has no goals
            return losses
        if o.imagination_weight is None:
            losses.add("goal", self.goals.cosine(belief, batch.achieved_goal[:, window]), 1.0)
        else:
            add_imagination(self, losses, batch, x, e, m, step)
        return losses

    def _explore(self, m: Tensor, step: int) -> Tensor:
        """Early in training, replace the sampled boundaries of some rows by random ones (`explore_steps`)."""
        o = self.config.options
        if not self.training or step >= o.explore_steps:
            return m
        explored = uniform((len(m), 1), m.device) >= step / o.explore_steps
        return torch.where(explored, random_boundaries(m, o.boundary_rate, o.l_min), m)

    def _bound(
        self, x: Tensor, e: Tensor, a: Tensor, q: Boundaries, length: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Terms of the negative lower bound per frame (section 3), and beliefs (z, c) of the window, (B, T, ...)."""
        o, start = self.config.options, starts(q.m)
        post = self.infer(e, a, start, q.m, length)
        p_m = torch.sigmoid(self.end_logit(post.h, post.s))
        p_m = boundary_prior(p_m, q.m.detach(), o.n_max, o.l_max, o.forced)
        weight = start if o.weight_moves_boundaries else start.detach()
        kl_m = relaxed_kl(q.logit, p_m, q.noise) if o.relaxed_kl_m else bernoulli_kl(q.logit, p_m)
        terms = {
            "image": image_nll(x, self.decoder.patches(self.shown(post.h, post.s)), o.sigma),
            "kl_s": gaussian_kl(post.q_s, self.prior_s(post.h)).mean(),
            "kl_z": (weight * gaussian_kl(post.q_z, self.prior_z(post.c))).mean(),
            "kl_m": kl_m.mean(),
        }
        return terms, torch.cat([post.z, post.c], -1)

    def _scan_c(self, z: Tensor, a: Tensor, start: Tensor, c: Tensor) -> Tensor:
        """Return c (B, T, Dc): `jump` where a subsequence starts, else COPY (section 2.4); a as in `infer`."""
        z_before = F.pad(z[:, :-1], (0, 0, 1, 0))
        return self.z_rnn.scan(torch.cat([z_before, a], -1), c, update=start)

    def _scan_h(self, s: Tensor, z: Tensor, c: Tensor, start: Tensor) -> Tensor:
        """Return h (B, T, Dh): `step_s` over a window (section 2.4)."""
        s_before = F.pad(s[:, :-1], (0, 0, 1, 0))
        return self.s_rnn.scan(torch.cat([s_before, self.abstract(z, c)], -1), init=(self.init_s(z, c), start))


RECIPES = rssm.RECIPES | {(preset, "vta-code"): rssm.RECIPES[preset, "vta"] for preset in SIZES}
RECIPES["quick", "ours"] = replace(RECIPES["quick", "ours"], steps=2_400)  # the last 1400 learn to draw what is sampled
SPEC = ModelSpec(
    HRSSM,
    SIZES | {"million": replace(SIZES["quick"], belief=133)},
    VARIANTS,
    RECIPES,
    "HRSSM",
    colour="#0072b2",
    bounded_context=True,
    timed_mode="timed",
)
