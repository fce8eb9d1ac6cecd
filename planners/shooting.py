"""Random shooting: score random trajectories, for searches too deep to enumerate."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.interface import Level, ModelFunctions, Plan, State, check_root, choose, take


@dataclass(frozen=True)
class ShootingConfig:
    """Options of random shooting."""

    horizon: int = 30
    """transitions of every trajectory"""
    transitions: int = 1092
    """budget of a decision: transitions // horizon trajectories are imagined, at least one"""
    epsilon: float = 0.2
    """cosines within this of the best count as equal; the earliest arrival wins"""

    def __post_init__(self) -> None:
        """Refuse an empty search."""
        if self.horizon < 1 or self.transitions < 1:
            raise ValueError(
                f"shooting needs a horizon and a budget of at least 1, got {self.horizon} and {self.transitions}"
            )


def plan_shooting(
    functions: ModelFunctions,
    state: State,
    goal_feature: Float[Tensor, "b d"],
    root_mask: Bool[Tensor, "b a"],
    config: ShootingConfig,
    generator: torch.Generator,
) -> Plan:
    """Imagine random trajectories of every episode at once, uniform over the actions expected to be legal.

    A budget below one horizon shortens the trajectory. Arguments, result and errors as in `tree.plan_tree`; `generator`
    draws the actions, on the CPU.
    """
    check_root(root_mask)
    b, actions = root_mask.shape
    horizon = min(config.horizon, config.transitions)
    shots = config.transitions // horizon
    goal = F.normalize(goal_feature, dim=-1)
    best = goal.new_full((horizon, b, actions), -torch.inf)
    episode = torch.arange(b, device=goal.device).repeat_interleave(shots)
    place = torch.arange(len(episode), device=goal.device)
    parent = episode
    state, legal = take(state, episode), root_mask[episode]
    root = place
    tree: list[Level] = []
    for depth in range(horizon):
        chance = torch.rand(legal.shape, generator=generator).to(goal.device)
        action = chance.masked_fill(~legal, -1).argmax(1)
        root = root if depth else action
        state = functions.imagine(state, action)
        score = (F.normalize(functions.feature(state), dim=-1) * goal[episode]).sum(-1)
        best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
        tree.append(Level(episode, root, parent, action, score))
        parent = place
        if depth + 1 < horizon:
            legal = functions.legal(state)
    spent = torch.full((b,), shots * horizon, dtype=torch.int64, device=goal.device)
    return Plan(*choose(best.movedim(0, 1), config.epsilon), spent, tree)
