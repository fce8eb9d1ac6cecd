"""The cross-entropy method over sequences of actions, with iCEM's memory of elites (Pinneri et al. 2020).

Each step of a sequence has a categorical distribution over actions. Rounds of sampling move the distributions towards
the elites, the best sequences so far (Rubinstein 1999). As in iCEM ("Sample-efficient Cross-Entropy Method for
Real-time Planning", CoRL 2020) elites stay among the candidates of the next round, and those that begin with the action
that was taken, shifted by what was done, are candidates of the next decision.

Differs from iCEM: actions are categories, so that there is no coloured noise; an action that the model expects to be
illegal is replaced by the likeliest one that is not; and the number of samples stays the same in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, Remembers, check_root, choose, take
from world_models.interface import State


class Elites(NamedTuple):
    """The best sequences of an episode's last decision, shifted to where the next one begins."""

    action: Int64[Tensor, "k h"]
    known: Bool[Tensor, " k"]
    """which of them begin with the action that was taken, so that they go on from there"""


class Candidates(NamedTuple):
    """K sequences of H actions in each of B episodes, and what was imagined of them."""

    action: Int64[Tensor, "b k h"]
    choice: Bool[Tensor, "b k h"]
    """whether more than one action was legal"""
    value: Float[Tensor, "b k"]
    """largest discounted cosine"""


