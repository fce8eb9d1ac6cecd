"""The hierarchy of a DLH between its features and states: inference, divergences and transitions; symbols as in `dlh`.

**How it is fast.** No gradient passes the choice of e. So `select` finds it first, without gradients and for levels 2
to N only: level 1 always changes, and what it does tells the others nothing. Given e, no posterior depends on time:
`paths` makes each level's for all its frames at once, from the top down, and only f_tem and the prior factors recur.
"""

from collections.abc import Sequence
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
    """Belief at one frame; levels side by side."""

    s: Float[Tensor, "b n s"]
    d: Float[Tensor, "b n d"]
    context: Float[Tensor, "b n c"]
    memory: Float[Tensor, "b n_1 d"]
    """of levels 2 to N"""


class LevelPath(NamedTuple):
    """What one level does over a sequence. Posteriors are there for its rows, (M, ...), the rest for all frames."""

    rows: Rows
    q: Gaussian
    s: Tensor
    context: Tensor
    ahead: Tensor
    d: Tensor
    memory: Tensor
    """(B, T, 0) for level 1"""
    logit: Tensor
    """of p(e^n_t = 1); infinite for level 1, (B, T)"""


class Hierarchy(nn.Module):
    """Levels 1 to N above the features of frames."""

    def __init__(self, sizes: DLHSizes, options: DLHOptions, actions: int) -> None:
        """Build the networks; with `actions` above 0 the temporal path reads actions."""
        super().__init__()
        self.sizes, self.options, self.actions = sizes, options, actions
        n = options.levels
        self.top_context = nn.Parameter(0.1 * torch.randn(sizes.belief))  # c^N
        reads = sizes.belief * (1 + options.factor_sees_below)
        self.levels = nn.ModuleList(Level(sizes, actions, k == 0, k == n - 1, reads) for k in range(n))

    def level(self, n: int) -> Level:
        """The networks of a level, counted from 0."""
        level = self.levels[n]
        assert isinstance(level, Level)
        return level

    def codes(self, a: Int64[Tensor, "b t_1"]) -> Float[Tensor, "b t a"]:
        """Codes of a_{t-1} at t, of the T - 1 actions between frames."""
        return F.pad(one_hot_actions(a, self.actions), (0, 0, 1, 0))

    # ---------------------------------------------------------------- inference

    def bottom_up(self, e: Float[Tensor, "b t d"]) -> list[Tensor]:
        """Return x^1 to x^N (Eq. 10), each (B, T, D), of embedded frames."""
        x = [e]
        for n in range(self.options.levels - 1):
            x.append(self.level(n).encode(x[-1]))
        return x

    @torch.no_grad()
    def select(
        self,
        x: list[Tensor],
        a: Float[Tensor, "b t a"],
        start: Bool[Tensor, "b t"],
        noise: Float[Tensor, "b t n s"],
        uniform: Float[Tensor, "b t n"] | None = None,
        held: Bool[Tensor, "b t n"] | None = None,
    ) -> tuple[Float[Tensor, "b t n"], Bool[Tensor, "b t n"]]:
        """Infer when levels change (Algorithm 1): bottom-up to the first level that stays static, then top-down.

        The candidate posterior of a level is given the context of the frame before: Eq. 25 takes the levels above as
        static, and their samples are known.

        Args:
            x: bottom-up features.
            a: code of a_{t-1}.
            start: where a sequence begins; all levels change there, and what was before does not count.
            noise: standard normals of the states.
            uniform: draws of e with the option `vade`.
            held: where a level may not change (`hold`).

        Returns:
            q(e^n_t = 1), and e^n_t: drawn from it with `vade`, else the same.
        """
        o, (b, t) = self.options, start.shape
        q_e, change = noise.new_zeros(b, t, o.levels), start.new_zeros(b, t, o.levels)
        q_e[..., 0], change[..., 0] = 1, True  # q(e^1 = 1) = 1
        now = self._nothing(b)
        mean, std = torch.zeros_like(now.s), torch.ones_like(now.s)  # of the last posteriors
        for i in range(t):
            first, prior_logit = start[:, i], self._factors(now, a[:, i], start[:, i]) if o.vade else None
            rows: Tensor | slice = slice(None)  # where the level below changes
            reached = []
            for n in range(1, o.levels):
                level, context, begins = self.level(n), now.context[rows, n], first[rows]
                q = level.posterior(x[n][rows, i], context)
                ahead = level.advance(now.s[rows, n], a[rows, i], now.d[rows, n])
                static = gaussian_kl(q, Gaussian(mean[rows, n], std[rows, n]))
                odds = static - gaussian_kl(q, level.change_prior(ahead, context))
                if prior_logit is None:
                    q_1 = (odds > 0).to(odds.dtype)  # Eq. 4
                else:
                    q_1 = torch.sigmoid(odds + prior_logit[rows, n - 1])  # Eq. 34
                if held is not None:
                    q_1 = q_1 * ~held[rows, i, n]
                e = begins | (q_1 > (0.5 if uniform is None else uniform[rows, i, n]))
                q_e[rows, i, n], change[rows, i, n] = torch.where(begins, 1, q_1), e
                now.d[rows, n] = torch.where((e & ~begins)[:, None], ahead, now.d[rows, n] * ~begins[:, None])
                reached.append((n, rows))
                rows = e.nonzero().squeeze(1) if isinstance(rows, slice) else rows[e]  # Eq. 5
                if not len(rows):
                    break
            for n, rows in reversed(reached):
                q = self.level(n).posterior(x[n][rows, i], now.context[rows, n])
                mean[rows, n], std[rows, n] = q
                now.s[rows, n] = torch.addcmul(q.mean, q.std, noise[rows, i, n])
                if n > 1:
                    now.context[rows, n - 1] = self.level(n).decode(now.s[rows, n], now.context[rows, n])
        return q_e, change

    def _factors(self, now: DLHState, a: Tensor, first: Tensor) -> Tensor:
        """Advance the prior factors of all levels in place; return the logits (B, N - 1)."""
        logits = []
        for n in range(1, self.options.levels):  # each reads its own level alone, or this is not called
            ahead = self.level(n).advance(now.s[:, n], a, now.d[:, n])
            memory, logit = self.level(n).tick(ahead, now.memory[:, n - 1])
            now.memory[:, n - 1] = memory * ~first[:, None]
            logits.append(logit)
        return torch.stack(logits, 1)

    def _nothing(self, rows: int) -> DLHState:
        """An empty belief."""
        sizes, n, c = self.sizes, self.options.levels, self.top_context.detach()
        s, d, memory = (c.new_zeros(rows, *size) for size in ((n, sizes.state), (n, len(c)), (n - 1, len(c))))
        return DLHState(s, d, c.repeat(rows, n, 1), memory)

    def paths(
        self,
        x: list[Tensor],
        a: Float[Tensor, "b t a"],
        start: Bool[Tensor, "b t"],
        change: Bool[Tensor, "b t n"],
        noise: Float[Tensor, "b t n s"],
    ) -> list[LevelPath]:
        """Sample the posteriors given e, level by level from the top down, each for all its frames at once.

        Args:
            x: bottom-up features.
            a: code of a_{t-1}.
            start: where a sequence begins.
            change: e, true at `start` and in the first frame.
            noise: standard normals of the states.
        """
        levels: list[tuple[Rows, Gaussian, Tensor, Tensor, Tensor, Tensor]] = []
        below = self.top_context.expand(*start.shape, -1)
        for n in reversed(range(self.options.levels)):
            level = self.level(n)
            rows = Rows.of(change[..., n - 1] if n else torch.ones_like(start))
            context = rows.pick(below)
            q = level.posterior(rows.pick(x[n]), context)
            s = torch.addcmul(q.mean, q.std, rows.pick(noise[:, :, n]))
            s_before = F.pad(rows.spread(s)[:, :-1], (0, 0, 1, 0))
            ahead, d = level.temporal_path(s_before, a, change[..., n], start)
            levels.insert(0, (rows, q, s, context, ahead, d))
            if n:
                below = rows.spread(level.decode(s, context))
        aheads = [ahead for *_, ahead, _ in levels]
        certain = aheads[0][..., :0], torch.full_like(aheads[0][..., 0], torch.inf)
        read = [self._read_by_factor(aheads, n) for n in range(1, len(levels))]
        factors = [certain, *(self.level(n).factor_path(values, start) for n, values in enumerate(read, 1))]
        return [LevelPath(*level, *factor) for level, factor in zip(levels, factors, strict=True)]

    def _read_by_factor(self, ahead: Sequence[Tensor], n: int) -> Tensor:
        """What the prior factor of level n, counted from 0, reads: its `ahead`, and perhaps that of the level below."""
        return torch.cat([ahead[n - 1], ahead[n]], -1) if self.options.factor_sees_below else ahead[n]

    def divergences(
        self, paths: list[LevelPath], q_e: Tensor, start: Tensor, held: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Terms 8b and 8c of each level, per frame.

        A level without a posterior of its own has no terms. Where a sequence starts or a level is held, e is given and
        has none.
        """
        given = start[..., None].expand_as(q_e) if held is None else start[..., None] | held
        kl_s, kl_e = [], []
        for n, (path, q_1) in enumerate(zip(paths, q_e.unbind(-1), strict=True)):
            rows, weight = path.rows, path.rows.pick(q_1)
            moves, stays = weight.nonzero().squeeze(1), (weight < 1).nonzero().squeeze(1)
            prior = self.level(n).change_prior(rows.pick(path.ahead)[moves], path.context[moves])
            moving = weight[moves] * gaussian_kl(_take(path.q, moves), prior)
            static = (1 - weight[stays]) * gaussian_kl(_take(path.q, stays), _take(path.q, stays - 1))
            kl_s.append((moving.sum() + static.sum()) / start.numel())  # Eq. 9
            if n:
                q, logit = (value.flatten()[rows.where[~rows.pick(given[..., n])]] for value in (q_1, path.logit))
                entropy = -(torch.xlogy(q, q) + torch.xlogy(1 - q, 1 - q)).sum()
                surprise = F.binary_cross_entropy_with_logits(logit, q, reduction="sum")
                kl_e.append((surprise - entropy) / start.numel())
        return kl_s, kl_e

    # ---------------------------------------------------------------- transitions

    def ahead(self, state: DLHState, action: Int64[Tensor, " b"]) -> Float[Tensor, "b n d"]:
        """What d^n will be of each level that changes next (Eq. 12)."""
        code = one_hot_actions(action, self.actions)
        levels = range(self.options.levels)
        return torch.stack([self.level(n).advance(state.s[:, n], code, state.d[:, n]) for n in levels], 1)

    def tick(self, state: DLHState, ahead: Float[Tensor, "b n d"]) -> tuple[DLHState, Float[Tensor, "b n_1"]]:
        """Advance the prior factors by one step (Eq. 15); return the logits of p(e^n = 1) for levels 2 to N."""
        levels = range(1, self.options.levels)
        read = {n: self._read_by_factor(ahead.unbind(1), n) for n in levels}
        memory, logit = zip(*(self.level(n).tick(read[n], state.memory[:, n - 1]) for n in levels), strict=True)
        return state._replace(memory=torch.stack(memory, 1)), torch.stack(logit, 1)

    def change(
        self,
        state: DLHState,
        ahead: Float[Tensor, "b n d"],
        change: Bool[Tensor, "b n"],
        noise: Float[Tensor, "b n s"],
    ) -> DLHState:
        """Sample levels that change from their change priors, from the top down (Eq. 2); the others keep their sample.

        Args:
            state: belief before.
            ahead: what d^n becomes there.
            change: which levels change.
            noise: standard normals; zeros give means.
        """
        s, d, context = list(state.s.unbind(1)), list(state.d.unbind(1)), list(state.context.unbind(1))
        for n in reversed(range(self.options.levels)):
            level, here = self.level(n), change[:, n, None]
            prior = level.change_prior(ahead[:, n], context[n])
            s[n] = torch.where(here, torch.addcmul(prior.mean, prior.std, noise[:, n]), s[n])
            d[n] = torch.where(here, ahead[:, n], d[n])
            if n:
                context[n - 1] = level.decode(s[n], context[n])
        return DLHState(torch.stack(s, 1), torch.stack(d, 1), torch.stack(context, 1), state.memory)


def _take(gaussian: Gaussian, rows: Tensor) -> Gaussian:
    """Some rows of a Gaussian."""
    return Gaussian(*(field.index_select(0, rows) for field in gaussian))
