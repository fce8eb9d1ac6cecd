"""Dynamic Latent Hierarchy: Zakharov et al., *Long-horizon video prediction using a dynamic latent hierarchy* (2022).

| symbol       | code      | shape           | meaning                                                              |
|--------------|-----------|-----------------|----------------------------------------------------------------------|
| o_t          | `frames`  | (B, T, ...)     | frame                                                                |
| x^n_t        | `x[n]`    | (B, T, D)       | bottom-up features of level n                                        |
| a_t          | `a`       | (B, T)          | action taken after o_t; videos have none                             |
| s^n_t        | `s`       | (B, T, Ds)      | state of level n                                                     |
| e^n_t        | `change`  | (B, T, N)       | whether level n changes at t; its posterior is 0 or 1 by Eq. 4       |
| d^n_t        | `d`       | (B, T, Dd)      | temporal variable as of the level's last change                      |
| -            | `ahead`   | (B, T, Dd)      | f_tem(s^n_{t-1}, d^n_{t-1}): d^n_t if the level changes at t         |
| c^n_t        | `context` | (B, T, Dc)      | top-down variable: summary of the levels above                       |
| -            | `memory`  | (B, T, Dd)      | state of the prior factor's GRU, which ticks at every step           |

Levels are numbered from 1 in texts and options, from 0 in the code. Level n gets a posterior where the level below
changes (level 1: always; Eq. 5); elsewhere it copies its last one, at no cost. Prior (Eq. 2) and bound (Eq. 8):

    p(s^n_t | e^n_t = 0) = q(s^n_{t-1})             static: the last posterior, which receives gradient
    p(s^n_t | e^n_t = 1) = p(s^n_t | d^n_t, c^n_t)  change
    -log p(o) <= E_q sum_t [-log p(o_t | s_t)                           Eq. 8a  `image`
                            + sum_n KL[q(s^n_t) || p(s^n_t | e^n_t)]    Eq. 8b  `kl_s`, by Eq. 9
                            + sum_n KL[q(e^n_t) || p(e^n_t | d^n_t)]]   Eq. 8c  `kl_e`

What the paper leaves open: d^n is 0 in the first frame, where every level changes and no e costs anything; f_tem ticks
where its level changes; the prior factor reads `ahead`; c^N is learned; a rollout keeps the sample of a static level.
With actions (option) f_tem also reads a_{t-1}, so that a change is chosen by one action, as in HRSSM.

Differs from the paper, in the variant `ours` only (see experiments/LOG.md): at first the levels above 1 are held in
random frames, where e = 0 whatever Eq. 4 gives, so that they learn what persists (`hold`); and the prior factor of a
level also reads the temporal variable of the level below (`factor_sees_below`). With actions, so that a change
of level 2 is what a planner can choose (the paper's model is given no actions):

* the features of the levels above 1 remember the frames and actions so far: x^n_t of Eq. 13 becomes a GRU's state
  (`features_remember`). A level that changes only at choices has nothing else that knows where the agent came from;
* the model also explains the actions, -log p(a_t | x^2_t), `action`; and what the surprise of a_{t-1} exceeds a
  threshold by, times a weight, is added to the odds of Eq. 4 of level 2: where an action was foretold the static
  component explains it, where it was a choice the change does (`surprise_weight`; e^2 needs it, plans do not);
* d^n begins with the features instead of 0, and for the agent the levels from 2 up begin anew at the last frame
  (`fresh_belief`): a plan starts from what was seen, not from the last change;
* chains of changes are trained as planning uses them: from the belief after 1 to `context` frames that end at a choice,
  the choices made are imagined (`Hierarchy.advance`, then the change prior's mean), and each imagined feature has to
  name crops seen until the next choice (`contrast`), and the actions legal at it (`legal`).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from world_models.blocks.base import GoalModel
from world_models.blocks.distributions import image_nll
from world_models.blocks.global_batch import integers, normal, uniform
from world_models.blocks.goals import GoalSpace
from world_models.blocks.images import scale
from world_models.blocks.networks import one_hot_actions
from world_models.dlh.hierarchy import DLHState, Hierarchy, LevelPath, Seen
from world_models.dlh.imagination import chain, course
from world_models.dlh.options import SIZES, VARIANTS, DLHOptions, DLHSizes
from world_models.interface import Batch, Losses, ModelConfig, StepNumber
from world_models.shapes import Action, Actions, Between, Frames, Lengths, NewFrames, Planned, Starts
from world_models.spec import ModelSpec, Recipe, for_all


class Changes(NamedTuple):
    """When levels change."""

    q: Float[Tensor, "b t n"]
    """posterior q(e^n_t = 1); 0 where the level is blocked"""
    p: Float[Tensor, "b t n"]
    """prior p(e^n_t = 1 | d^n_t) if the level below changes; 1 for level 1"""


class DLH(GoalModel):
    """A hierarchy of states, each a mixture over time of its past and its predicted future."""

    config: ModelConfig[DLHSizes, DLHOptions]
    generation_modes = ("full", "mode")

    def __init__(self, config: ModelConfig[DLHSizes, DLHOptions]) -> None:
        sizes, o = config.sizes, config.options
        super().__init__(config, sizes.state + sizes.belief)  # encoder: x^1; decoder: f_dec^1(s^1, c^1)
        self.hierarchy = Hierarchy(sizes, o, config.actions if o.temporal_sees_actions else 0)
        if config.actions:
            feature = None if o.imagination_weight is None else sizes.embedding
            self.goals = GoalSpace(
                sizes.state + sizes.belief, sizes.belief, feature, self._predicts_legal, config.actions, config.goal
            )

    @property
    def _predicts_legal(self) -> bool:
        o = self.config.options
        return o.imagination_weight is not None and o.legal_weight is not None

    @property
    def window_length(self) -> int:
        """Frames of a training window: chains of choices may take more than the bound."""
        o = self.config.options
        imagines = self.config.actions and o.imagination_weight is not None
        return max(o.window, o.context + o.lookahead + o.horizon) if imagines else o.window

    @property
    def replayable(self) -> bool:
        """Chains of choices are as long as the choices that a batch holds are many."""
        return not (self.config.actions and self.config.options.imagination_weight is not None)

    def kl_weight(self, step: StepNumber) -> float | Tensor:
        """Weight of both divergences: rises linearly to 1 (appendix A.1)."""
        return 1 - _left(step + 1, self.config.options.kl_steps)

    def held_share(self, step: StepNumber) -> float | Tensor:
        """Share of the frames in which a level above 1 is held in training: falls linearly from `hold` to 0."""
        o = self.config.options
        return o.hold * _left(step, o.hold_steps)

    # ---------------------------------------------------------------- inference

    def _infer(self, seen: Seen) -> tuple[Tensor, list[LevelPath]]:
        """Return e^n and the levels' paths, with states at their means."""
        noise = seen.a.new_zeros(*seen.start.shape, self.config.options.levels, self.config.sizes.state)
        change = self.hierarchy.select(seen, noise)
        return change, self.hierarchy.paths(seen, change, noise)

    def _see(self, x: Frames, a: Between, length: Tensor | None = None) -> Seen:
        """What is seen in frames and the actions between them; `length` as in `_begins`."""
        return self.hierarchy.see(self.encoder(x), a, _begins(x, length))

    def infer(self, x: Frames, a: Actions) -> Changes:
        """When levels change in whole sequences, by posterior and prior, with states at their means."""
        change, paths = self._infer(self._see(x, a[:, :-1]))
        return Changes(change.to(x.dtype), torch.sigmoid(torch.stack([path.logit for path in paths], -1)))

    def segment(self, x: Frames, a: Actions) -> Float[Tensor, "b t"]:
        """Probability that a subsequence ends at each frame: q(e^2 = 1) of the next frame; 0 at the last frame."""
        return F.pad(self.infer(x, a).q[:, 1:, 1], (0, 1))

    def observe(self, x: Frames, a: Between, length: Lengths) -> DLHState:
        """Belief after the last `length` frames, with states at their posteriors' means."""
        return self._believe(self._see(x, a, length))

    def _believe(self, seen: Seen) -> DLHState:
        """`observe` of what is seen."""
        _, paths = self._infer(seen)
        s = torch.stack([path.rows.spread(path.s)[:, -1] for path in paths], 1)
        context = torch.stack([path.rows.spread(path.context)[:, -1] for path in paths], 1)
        d = torch.stack([path.d[:, -1] for path in paths], 1)
        state = DLHState(s, d, context, torch.stack([path.memory[:, -1] for path in paths[1:]], 1))
        return self.hierarchy.begin(seen, state) if self.hierarchy.fresh else state

    # ---------------------------------------------------------------- prediction

    def imagine(self, state: DLHState, action: Action) -> DLHState:
        """One change of level `jump_level` given the action, then of the levels below, all at their priors' means."""
        n = self.config.options.jump_level
        below = (torch.arange(state.s.shape[1], device=state.s.device) < n).expand(state.s.shape[:2])
        return self.hierarchy.change(state, self.hierarchy.ahead(state, action), below, torch.zeros_like(state.s))

    def belief(self, state: DLHState) -> Float[Tensor, "b d"]:
        """(s^n, d^n) of level `jump_level`."""
        n = self.config.options.jump_level - 1
        return torch.cat([state.s[:, n], state.d[:, n]], -1)

    def decode(self, state: DLHState) -> Float[Tensor, "b 3 h w"]:
        """Frame of a belief (Eq. 11 at level 1)."""
        return self.decoder(torch.cat([state.s[:, :1], state.context[:, :1]], -1))[:, 0]

    def resample(self, state: DLHState, levels: tuple[int, ...]) -> DLHState:
        """Resample the states of `levels`, counted from 1, from their change priors; the others keep theirs (app. C.3).

        Each row gets a sample of its own.
        """
        resampled = torch.tensor([n + 1 in levels for n in range(state.s.shape[1])], device=state.s.device)
        return self.hierarchy.change(state, state.d, resampled.expand(state.s.shape[:2]), torch.randn_like(state.s))

    def rollout(
        self, state: DLHState, actions: Planned, mode: str = "full"
    ) -> tuple[Float[Tensor, "b k 3 h w"], Bool[Tensor, "b k n"]]:
        """Sample a future of a belief, one frame per action; return the frames, and which levels change in each.

        "full" samples e from its prior, "mode" takes the likelier value; states are sampled in both.
        """
        assert mode in self.generation_modes, mode
        frames, changes = [], []
        for action in actions.unbind(1):
            ahead = self.hierarchy.ahead(state, action)
            state, logit = self.hierarchy.tick(state, ahead)
            noise, uniform = torch.randn_like(state.s), torch.rand_like(logit)
            e = uniform < torch.sigmoid(logit) if mode == "full" else logit > 0
            e = F.pad(e, (1, 0), value=True).cummin(1).values  # Eq. 5
            state = self.hierarchy.change(state, ahead, e, noise)
            frames.append(self.decode(state))
            changes.append(e)
        return torch.stack(frames, 1), torch.stack(changes, 1)

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, Starts]:
        """As in `Generative`, one frame per action; modes as in `rollout`. A change of level 2 starts a subsequence."""
        frames, change = self.rollout(self.observe(x, a, length), actions, mode)
        return frames, change[..., 1].to(frames.dtype)

    def reconstruct(self, x: Frames, a: Actions) -> tuple[NewFrames, Starts]:
        """As in `Rebuilding`; a change of level 2 starts a subsequence."""
        first = self.config.options.context
        change, paths = self._infer(self._see(x, a[:, :-1]))
        return self.decoder(_frame_code(paths[0], a.shape)[:, first:]), change[:, first:, 1].to(x.dtype)

    # ---------------------------------------------------------------- training

    def loss(self, batch: Batch, step: StepNumber) -> Losses:
        """Negative lower bound per frame (Eq. 8) and, with actions, the loss of the goal's feature."""
        o, hierarchy = self.config.options, self.hierarchy
        frames = scale(self.encoder.patchify(batch.observation), dequantise=self.training and o.dequantise)
        e = self.encoder.embed(frames)
        everything = hierarchy.see(e, batch.action[:, :-1], _begins(e))
        seen = everything.at(slice(o.window))
        shape = seen.start.shape
        noise = normal((*shape, o.levels, self.config.sizes.state), e.device)
        share = self.held_share(step) if self.training and o.hold else 0.0
        held = None if isinstance(share, float) and not share else uniform((*shape, o.levels), e.device) < share
        change = hierarchy.select(seen, noise, held)
        paths = hierarchy.paths(seen, change, noise)
        kl_s, kl_e = hierarchy.divergences(paths, change, seen.start, held)
        decoded = self.decoder.patches(_frame_code(paths[0], shape))
        image = image_nll(frames[:, : o.window], decoded, o.sigma)  # Eq. 8a
        terms = {"image": image, "kl_s": torch.stack(kl_s).sum(), "kl_e": torch.stack(kl_e).sum()}
        metrics = {f"kl_s_{n}": kl.detach() for n, kl in enumerate(kl_s, 1)}
        metrics["levels"] = change[:, 1:].float().sum(-1).mean()  # how many change per frame, as in Table 2
        losses = Losses.bound(terms, metrics)
        losses.weights["kl_s"] = losses.weights["kl_e"] = self.kl_weight(step)
        if everything.surprise is not None and o.action_weight is not None:
            losses.add("action", everything.surprise.mean(), o.action_weight)
        if not self.config.actions:  # a video has no goals
            return losses
        if o.imagination_weight is None:
            path = paths[o.jump_level - 1]
            state = torch.cat([path.rows.spread(path.s), path.d], -1)
            losses.add("goal", self.goals.cosine(state, batch.achieved_goal[:, : o.window]), 1.0)
        else:
            self._add_imagination(losses, batch, e, everything)
        return losses

    def _add_imagination(self, losses: Losses, batch: Batch, e: Tensor, seen: Seen) -> None:
        """Train chains of changes the way planning uses them.

        Differs from the paper: from the belief after a context that ends at a choice, the choices made are imagined,
        and every imagined feature has to name crops seen until the next one. A choice is an action that surprises.
        """
        o = self.config.options
        assert o.imagination_weight is not None and seen.surprise is not None
        rows, past, after, ends, begins = course(seen.surprise > o.foreseen_nats, o.context, o.horizon)
        length, context = integers(1, o.context + 1, e.shape[:1], e.device), e[rows, past]
        root = self.hierarchy.see(context, batch.action[rows, past[:, :-1]], _begins(context, length))
        state = self.hierarchy.begin(root) if self.hierarchy.fresh else self._believe(root)
        codes = one_hot_actions(batch.action[rows, after - 1], self.hierarchy.actions)
        imagined = chain(self.hierarchy, state, codes, begins)
        crop = batch.achieved_goal[rows, torch.cat([past[:, -1:], after], 1)]
        contrast = self.goals.contrast(imagined, crop, o.contrast_frames, o.contrast_temperature)
        losses.add("contrast", contrast, o.imagination_weight)
        if o.legal_weight is not None:
            legal = self.goals.legal_error(imagined[:, 1:], ends, batch.action_mask[rows, after])
            losses.add("legal", legal, o.legal_weight)


