"""The hierarchy of a DLH between its features and states: inference, divergences and transitions; symbols as in `dlh`.

**Why it is fast.** No gradient passes through the choice of e. So `select` finds it first, without gradients and for
levels 2 to N only: level 1 always changes, and its state does not affect the others. Given e, no posterior depends on
time: `paths` computes each level's for all frames at once, from the top down; only f_tem and the prior factors recur.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import Gaussian, gaussian_kl
from world_models.blocks.networks import one_hot_actions
from world_models.dlh.levels import Level, Rows
from world_models.dlh.options import DLHOptions, DLHSizes


class DLHState(NamedTuple):
    """Belief at one frame."""

    s: Float[Tensor, "b n s"]
    d: Float[Tensor, "b n d"]
    context: Float[Tensor, "b n c"]
    memory: Float[Tensor, "b n_1 d"]
    """of levels 2 to N"""


Block = slice | Tensor
"""rows of a batch: all, or their indices (M,)"""


class Last(NamedTuple):
    """What is kept from frame to frame while changes are inferred, (B, N, ...); overwritten in place."""

    s: Tensor
    d: Tensor
    context: Tensor
    mean: Tensor
    """of the last posterior, as `std`"""
    std: Tensor


class LevelPath(NamedTuple):
    """One level over a sequence: `q`, `s` and `context` in its rows, (M, ...), the rest in all frames, (B, T, ...)."""

    rows: Rows
    q: Gaussian
    s: Tensor
    context: Tensor
    ahead: Tensor
    d: Tensor
    memory: Tensor
    """(B, T, 0) for level 1"""
    logit: Tensor
    """of p(e^n_t = 1); infinite for level 1"""


class Hierarchy(nn.Module):
    """Levels 1 to N above the features of frames."""

    def __init__(self, sizes: DLHSizes, options: DLHOptions, actions: int) -> None:
        """Build the networks; the temporal path reads actions if there are any."""
        super().__init__()
        self.sizes, self.options, self.actions = sizes, options, actions
        n = options.levels
        self.top_context = nn.Parameter(0.1 * torch.randn(sizes.belief))  # c^N
        reads = sizes.belief * (1 + options.factor_sees_below)
        levels = [Level(sizes, actions, k == 0, k == n - 1, reads) for k in range(n)]
        self.levels: Sequence[Level] = nn.ModuleList(levels)  # type: ignore[assignment]

    def codes(self, a: Int64[Tensor, "b t_1"]) -> Float[Tensor, "b t a"]:
        """Codes of a_{t-1} at t, of the T - 1 actions between frames."""
        return F.pad(one_hot_actions(a, self.actions), (0, 0, 1, 0))

    # ---------------------------------------------------------------- inference

    def bottom_up(self, e: Float[Tensor, "b t d"]) -> list[Tensor]:
        """Return x^1 to x^N (Eq. 10), each (B, T, D), of embedded frames."""
        x = [e]
        for level in self.levels[:-1]:
            x.append(level.encode(x[-1]))
        return x

    @torch.no_grad()
    def select(
        self,
        x: list[Tensor],
        a: Float[Tensor, "b t a"],
        start: Bool[Tensor, "b t"],
        noise: Float[Tensor, "b t n s"],
        held: Bool[Tensor, "b t n"] | None = None,
    ) -> Bool[Tensor, "b t n"]:
        """Infer e = q(e^n_t = 1), 0 or 1, frame by frame (Algorithm 1): up to the first static level, then down again.

        Where a sequence begins (`start`), all levels change, and what was before does not count. Where a level is
        `held`, it may not change. `a` are the codes of a_{t-1}, `noise` the standard normals of the states.
        """
        last = self._nothing(len(start))
        change = []
        for t in range(start.shape[1]):
            seen, forbidden = [level[:, t] for level in x], None if held is None else held[:, t]
            moves, blocks = self._bottom_up_changes(seen, a[:, t], start[:, t], forbidden, last)
            self._top_down_posteriors(seen, noise[:, t], blocks, last)
            change.append(moves)
        return torch.stack(change, 1)

    def _bottom_up_changes(
        self, x: list[Tensor], a: Tensor, start: Tensor, held: Tensor | None, last: Last
    ) -> tuple[Bool[Tensor, "b n"], list[Block]]:
        """Infer the changes in a frame, and set d^n where level n changes (first loop of Algorithm 1).

        Returns:
            Which levels change, and for each level from 2 on the rows in which it has a posterior.
        """
        change = start.new_zeros(len(start), self.options.levels)
        change[:, 0] = True  # q(e^1 = 1) = 1
        rows: Block = slice(None)  # where the level below changes
        blocks = []
        for n in range(1, self.options.levels):
            begins = start[rows]
            ahead = self.levels[n].advance(last.s[rows, n], a[rows], last.d[rows, n])
            moves = self._likelier_to_change(n, rows, x[n][rows], ahead, last)
            if held is not None:
                moves = moves & ~held[rows, n]
            change[rows, n] = moves | begins
            last.d[rows, n] = torch.where((moves & ~begins)[:, None], ahead, last.d[rows, n] * ~begins[:, None])
            blocks.append(rows)
            rows = change[:, n].nonzero().squeeze(1)  # Eq. 5
            if not len(rows):
                break
        return change, blocks

    def _likelier_to_change(self, n: int, rows: Block, x: Tensor, ahead: Tensor, last: Last) -> Tensor:
        """Whether level n changes by Eq. 4 in some rows, given what d^n would be, (M,).

        The candidate posterior reads the context of the frame before: Eq. 25 takes the levels above as static, and
        their samples are known.
        """
        level, context = self.levels[n], last.context[rows, n]
        q = level.posterior(x, context)
        static = Gaussian(last.mean[rows, n], last.std[rows, n])
        return gaussian_kl(q, static) - gaussian_kl(q, level.change_prior(ahead, context)) > 0

    def _top_down_posteriors(self, x: list[Tensor], noise: Tensor, blocks: list[Block], last: Last) -> None:
        """Sample the posteriors of levels 2 and up that have one (second loop of Algorithm 1)."""
        for n, rows in reversed(list(enumerate(blocks, 1))):
            level, context = self.levels[n], last.context[rows, n]
            q = level.posterior(x[n][rows], context)
            last.mean[rows, n], last.std[rows, n] = q
            last.s[rows, n] = s = q.sample(noise[rows, n])
            if n > 1:
                last.context[rows, n - 1] = level.decode(s, context)

    def _nothing(self, rows: int) -> Last:
        """The values before a sequence."""
        n, c = self.options.levels, self.top_context.detach()
        s, d = c.new_zeros(rows, n, self.sizes.state), c.new_zeros(rows, n, len(c))
        return Last(s, d, c.repeat(rows, n, 1), torch.zeros_like(s), torch.ones_like(s))

    def paths(
        self,
        x: list[Tensor],
        a: Float[Tensor, "b t a"],
        start: Bool[Tensor, "b t"],
        change: Bool[Tensor, "b t n"],
        noise: Float[Tensor, "b t n s"],
    ) -> list[LevelPath]:
        """Sample the posteriors given e (`change`), from the top down, each level for all its frames at once.

        `change` is true at `start` and in the first frame; the other arguments as in `select`.
        """
        levels: list[tuple[Rows, Gaussian, Tensor, Tensor, Tensor, Tensor]] = []
        below = self.top_context.expand(*start.shape, -1)
        for n in reversed(range(self.options.levels)):
            level = self.levels[n]
            rows = Rows.of(change[..., n - 1] if n else torch.ones_like(start))
            context = rows.pick(below)
            q = level.posterior(rows.pick(x[n]), context)
            s = q.sample(rows.pick(noise[:, :, n]))
            s_before = F.pad(rows.spread(s)[:, :-1], (0, 0, 1, 0))
            ahead, d = level.temporal_path(s_before, a, change[..., n], start)
            levels.insert(0, (rows, q, s, context, ahead, d))
            if n:
                below = rows.spread(level.decode(s, context))
        aheads = [ahead for *_, ahead, _ in levels]
        certain = aheads[0][..., :0], torch.full_like(aheads[0][..., 0], torch.inf)
        reads = zip(self.levels[1:], self._read_by_factors(aheads), strict=True)
        factors = [certain, *(level.factor_path(read, start) for level, read in reads)]
        return [LevelPath(*level, *factor) for level, factor in zip(levels, factors, strict=True)]

    def _read_by_factors(self, ahead: Sequence[Tensor]) -> list[Tensor]:
        """Inputs of the prior factors of levels 2 to N: their `ahead`, possibly with that of the level below."""
        below = self.options.factor_sees_below
        return [torch.cat([low, own], -1) if below else own for low, own in pairwise(ahead)]

    def divergences(
        self, paths: list[LevelPath], change: Bool[Tensor, "b t n"], start: Tensor, held: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Eq. 8b and Eq. 8c of each level, per frame.

        A level without a posterior of its own costs nothing. Where a sequence starts or a level is held, e is given and
        costs nothing.
        """
        given = start[..., None].expand_as(change) if held is None else start[..., None] | held
        kl_s, kl_e = [], []
        for n, (level, path, e) in enumerate(zip(self.levels, paths, change.unbind(-1), strict=True)):
            rows, moved = path.rows, path.rows.pick(e)
            moves, stays = moved.nonzero().squeeze(1), (~moved).nonzero().squeeze(1)
            prior = level.change_prior(rows.pick(path.ahead)[moves], path.context[moves])
            moving = gaussian_kl(_take(path.q, moves), prior)
            static = gaussian_kl(_take(path.q, stays), _take(path.q, stays - 1))
            kl_s.append((moving.sum() + static.sum()) / start.numel())  # Eq. 8b by Eq. 9
            if n:  # Eq. 8c: q(e) is 0 or 1, it has no entropy
                inferred = rows.where[~rows.pick(given[..., n])]
                logit, target = path.logit.flatten()[inferred], e.flatten()[inferred].to(path.logit.dtype)
                kl_e.append(F.binary_cross_entropy_with_logits(logit, target, reduction="sum") / start.numel())
        return kl_s, kl_e

    # ---------------------------------------------------------------- transitions

    def ahead(self, state: DLHState, action: Int64[Tensor, " b"]) -> Float[Tensor, "b n d"]:
        """d^n of each level if it changes next (Eq. 12)."""
        code, beliefs = (
            one_hot_actions(action, self.actions),
            zip(self.levels, state.s.unbind(1), state.d.unbind(1), strict=True),
        )
        return torch.stack([level.advance(s, code, d) for level, s, d in beliefs], 1)

    def tick(self, state: DLHState, ahead: Float[Tensor, "b n d"]) -> tuple[DLHState, Float[Tensor, "b n_1"]]:
        """Advance the prior factors by one step (Eq. 15); return the logits of p(e^n = 1) for levels 2 to N."""
        ticks = zip(self.levels[1:], self._read_by_factors(ahead.unbind(1)), state.memory.unbind(1), strict=True)
        memory, logit = zip(*(level.tick(read, memory) for level, read, memory in ticks), strict=True)
        return state._replace(memory=torch.stack(memory, 1)), torch.stack(logit, 1)

    def change(
        self, state: DLHState, ahead: Float[Tensor, "b n d"], change: Bool[Tensor, "b n"], noise: Float[Tensor, "b n s"]
    ) -> DLHState:
        """Sample levels that change from their change priors, from the top down (Eq. 2); the others keep their sample.

        `ahead` is d^n of the levels that change; `noise` are standard normals, zeros give means.
        """
        s, d, context = list(state.s.unbind(1)), list(state.d.unbind(1)), list(state.context.unbind(1))
        for n in reversed(range(self.options.levels)):
            level, here = self.levels[n], change[:, n, None]
            prior = level.change_prior(ahead[:, n], context[n])
            s[n] = torch.where(here, prior.sample(noise[:, n]), s[n])
            d[n] = torch.where(here, ahead[:, n], d[n])
            if n:
                context[n - 1] = level.decode(s[n], context[n])
        return DLHState(torch.stack(s, 1), torch.stack(d, 1), torch.stack(context, 1), state.memory)


def _take(gaussian: Gaussian, rows: Tensor) -> Gaussian:
    """Some rows of a Gaussian."""
    return Gaussian(*(field.index_select(0, rows) for field in gaussian))
