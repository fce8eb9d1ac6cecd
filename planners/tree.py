"""Exhaustive search over imagined trajectories with shared prefixes (Kim et al. 2019, section 5.2).

All trajectories of up to `depth` transitions form a tree; a prefix that several share is imagined once, so the search
costs at most 3 + 9 + ... + 3^depth transitions, and fewer where the model knows that actions are illegal.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.interface import Level, ModelFunctions, Plan, State, check_root, choose

BLOCK = 512
"""states whose actions a CPU imagines at once: few enough for what lies between to stay in its cache"""


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
        states, score = _expand(functions, state, legal, goal[episode])
        parent, action = legal.nonzero(as_tuple=True)
        episode = episode[parent]
        root = root[parent] if depth else action
        best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
        transitions += torch.bincount(episode, minlength=b)
        tree.append(Level(episode, root, parent, action, score))
        if depth + 1 < config.depth:
            legal = torch.cat([functions.legal(block) for block in states])
            state = type(state)(*map(torch.cat, zip(*states, strict=True)))
    return Plan(*choose(best.movedim(0, 1), config.epsilon), transitions, tree)


def _expand(
    functions: ModelFunctions, state: State, legal: Bool[Tensor, "n a"], goal: Float[Tensor, "n d"]
) -> tuple[list[State], Float[Tensor, " m"]]:
    """Imagine every legal action after each of N states, block by block; a GPU takes them all at once.

    Returns:
        The M imagined states, a part for every block, and their cosines with `goal`, whose rows have unit length.
    """
    size = BLOCK if goal.device.type == "cpu" else len(goal)
    parts = zip(*(field.split(size) for field in state), strict=True)
    states, scores = [], []
    for part, mask, target in zip(parts, legal.split(size), goal.split(size), strict=True):
        parent, action = mask.nonzero(as_tuple=True)
        imagined = functions.branch(type(state)(*part), parent, action)
        states.append(imagined)
        scores.append((F.normalize(functions.feature(imagined), dim=-1) * target[parent]).sum(-1))
    return states, torch.cat(scores)
