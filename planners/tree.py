"""Exhaustive search over imagined trajectories with shared prefixes (Kim et al. 2019, section 5.2).

All trajectories of up to `depth` transitions form a tree; a prefix that several share is imagined once, so the search
costs at most 3 + 9 + ... + 3^depth transitions, and fewer where the model knows that actions are illegal.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.functions import Level, ModelFunctions, Plan, State, check_root, choose


@dataclass(frozen=True)
class TreeConfig:
    """Options of the exhaustive search."""

    depth: int = 6
    """transitions of the longest trajectory"""
    epsilon: float = 0.2
    """cosines within this of the best count as equal; the earliest arrival wins"""

    def __post_init__(self) -> None:
        """Refuse a search without a step."""
        if self.depth < 1:
            raise ValueError(f"a search needs a depth of at least 1, got {self.depth}")


def full_tree(depth: int, actions: int = 3) -> int:
    """Transitions of a tree in which every action is tried everywhere."""
    return sum(actions**level for level in range(1, depth + 1))


def plan_tree(
    functions: ModelFunctions,
    state: State,
    goal_feature: Float[Tensor, "b d"],
    root_mask: Bool[Tensor, "b a"],
    config: TreeConfig,
) -> Plan:
    """Search the whole tree of every episode at once.

    Args:
        functions: the model.
        state: beliefs at the roots, B rows.
        goal_feature: what the imagined features are compared with.
        root_mask: legal first actions.
        config: depth and epsilon.

    Returns:
        The decision, with `transitions` counted an episode.

    Raises:
        ValueError: an episode has no legal action.
    """
    check_root(root_mask)
    b, actions = root_mask.shape
    goal = F.normalize(goal_feature, dim=-1)
    best = goal.new_full((config.depth, b, actions), -torch.inf)
    transitions = torch.zeros(b, dtype=torch.int64, device=goal.device)
    episode = torch.arange(b, device=goal.device)
    root = torch.zeros_like(episode)
    legal = root_mask
    tree: list[Level] = []
    for depth in range(config.depth):
        parent, action = legal.nonzero(as_tuple=True)
        episode = episode[parent]
        root = root[parent] if depth else action
        state = functions.branch(state, parent, action)
        score = (F.normalize(functions.feature(state), dim=-1) * goal[episode]).sum(-1)
        best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
        transitions += torch.bincount(episode, minlength=b)
        tree.append(Level(episode, root, parent, action, score))
        if depth + 1 < config.depth:
            legal = functions.legal(state)
    return Plan(*choose(best.movedim(0, 1), config.epsilon), transitions, tree)
