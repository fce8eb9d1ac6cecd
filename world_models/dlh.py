"""Dynamic Latent Hierarchy: Zakharov et al., *Long-horizon video prediction using a dynamic latent hierarchy* (2022).

| symbol       | code      | shape           | meaning                                                              |
|--------------|-----------|-----------------|----------------------------------------------------------------------|
| o_t          | `frames`  | (B, T, ...)     | frame                                                                |
| x^n_t        | `x[n]`    | (B, T, D)       | bottom-up features of level n                                        |
| a_t          | `a`       | (B, T)          | action taken after o_t; videos have none                             |
| s^n_t        | `s`       | (B, T, Ds)      | state of level n                                                     |
| e^n_t        | `change`  | (B, T, N)       | whether level n changes at t                                         |
| q(e^n_t = 1) | `q_e`     | (B, T, N)       | its posterior; 0 or 1 by Eq. 4                                       |
| d^n_t        | `d`       | (B, T, Dd)      | temporal variable as of the level's last change                      |
| -            | `ahead`   | (B, T, Dd)      | f_tem(s^n_{t-1}, d^n_{t-1}): d^n_t if the level changes at t         |
| c^n_t        | `context` | (B, T, Dc)      | top-down variable: what the levels above say                         |
| -            | `memory`  | (B, T, Dd)      | state of the prior factor's GRU, which ticks at every step           |

Levels are numbered from 1 in texts and options, from 0 in the code. Level n gets a posterior where the level below
changes (level 1: always; Eq. 5); elsewhere it copies its last one, at no cost. A state's prior is (Eq. 2)

    p(s^n_t | e^n_t = 0) = q(s^n_{t-1})            static: the last posterior, which receives gradient
    p(s^n_t | e^n_t = 1) = p(s^n_t | d^n_t, c^n_t)  change

What the paper leaves open: d^n is 0 in the first frame, where every level changes and no e costs anything; f_tem ticks
where its level changes; the prior factor reads `ahead`; c^N is learned; a rollout keeps the sample of a static level.
With actions (option) f_tem reads a_{t-1} beside s^n_{t-1}, so that a change is chosen by one action, as in HRSSM.

Differs from the paper, in the variant `ours` only (see experiments/LOG.md): at first the levels above 1 are held in
random frames, where e = 0 whatever Eq. 4 says, so that they learn what persists (`hold`); and the prior factor of a
level reads the temporal variable of the level below, too (`factor_sees_below`).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import image_nll
from world_models.blocks.frames import frame_decoder, frame_encoder
from world_models.blocks.goals import GoalSpace, cosine_loss
from world_models.blocks.images import scale, to_float
from world_models.dlh.hierarchy import DLHState, Hierarchy, LevelPath
from world_models.dlh.options import DLHConfig
from world_models.interface import Batch, Losses


class Changes(NamedTuple):
    """When levels change."""

    q: Float[Tensor, "b t n"]
    """posterior q(e^n_t = 1); 0 where the level is blocked"""
    p: Float[Tensor, "b t n"]
    """prior p(e^n_t = 1 | d^n_t) if the level below changes; 1 for level 1"""


class DLH(nn.Module):
    """A hierarchy of states, each a mixture over time of its past and its predicted future."""

    generation_modes = ("full", "mode")

    def __init__(self, config: DLHConfig) -> None:
        """Build the networks with random weights."""
        super().__init__()
        self.config = config
        sizes, o = config.sizes, config.options
        self.encoder = frame_encoder(sizes, config.frame_size)  # x^1
        self.decoder = frame_decoder(sizes, config.frame_size, sizes.state + sizes.belief)  # f_dec^1(s^1, c^1)
        self.hierarchy = Hierarchy(sizes, o, config.actions if o.temporal_sees_actions else 0)
        if config.actions:
            self.goals = GoalSpace(sizes.state + sizes.belief, sizes.belief, None, False)

    @property
    def window_length(self) -> int:
        """Frames of a training window."""
        return self.config.options.window

    def kl_weight(self, step: int) -> float:
        """Weight of both divergences: rises linearly to 1 (appendix A.1)."""
        return min(1.0, (step + 1) / self.config.options.kl_steps)

    def held_share(self, step: int) -> float:
        """Share of the frames in which a level above 1 is held while training: falls linearly from `hold` to 0."""
        o = self.config.options
        return o.hold * max(0.0, 1 - step / o.hold_steps)

    # ---------------------------------------------------------------- inference

    def _infer(self, x: Tensor, a: Tensor, start: Tensor) -> tuple[Tensor, Tensor, list[LevelPath]]:
        """Return q(e), e at its mode and the levels' paths with states at their means, of frames and a_t."""
        hierarchy = self.hierarchy
        features, codes = hierarchy.bottom_up(self.encoder(x)), hierarchy.codes(a)
        noise = x.new_zeros(*start.shape, self.config.options.levels, self.config.sizes.state)
        q_e, change = hierarchy.select(features, codes, start, noise, torch.full_like(noise[..., 0], 0.5))
        return q_e, change, hierarchy.paths(features, codes, start, change, noise)

    def infer(self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]) -> Changes:
        """When levels change in whole sequences, by posterior and prior, with states at their means."""
        q, _, paths = self._infer(x, a[:, :-1], _begins(torch.full_like(a[:, 0], a.shape[1]), a.shape[1]))
        return Changes(q, torch.sigmoid(torch.stack([path.logit for path in paths], -1)))

    def segment(self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        """Probability that a subsequence ends at each frame: q(e^2 = 1) of the next; 0 at the last, not known."""
        return F.pad(self.infer(x, a).q[:, 1:, 1], (0, 1))

    def observe(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t_1"], length: Int64[Tensor, " b"]
    ) -> DLHState:
        """Belief after the last `length` frames, with states at their posteriors' means."""
        _, _, paths = self._infer(x, a, _begins(length, x.shape[1]))
        s = torch.stack([path.rows.spread(path.s)[:, -1] for path in paths], 1)
        context = torch.stack([path.rows.spread(path.context)[:, -1] for path in paths], 1)
        d = torch.stack([path.d[:, -1] for path in paths], 1)
        return DLHState(s, d, context, torch.stack([path.memory[:, -1] for path in paths[1:]], 1))

    # ---------------------------------------------------------------- prediction

    def imagine(self, state: DLHState, action: Int64[Tensor, " b"]) -> DLHState:
        """One change of level `jump_level` given the action, then of the levels below, all at their priors' means."""
        n = self.config.options.jump_level
        below = (torch.arange(state.s.shape[1], device=state.s.device) < n).expand(state.s.shape[:2])
        return self.hierarchy.change(state, self.hierarchy.ahead(state, action), below, torch.zeros_like(state.s))

    def feature(self, state: DLHState) -> Float[Tensor, "*b d"]:
        """Feature of (s^n, d^n) of level `jump_level`."""
        n = self.config.options.jump_level - 1
        return self.goals.feature(torch.cat([state.s[:, n], state.d[:, n]], -1))

    def goal_feature(self, goal: Float[Tensor, "b 3 3 3"]) -> Float[Tensor, "b d"]:
        """Feature of a goal crop."""
        return self.goals.goal(goal)

    def legal(self, state: DLHState) -> Bool[Tensor, "b 3"]:
        """All actions: a DLH predicts no legal ones."""
        return self.goals.legal(state.s[:, 0])

    def decode(self, state: DLHState) -> Float[Tensor, "b 3 h w"]:
        """Frame of a belief (Eq. 11 at level 1)."""
        return self.decoder(torch.cat([state.s[:, :1], state.context[:, :1]], -1))[:, 0]

    def resample(self, state: DLHState, levels: tuple[int, ...]) -> DLHState:
        """Draw some levels' states anew from their change priors, with the others' fixed (appendix C.3).

        Args:
            state: belief; each row gets a draw of its own.
            levels: which ones, counted from 1.
        """
        drawn = torch.tensor([n + 1 in levels for n in range(state.s.shape[1])], device=state.s.device)
        return self.hierarchy.change(state, state.d, drawn.expand(state.s.shape[:2]), torch.randn_like(state.s))

    def rollout(
        self, state: DLHState, actions: Int64[Tensor, "b k"], mode: str = "full"
    ) -> tuple[Float[Tensor, "b k 3 h w"], Bool[Tensor, "b k n"]]:
        """Sample a future of a belief, one frame an action.

        Args:
            state: belief.
            actions: one for every frame; for a video any numbers.
            mode: "full" draws e from its prior, "mode" takes the likelier value; states are drawn in both.

        Returns:
            Frames, and which levels changed in each.
        """
        assert mode in self.generation_modes, mode
        frames, changes = [], []
        for action in actions.unbind(1):
            ahead = self.hierarchy.ahead(state, action)
            state, logit = self.hierarchy.tick(state, ahead)
            noise, uniform = torch.randn_like(state.s), torch.rand_like(logit)
            e = uniform < torch.sigmoid(logit) if mode == "full" else logit > 0
            e = torch.cat([torch.ones_like(e[:, :1]), e], 1).cummin(1).values  # Eq. 5
            state = self.hierarchy.change(state, ahead, e, noise)
            frames.append(self.decode(state))
            changes.append(e)
        return torch.stack(frames, 1), torch.stack(changes, 1)

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], Float[Tensor, "b k"]]:
        """Sample a future of a context, one frame an action; return the frames, and 1 where level 2 changes.

        Args:
            x: context, as for `observe`.
            a: its actions.
            length: how many of its frames count.
            actions: as for `rollout`, which also tells when each level changes.
            mode: as for `rollout`.
        """
        frames, change = self.rollout(self.observe(x, a, length), actions, mode)
        return frames, change[..., 1].to(frames.dtype)

    def reconstruct(
        self, x: Float[Tensor, "b t 3 h w"], a: Int64[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b n 3 h w"], Float[Tensor, "b n"]]:
        """Rebuild the frames after the context of a training window; return them, and 1 where level 2 changes."""
        first = self.config.options.context
        _, change, paths = self._infer(x, a[:, :-1], _begins(torch.full_like(a[:, 0], a.shape[1]), a.shape[1]))
        return self.decoder(_frame_code(paths[0], a.shape)[:, first:]), change[:, first:, 1].to(x.dtype)

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: int) -> Losses:
        """Negative lower bound per frame (Eq. 8) and, with actions, the goal feature's loss."""
        o, hierarchy, shape = self.config.options, self.hierarchy, batch.action.shape
        frames = scale(self.encoder.arrange(batch.observation), dequantise=self.training and o.dequantise)
        x, a = hierarchy.bottom_up(self.encoder.embed(frames)), hierarchy.codes(batch.action[:, :-1])
        noise = torch.randn(*shape, o.levels, self.config.sizes.state, device=frames.device)
        uniform = torch.rand(*shape, o.levels, device=frames.device) if o.vade else None
        start = _begins(torch.full_like(batch.action[:, 0], shape[1]), shape[1])
        share = self.held_share(step) if self.training else 0.0
        held = torch.rand(*shape, o.levels, device=frames.device) < share if share else None
        q_e, change = hierarchy.select(x, a, start, noise, uniform, held)
        paths = hierarchy.paths(x, a, start, change, noise)
        kl_s, kl_e = hierarchy.divergences(paths, q_e, start, held)
        image = image_nll(frames, self.decoder.arranged(_frame_code(paths[0], shape)), o.sigma)  # Eq. 8a
        terms = {"image": image, "kl_s": torch.stack(kl_s).sum(), "kl_e": torch.stack(kl_e).sum()}
        metrics = {f"kl_s_{n}": kl.detach() for n, kl in enumerate(kl_s, 1)}
        metrics["levels"] = change[:, 1:].float().sum(-1).mean()  # that change, as in Table 2
        metrics["nelbo"] = torch.stack(list(terms.values())).sum().detach()
        weights = {"image": 1.0, "kl_s": self.kl_weight(step), "kl_e": self.kl_weight(step)}
        if self.config.actions:  # a video has no goals
            path = paths[o.jump_level - 1]
            state = torch.cat([path.rows.spread(path.s), path.d], -1).flatten(0, 1)
            goal = self.goal_feature(to_float(batch.achieved_goal.flatten(0, 1)))
            terms["goal"], weights["goal"] = cosine_loss(self.goals.feature(state), goal), 1.0
        return Losses(terms, weights, metrics)


def _begins(length: Tensor, frames: int) -> Tensor:
    """Where sequences begin, (B, T): at the last `length` frames; and at the padding, so that it is one, too."""
    t = torch.arange(frames, device=length.device)
    return (t == frames - length[:, None]) | (t == 0)


def _frame_code(path: LevelPath, shape: torch.Size) -> Tensor:
    """(s^1, c^1) at all frames, which level 1 has posteriors for, (B, T, ...)."""
    return torch.cat([path.s, path.context], -1).unflatten(0, shape)
