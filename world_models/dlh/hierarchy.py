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
from world_models.blocks.networks import GRU, mlp, one_hot_actions
from world_models.dlh.levels import Level
from world_models.dlh.options import DLHOptions, DLHSizes
from world_models.dlh.rows import Rows, Some
from world_models.shapes import Action


class DLHState(NamedTuple):
    """Belief at one frame."""

    s: Float[Tensor, "b n s"]
    d: Float[Tensor, "b n d"]
    context: Float[Tensor, "b n c"]
    memory: Float[Tensor, "b n_1 d"]
    """of levels 2 to N"""


class Seen(NamedTuple):
    """What inference reads of a sequence."""

    x: list[Float[Tensor, "b t d"]]
    """x^1 to x^N"""
    a: Float[Tensor, "b t a"]
    """codes of a_{t-1}"""
    start: Bool[Tensor, "b t"]
    """where a sequence begins: all levels change, and what was before does not count"""
    surprise: Float[Tensor, "b t"] | None = None
    """of a_{t-1}, in nats; None: it does not speak for changes"""

    def at(self, frames: int | slice) -> "Seen":
        """Some frames; a single one without its axis."""
        surprise = None if self.surprise is None else self.surprise[:, frames]
        return Seen([x[:, frames] for x in self.x], self.a[:, frames], self.start[:, frames], surprise)