@dataclass(frozen=True)
class CEM(Remembers):
    """Cross-entropy method over action sequences, which keeps elites between decisions."""

    kind: ClassVar[str] = "cem"
    horizon: int = 8
    """Transitions per sequence; a smaller budget shortens it. About 8 jumps, or 40 single steps."""
    transitions: int = 1000
    """Model transitions per decision, in rounds of equally many sequences."""
    rounds: int = 3
    """Times that sequences are sampled; fewer if the budget has no sequence for each."""
    elite_share: float = 0.15
    """Share of a round's candidates that are elites; at least two where there are as many."""
    momentum: float = 0.1
    """Share of a distribution that stays when it moves to the elites."""
    discount: float = 0.95
    """Factor on a cosine for each transition before it."""
    tie_tolerance: float = 0.2
    """Cosines within this of the best count as equal; the earliest arrival wins."""

    def __post_init__(self) -> None:
        """Validate the options."""
        if min(self.horizon, self.transitions, self.rounds) < 1:
            raise ValueError(
                "cem needs --horizon, --transitions and --rounds of at least 1, "
                f"got {self.horizon}, {self.transitions} and {self.rounds}"
            )
        for name in ("elite_share", "discount"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"--{name.replace('_', '-')} must be above 0 and at most 1, got {getattr(self, name):g}"
                )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"--momentum must be 0 or more and below 1, got {self.momentum:g}")

    @property
    def budget(self) -> int:
        """See `Planner.budget`."""
        return self.transitions

    def with_budget(self, transitions: int) -> CEM:
        """See `Planner.with_budget`."""
        return replace(self, transitions=transitions)

    def plan_on(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
        past: Sequence[Elites | None],
    ) -> tuple[Plan, list[Elites]]:
        """See `Remembers.plan_on`."""
        check_root(root_mask)
        b, actions = root_mask.shape
        goal, horizon = F.normalize(goal_feature, dim=-1), min(self.horizon, self.transitions)
        rounds = min(self.rounds, self.transitions // horizon)
        samples = self.transitions // (horizon * rounds)
        elites = max(min(2, samples), round(self.elite_share * samples))
        best = goal.new_full((b, horizon, actions), -torch.inf)
        chance = goal.new_full((b, horizon, actions), 1 / actions)
        top: Candidates | None = None
        for number in range(rounds):
            wanted = _sampled(chance, samples, generator)
            if number == 0:
                wanted = _remembered(wanted, past)
            found = self._imagined(functions, state, goal, root_mask, chance, wanted, best)
            pool = found if top is None else Candidates(*(torch.cat(pair, 1) for pair in zip(top, found, strict=True)))
            rows = pool.value.topk(min(elites, pool.value.shape[1]), 1).indices
            top = Candidates(pool.action[_at(rows)], pool.choice[_at(rows)], pool.value.gather(1, rows))
            share = F.one_hot(top.action, actions).to(chance.dtype).mean(1)
            chance = torch.lerp(share, chance, self.momentum)
        assert top is not None
        spent = torch.full((b,), rounds * samples * horizon, dtype=torch.int64, device=goal.device)
        plan = Plan(*choose(best, self.tie_tolerance), spent)
        return plan, _kept(top, plan.action)

    def _imagined(
        self,
        functions: ModelFunctions,
        state: State,
        goal: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        chance: Float[Tensor, "b h a"],
        wanted: Int64[Tensor, "b k h"],
        best: Float[Tensor, "b h a"],
    ) -> Candidates:
        """Imagine sequences, their illegal actions replaced, and enter their cosines into `best`."""
        b, k, horizon = wanted.shape
        episode = torch.arange(b, device=goal.device).repeat_interleave(k)
        now, legal = take(state, episode), root_mask[episode]
        taken, choices, values = [], [], []
        for depth in range(horizon):
            action = wanted[:, :, depth].flatten()
            likeliest = chance[episode, depth].masked_fill(~legal, -1).argmax(1)
            action = torch.where(legal.gather(1, action[:, None]).squeeze(1), action, likeliest)
            taken.append(action)
            choices.append(legal.sum(1) > 1)
            now = functions.imagine(now, action)
            cosine = (F.normalize(functions.feature(now), dim=-1) * goal[episode]).sum(-1)
            best[:, depth].scatter_reduce_(1, taken[0].view(b, k), cosine.view(b, k), "amax")
            values.append(cosine * self.discount**depth)
            if depth + 1 < horizon:
                legal = functions.legal(now)
        action, choice = (torch.stack(parts, 1).view(b, k, horizon) for parts in (taken, choices))
        return Candidates(action, choice, torch.stack(values).amax(0).view(b, k))


def _sampled(chance: Float[Tensor, "b h a"], samples: int, generator: torch.Generator) -> Int64[Tensor, "b k h"]:
    """Sequences from the distributions of their steps."""
    b, horizon, _ = chance.shape
    uniform = torch.rand(b, samples, horizon, 1, generator=generator).to(chance.device)
    return (uniform >= chance.cumsum(-1)[:, None, :, :-1]).sum(-1)


def _remembered(wanted: Int64[Tensor, "b k h"], past: Sequence[Elites | None]) -> Int64[Tensor, "b k h"]:
    """The samples, the first of each episode replaced by the sequences that it kept; their ends stay sampled."""
    for row, elites in zip(wanted, past, strict=True):
        if elites is None:
            continue
        kept = elites.action[elites.known][: len(row), : row.shape[1]]
        row[: len(kept), : kept.shape[1]] = torch.where(kept >= 0, kept, row[: len(kept), : kept.shape[1]])
    return wanted


def _kept(top: Candidates, action: Int64[Tensor, " b"]) -> list[Elites]:
    """Elites shifted to their first choice after the action that is taken; -1 where they end."""
    horizon = top.action.shape[2]
    later = top.choice.clone()
    later[:, :, 0] = False
    step = torch.arange(horizon, device=action.device)
    shift = torch.where(later.any(2), later.long().argmax(2), horizon)[..., None]
    place = step + shift
    shifted = top.action.gather(2, place.clamp(max=horizon - 1)).masked_fill(place >= horizon, -1)
    known = (top.action[:, :, 0] == action[:, None]) & later.any(2)
    return [Elites(*pair) for pair in zip(shifted, known, strict=True)]


def _at(rows: Int64[Tensor, "b k"]) -> tuple[Tensor, Tensor]:
    """Index of candidates, an episode's own."""
    return torch.arange(len(rows), device=rows.device)[:, None], rows
