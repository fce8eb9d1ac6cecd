"""HRSSM of Kim, Ahn and Bengio, *Variational Temporal Abstraction* (NeurIPS 2019).

| symbol      | code           | shape          | meaning                                             |
|-------------|----------------|----------------|-----------------------------------------------------|
| x_t, e_t    | `x`, `e`       | (B, T, ...)    | frame, its embedding                                |
| a_t         | `a`            | (B, T)         | action taken after x_t                              |
| m_t         | `m`            | (B, T)         | 1 where a subsequence ends at t                     |
| m_{t-1}     | `start`        | (B, T)         | 1 where a subsequence starts at t; 1 at t = 1       |
| z_t, c_t    | `z`, `c`       | (B, T, Dz/Dc)  | temporal abstraction, its recurrent belief          |
| s_t, h_t    | `s`, `h`       | (B, T, Ds/Dh)  | observation abstraction, its recurrent belief       |
| psi_fwd/bwd | `psi_*`        | (B, T, D)      | what q(z) reads: the past; the present subsequence  |
| phi_fwd     | `phi`          | (B, T, D)      | what q(s) reads: the present subsequence so far     |

A training window has `context` frames before it (for c_0 and psi_fwd) and `lookahead` frames after it (for q(m) only).
Only z's transition sees actions, so that one jump is one action (paper, section 5.2). Contexts are 1 to 5 frames
long, so that an episode's first decision has a belief.

Differs from the paper, in the variant `ours` only (experiments/LOG.md says why): jumps are trained the way planning
uses them (`_imagination`); boundaries go where actions cannot be foreseen (`ForeseenActions`); q(m_t) reads the frames
up to t and the actions before t; the structure prior also knows an expected rate of boundaries and a shortest
subsequence; INIT reads c_t beside z_t, and the first frames of imagined subsequences are learnt, so that a jump can be
drawn; the legal actions at a jump's end are predicted. For videos, which have no actions to tell boundaries by, an
option lets a training begin with random boundaries (`explore_steps`).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import (
    Gaussian,
    GaussianHead,
    bernoulli_kl,
    gaussian_kl,
    image_nll,
    straight_through_bernoulli,
)
from world_models.blocks.frames import frame_decoder, frame_encoder
from world_models.blocks.goals import GoalSpace, cosine_loss
from world_models.blocks.images import scale, to_float
from world_models.blocks.networks import (
    GRU,
    keep_last,
    mlp,
    one_hot_actions,
)
from world_models.hrssm.boundaries import (
    BoundaryNet,
    ForeseenActions,
    boundary_prior,
    copy_or_update,
    random_boundaries,
    too_short,
)
from world_models.hrssm.options import HRSSMConfig
from world_models.interface import Batch, Losses


class HRSSMState(NamedTuple):
    """Belief at the end of a subsequence."""

    z: Float[Tensor, "b z"]
    c: Float[Tensor, "b c"]


class Posterior(NamedTuple):
    """Posteriors and samples over a window, (B, T, ...)."""

    q_z: Gaussian
    z: Tensor
    q_s: Gaussian
    s: Tensor


class HRSSM(nn.Module):
    """Hierarchical recurrent state space model with learned subsequences."""

    generation_modes = ("full", "jumpy")

    def __init__(self, config: HRSSMConfig) -> None:
        """Build the networks with random weights."""
        super().__init__()
        self.config = config
        sizes, o = config.sizes, config.options
        d, belief = sizes.embedding, sizes.belief
        self.encoder = frame_encoder(sizes, config.frame_size)
        self.decoder = frame_decoder(sizes, config.frame_size, sizes.state)
        self.boundary_net = BoundaryNet(d + config.actions * o.boundary_sees_actions, belief, o.boundary_causal)
        self.context_rnn = GRU(d, belief)  # c_0 = f_ctx(X_ctx)
        self.psi_forward, self.psi_backward, self.phi_forward = GRU(d, belief), GRU(d, belief), GRU(d, belief)
        self.z_rnn = GRU(sizes.abstraction + config.actions, belief)  # f_z-rnn, with the action
        self.s_rnn = GRU(sizes.state + sizes.abstraction, belief)  # f_s-rnn
        known = sizes.abstraction + belief * o.init_sees_belief
        self.s_init = nn.Sequential(mlp(known, belief, belief), nn.Tanh())  # f_s-mlp
        self.prior_z = GaussianHead(belief, belief, sizes.abstraction)
        self.prior_s = GaussianHead(belief, belief, sizes.state)
        self.prior_m = nn.Linear(sizes.state, 1)
        self.post_z = GaussianHead(2 * belief, belief, sizes.abstraction)
        self.post_s = GaussianHead(belief + sizes.abstraction, belief, sizes.state)
        feature = None if o.imagination_weight is None else sizes.feature
        if config.actions:
            self.goals = GoalSpace(sizes.abstraction + belief, belief, feature, o.legal_weight is not None)
            if o.action_weight is not None:
                self.foreseen_actions = ForeseenActions(sizes.abstraction + belief, belief, o.l_max)

    @property
    def window_length(self) -> int:
        """Frames of a training window, context and lookahead included."""
        o = self.config.options
        after = o.window if o.imagination_weight is None else max(o.window, o.horizon)
        return o.context + after + o.lookahead

    # ---------------------------------------------------------------- boundaries

    def boundary_logit(self, e: Float[Tensor, "b t d"], a: Int64[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        """Logit of q(m_t = 1 | X): convolutions over time (paper, "Sequence Decomposition")."""
        o = self.config.options
        if o.boundary_sees_actions:
            before = F.pad(one_hot_actions(a[:, :-1], self.config.actions), (0, 0, 1, 0))  # a_{t-1} at t
            e = torch.cat([e, before], -1)
        return self.boundary_net(e)

    def segment(self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        """Probability q(m_t = 1) that a subsequence ends at each frame."""
        return torch.sigmoid(self.boundary_logit(self.encoder(x), a))

    def temperature(self, step: int) -> float:
        """Temperature of the boundary samples: from 1 to 0.1."""
        o = self.config.options
        return 0.1 + 0.9 * o.temperature_decay ** (step / o.temperature_steps)

    # ---------------------------------------------------------------- the transition

    def jump(self, z: Tensor, a: Tensor, c: Tensor, parent: Tensor | None = None) -> Tensor:
        """Return c_t = f_z-rnn(z_{t-1}, a_{t-1}, c_{t-1}), the UPDATE of the temporal abstraction (section 2.4).

        With `parent` row i goes on from c[parent[i]], as in `GRU.step`.
        """
        inputs = torch.cat([z, one_hot_actions(a, self.config.actions)], -1)
        return self.z_rnn.step(self.z_rnn.project(inputs), c, parent)

    def init_s(self, z: Tensor, c: Tensor) -> Tensor:
        """Return h_t = f_s-mlp(z_t), the INIT of the observation abstraction (section 2.4)."""
        return self.s_init(torch.cat([z, c], -1) if self.config.options.init_sees_belief else z)

    def step_s(self, s: Tensor, state: HRSSMState, h: Tensor, start: Tensor) -> Tensor:
        """Return h_t: INIT where a subsequence starts, else f_s-rnn(s_{t-1} || z_t, h_{t-1}) (section 2.4)."""
        update = self.s_rnn.step(self.s_rnn.project(torch.cat([s, state.z], -1)), h)
        return torch.lerp(update, self.init_s(*state), start[:, None])

    # ---------------------------------------------------------------- inference

    def context_belief(self, e: Float[Tensor, "b t d"], length: Int64[Tensor, " b"]) -> Float[Tensor, "b c"]:
        """Return c_0 = f_ctx of the last `length` embeddings; those before do not count."""
        return self.context_rnn.scan(e, keep=keep_last(e.shape[1], length))[:, -1]

    def infer(self, e: Tensor, start: Tensor, m: Tensor, length: Tensor) -> Posterior:
        """Sample q(Z|M,X) and q(S|Z,M,X) of section 3.

        Args:
            e: (B, context + T, D) embeddings of context and window.
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
        q_s = self.post_s(torch.cat([phi, z], -1))
        return Posterior(q_z, z, q_s, q_s.sample())

    def observe(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t_1"], length: Int64[Tensor, " b"]
    ) -> HRSSMState:
        """Belief after the last `length` frames: z_0 = 0 and c_0, ready for the first jump."""
        c = self.context_belief(self.encoder(x), length)
        return HRSSMState(c.new_zeros(len(c), self.config.sizes.abstraction), c)

    # ---------------------------------------------------------------- imagination

    def imagine(self, state: HRSSMState, action: Int64[Tensor, " b"]) -> HRSSMState:
        """One jump: the next temporal abstraction at its prior mean, given the passage's action."""
        c = self.jump(state.z, action, state.c)
        return HRSSMState(self.prior_z(c).mean, c)

    def imagine_from(self, state: HRSSMState, parent: Int64[Tensor, " b"], action: Int64[Tensor, " b"]) -> HRSSMState:
        """`imagine` from the rows `parent` of a state; what several actions from one row share is computed once."""
        c = self.jump(state.z.index_select(0, parent), action, state.c, parent)
        return HRSSMState(self.prior_z(c).mean, c)

    def feature(self, state: HRSSMState) -> Float[Tensor, "*b d"]:
        """Feature of (z, c)."""
        return self.goals.feature(torch.cat(state, -1))

    def goal_feature(self, goal: Float[Tensor, "b 3 3 3"]) -> Float[Tensor, "b d"]:
        """Feature of a goal crop."""
        return self.goals.goal(goal)

    def legal(self, state: HRSSMState) -> Bool[Tensor, "b 3"]:
        """Actions expected to be legal at the end of the subsequence; all, where the variant predicts none."""
        return self.goals.legal(torch.cat(state, -1))

    def decode(self, state: HRSSMState) -> Float[Tensor, "b 3 h w"]:
        """First frame of the subsequence: s at its prior mean after INIT."""
        s = self.prior_s(self.init_s(*state)).mean
        return self.decoder(s[:, None])[:, 0]

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b n 3 h w"], Float[Tensor, "b n"]]:
        """Sample a future of a context: a jump for every action.

        Args:
            x: context, as for `observe`.
            a: its actions.
            length: how many of its frames count.
            actions: passages to take, one a subsequence; after the last one its subsequence goes on.
            mode: "full" draws every frame, `window` of them, with subsequences that end by p(m_t | s_t), l_min and
                l_max (N_max counts within training windows only), K of a video; "jumpy" draws the first frame of K
                subsequences.

        Returns:
            Frames, and 1 where a subsequence starts.
        """
        o, jumpy = self.config.options, mode == "jumpy"
        state = self.observe(x, a, length)
        s = state.z.new_zeros(len(x), self.config.sizes.state)
        h = torch.zeros_like(state.c)
        start, used, since = s.new_ones(len(x)), torch.zeros_like(length), torch.zeros_like(length)
        frames, starts = [], []
        for _ in range(actions.shape[1] if jumpy or not self.config.actions else o.window):
            action = actions.gather(1, used.clamp(max=actions.shape[1] - 1)[:, None])[:, 0]
            state = self._move(state, action, start)
            h = self.step_s(s, state, h, start)
            s = self.prior_s(h).sample()
            frames.append(self.decoder(s[:, None])[:, 0])
            starts.append(start)
            used, since = used + start.long(), torch.where(start > 0, 1, since + 1)
            drawn = torch.bernoulli(torch.sigmoid(self.prior_m(s).squeeze(-1))).bool() & (since >= o.l_min)
            ends = drawn | (since >= o.l_max)
            start = torch.ones_like(start) if jumpy else (ends & (used < actions.shape[1])).float()
        return torch.stack(frames, 1), torch.stack(starts, 1)

    def _move(self, state: HRSSMState, action: Tensor, start: Tensor) -> HRSSMState:
        """Sample the next temporal abstraction where a subsequence starts; COPY elsewhere."""
        c = self.jump(state.z, action, state.c)
        z = self.prior_z(c).sample()
        return HRSSMState(torch.lerp(state.z, z, start[:, None]), torch.lerp(state.c, c, start[:, None]))

    def reconstruct(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b n 3 h w"], Float[Tensor, "b n"]]:
        """Rebuild the window of a full training window; return its frames, and 1 where a subsequence starts."""
        o = self.config.options
        e = self.encoder(x)
        m = (self.boundary_logit(e, a) > 0).float()[:, o.context : o.context + o.window]
        start = torch.cat([torch.ones_like(m[:, :1]), m[:, :-1]], 1)
        length = torch.full((len(x),), o.context, device=x.device)
        return self.decoder(self.infer(e[:, : o.context + o.window], start, m, length).s), start

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: int) -> Losses:
        """Negative lower bound (section 3), the boundary prior and the goal feature's loss."""
        o = self.config.options
        length = torch.randint(1, o.context + 1, (len(batch.action),), device=batch.action.device)
        x = scale(self.encoder.arrange(batch.observation), dequantise=self.training and o.dequantise)
        e = self.encoder.embed(x)
        logit = self.boundary_logit(e, batch.action)
        m = self._explore(straight_through_bernoulli(logit, self.temperature(step)), step)
        window = slice(o.context, o.context + o.window)
        terms, posterior, c = self._bound(x[:, window], e[:, : window.stop], batch.action, m, logit, length)
        weights = dict.fromkeys(terms, 1.0)
        metrics = {"boundaries": m[:, window].sum(1).mean(), "temperature": torch.tensor(self.temperature(step))}
        metrics["nelbo"] = torch.stack(list(terms.values())).sum().detach()
        if o.short_weight:
            terms["short"] = too_short(torch.sigmoid(logit), o.l_min)
            weights["short"] = o.short_weight
        if o.rate_weight:
            rate = torch.sigmoid(logit).mean()
            terms["rate"] = bernoulli_kl(torch.logit(rate), torch.full_like(rate, o.boundary_rate))
            weights["rate"] = o.rate_weight
        if not self.config.actions:  # a video has no goals
            return Losses(terms, weights, metrics)
        if o.imagination_weight is None:
            goal = self.goal_feature(to_float(batch.achieved_goal[:, window].flatten(0, 1)))
            terms["goal"] = cosine_loss(self.feature(HRSSMState(posterior.z, c)).flatten(0, 1), goal)
            weights["goal"] = 1.0
        else:
            terms |= self._imagination(batch, x, e, m)
            extra = {
                "contrast": o.imagination_weight,
                "action": o.action_weight,
                "frame": o.frame_weight,
                "legal": o.legal_weight,
            }
            weights |= {name: weight for name, weight in extra.items() if weight is not None}
        return Losses(terms, weights, metrics)

    def _explore(self, m: Tensor, step: int) -> Tensor:
        """While training begins, put random boundaries in the place of some rows' sampled ones (`explore_steps`)."""
        o = self.config.options
        if not self.training or step >= o.explore_steps:
            return m
        explored = torch.rand_like(m[:, :1]) >= step / o.explore_steps
        return torch.where(explored, random_boundaries(m, o.boundary_rate, o.l_min), m)

    def _bound(
        self, x: Tensor, e: Tensor, a: Tensor, m: Tensor, logit: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], Posterior, Tensor]:
        """Terms of the negative lower bound per frame, the posterior, and c (B, T, Dc)."""
        o = self.config.options
        window = slice(o.context, o.context + o.window)
        m, logit = m[:, window], logit[:, window]
        start = torch.cat([torch.ones_like(m[:, :1]), m[:, :-1]], 1)  # m_0 = 1
        post = self.infer(e, start, m, length)
        c_0 = self.context_belief(e[:, : o.context], length)
        c = self._scan_c(post.z, a[:, o.context - 1 : window.stop - 1], start, c_0)
        p_s = self.prior_s(self._scan_h(post.s, post.z, c, start))
        p_m = boundary_prior(torch.sigmoid(self.prior_m(post.s).squeeze(-1)), m.detach(), o.n_max, o.l_max)
        terms = {
            "image": image_nll(x, self.decoder.arranged(post.s), o.sigma),
            "kl_s": gaussian_kl(post.q_s, p_s).mean(),
            "kl_z": (start * gaussian_kl(post.q_z, self.prior_z(c))).mean(),
            "kl_m": bernoulli_kl(logit, p_m).mean(),
        }
        return terms, post, c

    def _scan_c(self, z: Tensor, a: Tensor, start: Tensor, c: Tensor) -> Tensor:
        """Return (B, T, Dc): `jump` where a subsequence starts, COPY elsewhere; a holds a_{t-1}."""
        z_before = torch.cat([torch.zeros_like(z[:, :1]), z[:, :-1]], 1)
        return self.z_rnn.scan(torch.cat([z_before, one_hot_actions(a, self.config.actions)], -1), c, update=start)

    def _scan_h(self, s: Tensor, z: Tensor, c: Tensor, start: Tensor) -> Tensor:
        """Return (B, T, Dh): `step_s` over a window."""
        s_before = torch.cat([torch.zeros_like(s[:, :1]), s[:, :-1]], 1)
        return self.s_rnn.scan(torch.cat([s_before, z], -1), init=(self.init_s(z, c), start))

    def _imagination(self, batch: Batch, x: Tensor, e: Tensor, m: Tensor) -> dict[str, Tensor]:
        """Train jumps the way planning uses them.

        Differs from the paper: from the belief after a context that ends at a boundary, the jumps really taken are
        imagined, and every imagined feature has to name the crops seen during its subsequence.
        """
        o = self.config.options
        b, horizon = len(m), o.horizon
        first = o.context - 1
        spread = m[:, first : first + o.lookahead + 1].detach()
        begin = first + torch.where(
            spread.any(1), spread.argmax(1), torch.randint_like(spread[:, 0], spread.shape[1]).long()
        )
        rows = torch.arange(b, device=m.device)[:, None]
        past = begin[:, None] + torch.arange(1 - o.context, 1, device=m.device)
        length = torch.randint(1, o.context + 1, (b,), device=m.device)
        c = self.context_belief(e[rows, past], length)
        z = c.new_zeros(b, self.config.sizes.abstraction)
        before = begin[:, None] + torch.arange(horizon, device=m.device)  # t - 1 for every imagined frame t
        a, start = batch.action[rows, before], m[rows, before]
        start = torch.cat([torch.ones_like(start[:, :1]), start[:, 1:]], 1)
        imagined = torch.cat(self.z_rnn.rollout(self.prior_z, z, c, one_hot_actions(a), update=start), -1)
        seen = before + 1
        crop = batch.achieved_goal[rows, torch.cat([begin[:, None], seen], 1)]
        states = torch.cat([torch.cat([z, c], -1)[:, None], imagined], 1)
        terms = {"contrast": self.goals.contrast(states, crop, o.contrast_frames, o.contrast_temperature)}
        m = m[rows, seen]
        if o.action_weight is not None:
            terms["action"] = self.foreseen_actions(imagined, start.detach(), m, batch.action[rows, seen])
        if o.frame_weight is not None:
            row, jumped = (start > 0.5).nonzero(as_tuple=True)
            terms["frame"] = self._first_frame_error(x[row, seen[row, jumped]], imagined[row, jumped, -c.shape[1] :])
        if o.legal_weight is not None:
            terms["legal"] = self.goals.legal_error(imagined, m.detach(), batch.action_mask[rows, seen])
        return terms

    def _first_frame_error(self, x: Float[Tensor, "n *pixels"], c: Float[Tensor, "n c"]) -> Tensor:
        """Negative log-likelihood of first frames, drawn from imagined beliefs, with no gradient into these."""
        with torch.no_grad():
            z = self.prior_z(c).sample()
        drawn = self.decoder.arranged(self.prior_s(self.init_s(z, c.detach())).mean[None])
        return image_nll(x[None], drawn, self.config.options.sigma)