class Last(NamedTuple):
    """What is kept from frame to frame while changes are inferred, (B, N, ...); overwritten in place."""

    s: Tensor
    d: Tensor
    context: Tensor
    mean: Tensor
    """of the last posterior, as `std`"""
    std: Tensor

    def posterior(self, n: int, rows: Some) -> Gaussian:
        """The last posterior of level n in some rows."""
        return Gaussian(rows.take(self.mean[:, n]), rows.take(self.std[:, n]))


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
        """Build the networks; without actions nothing reads them, remembers or is surprised."""
        super().__init__()
        self.sizes, self.options, self.actions = sizes, options, actions
        n = options.levels
        self.top_context = nn.Parameter(0.1 * torch.randn(sizes.belief))  # c^N
        reads = sizes.belief * (1 + options.factor_sees_below)
        self.fresh = bool(actions) and options.fresh_belief
        levels = [Level(sizes, actions, k == 0, k == n - 1, reads, self.fresh and k > 0) for k in range(n)]
        self.levels: Sequence[Level] = nn.ModuleList(levels)  # type: ignore[assignment]
        if actions and options.features_remember:
            self.memory = GRU(sizes.embedding + actions, sizes.embedding)
        if actions and options.action_weight is not None:
            self.foreseen = mlp(sizes.embedding, sizes.belief, actions)

    @property
    def masked(self) -> bool:
        """Whether all rows are computed and masks choose what counts, as on a GPU (see `rows`)."""
        return self.top_context.is_cuda

    # ---------------------------------------------------------------- inference

    def see(self, e: Float[Tensor, "b t d"], a: Int64[Tensor, "b t_1"], start: Bool[Tensor, "b t"]) -> Seen:
        """Features of embedded frames from the bottom up (Eq. 10), and what the T - 1 actions between them say."""
        codes = F.pad(one_hot_actions(a, self.actions), (0, 0, 1, 0)) * ~start[..., None]
        x = [e]
        for n, level in enumerate(self.levels[:-1]):
            x.append(level.encode(x[-1]))
            if n == 0 and hasattr(self, "memory"):
                x[1] = self.memory.scan(torch.cat([x[1], codes], -1), keep=(~start).to(e.dtype))
        return Seen(x, codes, start, self._surprise(x[1], codes) if hasattr(self, "foreseen") else None)

    def _surprise(self, x: Tensor, codes: Tensor) -> Float[Tensor, "b t"]:
        """-log p(a_{t-1} | x^2_{t-1}), (B, T); 0 where a sequence begins."""
        log_p = F.log_softmax(self.foreseen(x[:, :-1]), -1)
        return F.pad(-(log_p * codes[:, 1:]).sum(-1), (1, 0))

    @torch.no_grad()
    def select(
        self, seen: Seen, noise: Float[Tensor, "b t n s"], held: Bool[Tensor, "b t n"] | None = None
    ) -> Bool[Tensor, "b t n"]:
        """Infer e = q(e^n_t = 1), 0 or 1, frame by frame (Algorithm 1): up to the first static level, then down again.

        Where a level is `held`, only an action may make it change. `noise` are the standard normals of the states.
        """
        (rows, frames), last, change = seen.start.shape, self._nothing(len(seen.start)), []
        top = self.levels[-1].posterior(seen.x[-1], self.top_context.expand(rows, frames, -1))
        for t in range(frames):
            now = seen.at(t)
            its_top = Gaussian(*(field[:, t] for field in top))
            moves, blocks = self._bottom_up_changes(now, None if held is None else held[:, t], its_top, last)
            self._top_down_posteriors(now.x, noise[:, t], blocks, its_top, last)
            change.append(moves)
        return torch.stack(change, 1)

    def _bottom_up_changes(
        self, now: Seen, held: Tensor | None, top: Gaussian, last: Last
    ) -> tuple[Bool[Tensor, "b n"], list[Some]]:
        """Infer the changes in a frame, and set d^n where level n changes (first loop of Algorithm 1).

        The candidate posterior reads the context of the frame before: Eq. 25 takes the levels above as static, and
        their samples are known.

        Returns:
            Which levels change, and for each level from 2 on the rows in which it has a posterior.
        """
        change = now.start.new_zeros(len(now.start), self.options.levels)
        change[:, 0].fill_(True)  # q(e^1 = 1) = 1
        rows, blocks = Some(), []  # where the level below changes
        for n in range(1, self.options.levels):
            begins, level, d = rows.take(now.start), self.levels[n], rows.take(last.d[:, n])
            ahead = level.advance(rows.take(last.s[:, n]), rows.take(now.a), d)
            static, moving = last.posterior(n, rows), level.change_prior(ahead, rows.take(last.context[:, n]))
            q = self._posterior(n, rows, now.x, top, last)
            odds = gaussian_kl(q, static) - gaussian_kl(q, moving)  # Eq. 4
            if held is not None:
                odds = odds.where(~rows.take(held[:, n]), 0.0)
            moves = odds + rows.take(self._evidence(n, now)) > 0
            rows.put(change[:, n], moves | begins)
            d = torch.where(moves[:, None], ahead, d)
            rows.put(last.d[:, n], torch.where(begins[:, None], level.begin(rows.take(now.x[n])), d))
            blocks.append(rows)
            rows = Some.of(change[:, n], self.masked)  # Eq. 5
            if rows.none:
                break
        return change, blocks

    def _posterior(self, n: int, rows: Some, x: list[Tensor], top: Gaussian, last: Last) -> Gaussian:
        """q(s^n | x^n, c^n) in some rows; that of the top level, whose context is constant, is known beforehand."""
        if n + 1 == self.options.levels:
            return _take(rows, top)
        return self.levels[n].posterior(rows.take(x[n]), rows.take(last.context[:, n]))

    def _evidence(self, n: int, now: Seen) -> Float[Tensor, " b"]:
        """What the action before a frame adds to the log-odds of Eq. 4 of level `jump_level`."""
        o = self.options
        if now.surprise is None or n + 1 != o.jump_level:
            return torch.zeros_like(now.start, dtype=now.a.dtype)
        return o.surprise_weight * (now.surprise - o.foreseen_nats)

    def _top_down_posteriors(
        self, x: list[Tensor], noise: Tensor, blocks: list[Some], top: Gaussian, last: Last
    ) -> None:
        """Sample the posteriors of levels 2 and up that have one (second loop of Algorithm 1)."""
        for n, rows in reversed(list(enumerate(blocks, 1))):
            q = self._posterior(n, rows, x, top, last)
            s = q.sample(rows.take(noise[:, n]))
            for field, value in ((last.mean, q.mean), (last.std, q.std), (last.s, s)):
                rows.put(field[:, n], value)
            if n > 1:
                rows.put(last.context[:, n - 1], self.levels[n].decode(s, rows.take(last.context[:, n])))

    def _nothing(self, rows: int) -> Last:
        """The values before a sequence."""
        n, c = self.options.levels, self.top_context.detach()
        s, d = c.new_zeros(rows, n, self.sizes.state), c.new_zeros(rows, n, len(c))
        return Last(s, d, c.repeat(rows, n, 1), torch.zeros_like(s), torch.ones_like(s))

    def paths(self, seen: Seen, change: Bool[Tensor, "b t n"], noise: Float[Tensor, "b t n s"]) -> list[LevelPath]:
        """Sample the posteriors given e (`change`), from the top down, each level for all its frames at once.

        `change` is true at `start` and in the first frame; `noise` as in `select`.
        """
        x, a, start, _ = seen
        levels: list[tuple[Rows, Gaussian, Tensor, Tensor, Tensor, Tensor]] = []
        below = self.top_context.expand(*start.shape, -1)
        for n in reversed(range(self.options.levels)):
            level = self.levels[n]
            rows = Rows.of(change[..., n - 1] if n else torch.ones_like(start), self.masked)
            context = rows.pick(below)
            q = level.posterior(rows.pick(x[n]), context)
            s = q.sample(rows.pick(noise[:, :, n]))
            s_before = F.pad(rows.spread(s)[:, :-1], (0, 0, 1, 0))
            ahead, d = level.temporal_path(s_before, a, change[..., n], start, x[n], self.masked)
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
            moves, stays = rows.among(moved), rows.among(~moved)
            prior = level.change_prior(moves.take(rows.pick(path.ahead)), moves.take(path.context))
            moving = moves.sum(gaussian_kl(_take(moves, path.q), prior))
            last = Gaussian(*(rows.before(field) for field in path.q))
            static = stays.sum(gaussian_kl(_take(stays, path.q), _take(stays, last)))
            kl_s.append((moving + static) / start.numel())  # Eq. 8b by Eq. 9
            if n:  # Eq. 8c: q(e) is 0 or 1, it has no entropy
                inferred = rows.among(~rows.pick(given[..., n]))
                logit, target = inferred.take(rows.pick(path.logit)), inferred.take(moved).to(path.logit.dtype)
                cost = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
                kl_e.append(inferred.sum(cost) / start.numel())
        return kl_s, kl_e

    def begin(self, seen: Seen, state: DLHState | None = None) -> DLHState:
        """Let the levels from `jump_level` up begin anew at the last frame, at their means; the others keep `state`.

        What was before counts as far as the features remember it. Without a state the levels below are empty.
        """
        n, c = self.options.levels, self.top_context.expand(len(seen.start), -1)
        if state is None:
            empty = torch.zeros_like(c)
            s = c.new_zeros(len(c), n, self.sizes.state)
            state = DLHState(s, torch.stack([empty] * n, 1), torch.stack([c] * n, 1), torch.stack([empty] * (n - 1), 1))
        means, d, context, memory = (list(field.unbind(1)) for field in state)
        for k in reversed(range(self.options.jump_level - 1, n)):
            level, x = self.levels[k], seen.x[k][:, -1]
            means[k], d[k] = level.posterior(x, context[k]).mean, level.begin(x)
            if k:
                context[k - 1], memory[k - 1] = level.decode(means[k], context[k]), torch.zeros_like(memory[k - 1])
        return DLHState(*(torch.stack(field, 1) for field in (means, d, context, memory)))

    # ---------------------------------------------------------------- transitions

    def ahead(self, state: DLHState, action: Action) -> Float[Tensor, "b n d"]:
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


def _take(rows: Some, gaussian: Gaussian) -> Gaussian:
    """Some rows of a Gaussian."""
    return Gaussian(*(rows.take(field) for field in gaussian))