def _left(step: StepNumber, last: int) -> float | Tensor:
    """What is left of 1, which falls linearly to 0 at step `last`."""
    left = 1 - step / last
    return left.clamp(min=0) if isinstance(left, Tensor) else max(0.0, left)


def _begins(x: Tensor, length: Tensor | None = None) -> Tensor:
    """Where sequences begin, (B, T): at the last `length` frames of x; and at padding, a sequence of its own."""
    rows, frames = x.shape[:2]
    t = torch.arange(frames, device=x.device).expand(rows, -1)
    return t == 0 if length is None else (t == frames - length[:, None]) | (t == 0)


def _frame_code(path: LevelPath, shape: torch.Size) -> Tensor:
    """(s^1, c^1) of all frames, (B, T, ...): level 1 has a posterior in each."""
    return torch.cat([path.s, path.context], -1).unflatten(0, shape)


RECIPES = {
    "quick": Recipe(4_000, 16, 1e-3, clip=1e4, warmup=100, decay=0.5, epsilon=1e-4, amsgrad=False),
    "paper": Recipe(200_000, 100, 5e-4, clip=1e4, epsilon=1e-4, amsgrad=False),
}
SPEC = ModelSpec(
    DLH,
    SIZES,
    VARIANTS,
    for_all(VARIANTS, RECIPES),
    "DLH",
    colour="#009e73",
    retired=(("vade", False),),
    jumps_over_bends=True,
)
