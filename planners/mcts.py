"""Monte Carlo tree search over imagined trajectories: simulations one after another, batched over episodes.

Selection is PUCT (Silver et al. 2017, "Mastering the game of Go without human knowledge", Methods), with equal priors
of the actions expected to be legal. A simulation imagines one transition more; there is no value network: its value is
the largest cosine with the goal that its trajectory has met, discounted by depth so that near arrivals win. As in mctx
(DeepMind), trees are arrays (B, N), and a simulation is one call of the model for all episodes (`planners.mcts_tree`).

Differs from PUCT in games: nothing is random and nobody opposes, so that a node whose trajectories are all known is
*closed* and not visited again; and where a goal is found, only nearer arrivals are looked for. The choice is that of
the other planners: the earliest of the best arrivals, not the most visited action.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, check_root, choose, take
from planners.mcts_tree import SearchTree, grow, planted, select
from world_models.interface import State


@dataclass(frozen=True)
class MCTS:
    """Monte Carlo tree search with PUCT; one simulation imagines one transition."""

    kind: ClassVar[str] = "mcts"
    simulations: int = 200
    """Model transitions per decision."""
    depth: int = 20
    """Transitions of the longest trajectory."""
    exploration: float = 1.0
    """Weight of what was visited seldom, against what is valued highly."""
    discount: float = 0.95
    """Factor on a cosine for each transition before it."""
    stop: float = 0.7
    """A cosine that counts as the goal: from then on only nearer arrivals are looked for."""
    tie_tolerance: float = 0.2
    """Cosines within this of the best count as equal; the earliest arrival wins."""

    def __post_init__(self) -> None:
        """Validate the options."""
        if self.simulations < 1 or self.depth < 1:
            raise ValueError(
                f"mcts needs --simulations and --depth of at least 1, got {self.simulations} and {self.depth}"
            )
        if not 0 < self.discount <= 1:
            raise ValueError(f"--discount must be above 0 and at most 1, got {self.discount:g}")

    @property
    def budget(self) -> int:
        """See `Planner.budget`."""
        return self.simulations

    def with_budget(self, transitions: int) -> MCTS:
        """See `Planner.with_budget`."""
        return replace(self, simulations=transitions)

    def plan(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
    ) -> Plan:
        """See `Planner.plan`; the search is deterministic."""
        check_root(root_mask)
        tree = self.search(functions, state, goal_feature, root_mask)
        depth, first, cosine = (torch.from_numpy(field[:, 1:]) for field in (tree.depth, tree.first, tree.cosine))
        b, _, actions = tree.child.shape
        best = cosine.new_full((b, int(depth.max()), actions), -torch.inf)
        best.flatten(1).scatter_reduce_(1, (depth - 1).clamp(min=0) * actions + first, cosine, "amax")
        choice = choose(best, self.tie_tolerance)
        return Plan(*(field.to(goal_feature.device) for field in (*choice, torch.from_numpy(tree.size - 1))))

    def search(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
    ) -> SearchTree:
        """Simulate from B roots until the simulations are used up or everything is known; the trees, for pictures."""
        b, device = len(root_mask), goal_feature.device
        goal = F.normalize(goal_feature, dim=-1)
        tree = planted(root_mask.cpu().numpy(), self.simulations + 1, self.depth)
        known = type(state)(*(field.new_empty(b * (self.simulations + 1), *field.shape[1:]) for field in state))
        row = np.zeros_like(tree.parent)  # (B, N): where each node's belief is
        row[:, 0] = np.arange(b)
        filled = 0
        imagined = state
        for _ in range(self.simulations):
            for field, value in zip(known, imagined, strict=True):
                field[filled : filled + len(value)] = value
            filled += len(imagined[0])
            episodes, leaf, action = select(tree, self.exploration)
            if not len(episodes):
                break
            row[episodes, tree.size[episodes]] = filled + np.arange(len(episodes))
            above, taken = (torch.from_numpy(each).to(device) for each in (row[episodes, leaf], action))
            imagined = functions.imagine(take(known, above), taken)
            aims = goal if len(episodes) == b else goal[torch.from_numpy(episodes).to(device)]
            cosine = (F.normalize(functions.feature(imagined), dim=-1) * aims).sum(-1)
            near, legal = (each.detach().cpu().numpy() for each in (cosine, functions.legal(imagined)))
            grow(tree, episodes, leaf, action, near, legal, self.discount, self.stop)
        return tree
