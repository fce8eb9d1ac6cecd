"""Random shooting: score random trajectories, for searches too deep to enumerate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, check_root, choose, take
from world_models.interface import State

TOGETHER = 131_072
"""trajectories that are imagined at once; more of them take turns"""


@dataclass(frozen=True)
class Shooting:
    """Random trajectories, uniform over the actions that the model considers legal."""

    kind: ClassVar[str] = "shooting"
    horizon: int = 30
    """Transitions per trajectory; a smaller budget shortens it."""
    transitions: int = 1092
    """Model transitions per decision: transitions // horizon trajectories are imagined, at least one."""
    tie_tolerance: float = 0.2
    """Cosines within this of the best count as equal; the earliest arrival wins."""

    def __post_init__(self) -> None:
        """Validate the options."""
        if self.horizon < 1 or self.transitions < 1:
            raise ValueError(
                f"shooting needs --horizon and --transitions of at least 1, got {self.horizon} and {self.transitions}"
            )

    @property
    def budget(self) -> int:
        """See `Planner.budget`."""
        return self.transitions

    def with_budget(self, transitions: int) -> Shooting:
        """See `Planner.with_budget`."""
        return replace(self, transitions=transitions)

    def plan(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
    ) -> Plan:
        """See `Planner.plan`."""
        check_root(root_mask)
        b, actions = root_mask.shape
        horizon = min(self.horizon, self.transitions)
        trajectories = self.transitions // horizon
        goal = F.normalize(goal_feature, dim=-1)
        best = goal.new_full((horizon, b, actions), -torch.inf)
        rows = torch.arange(b, device=goal.device).repeat_interleave(trajectories)
        for episode in rows.split(TOGETHER):
            states, legal = take(state, episode), root_mask[episode]
            root = torch.zeros_like(episode)
            for depth in range(horizon):
                chance = torch.rand(legal.shape, generator=generator).to(goal.device)
                action = chance.masked_fill(~legal, -1).argmax(1)
                root = root if depth else action
                states = functions.imagine(states, action)
                score = (F.normalize(functions.feature(states), dim=-1) * goal[episode]).sum(-1)
                best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
                if depth + 1 < horizon:
                    legal = functions.legal(states)
        spent = torch.full((b,), trajectories * horizon, dtype=torch.int64, device=goal.device)
        return Plan(*choose(best.movedim(0, 1), self.tie_tolerance), spent)
