"""Exhaustive search over imagined trajectories with shared prefixes (Kim et al. 2019, section 5.2).

All trajectories of up to `depth` transitions form a tree. A shared prefix is imagined once, so the search costs at most
3 + 9 + ... + 3^depth transitions, and fewer if the model knows that actions are illegal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, check_root, choose
from world_models.interface import ACTIONS, State

BLOCK = 512
"""states expanded at once on a CPU: few enough that intermediate results stay in its cache"""
FRONTIER = 32_768
"""states of one depth that are held at once: a wider frontier is searched in parts, one after the other"""


@dataclass(frozen=True)
class TreeSearch:
    """Exhaustive search: every sequence of actions that the model considers legal, up to a depth."""

    kind: ClassVar[str] = "tree"
    depth: int = 6
    """Transitions of the longest trajectory; a decision takes at most 3 + 9 + … + 3^depth."""
    tie_tolerance: float = 0.2
    """Cosines within this of the best count as equal; the earliest arrival wins."""

    def __post_init__(self) -> None:
        """Validate the options."""
        if self.depth < 1:
            raise ValueError(f"a tree search needs a --depth of at least 1, got {self.depth}")

    @property
    def budget(self) -> int:
        """See `Planner.budget`."""
        return full_tree(self.depth)

    def with_budget(self, transitions: int, actions: int = ACTIONS) -> TreeSearch:
        """The deepest search whose full tree of so many actions fits into the budget; see `Planner.with_budget`."""
        if transitions < actions:
            raise ValueError(f"a tree search needs a budget of at least {actions} transitions, got {transitions}")
        return replace(self, depth=next(depth for depth in count(1) if full_tree(depth + 1, actions) > transitions))

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
        b, actions = root_mask.shape
        goal = F.normalize(goal_feature, dim=-1)
        best = goal.new_full((self.depth, b, actions), -torch.inf)
        transitions = torch.zeros(b, dtype=torch.int64, device=goal.device)
        episode = torch.arange(b, device=goal.device)
        parts = [_Frontier(0, state, episode, torch.zeros_like(episode), root_mask)]
        while parts:
            depth, state, episode, root, legal = parts.pop()
            states, score = _expand(functions, state, legal, goal[episode])
            parent, action = legal.nonzero(as_tuple=True)
            episode = episode[parent]
            root = root[parent] if depth else action
            best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
            transitions += torch.bincount(episode, minlength=b)
            if depth + 1 < self.depth:
                legal = torch.cat([functions.legal(block) for block in states])
                state = type(state)(*map(torch.cat, zip(*states, strict=True)))
                parts += _Frontier(depth + 1, state, episode, root, legal).split(FRONTIER)
        return Plan(*choose(best.movedim(0, 1), self.tie_tolerance), transitions)


class _Frontier(NamedTuple):
    """States of one depth that are to be expanded."""

    depth: int
    state: State
    episode: Tensor
    """(n,) episode of each state, as `root`, its first action"""
    root: Tensor
    legal: Tensor
    """(n, a) actions to try in each state"""

    def split(self, rows: int) -> list[_Frontier]:
        """Parts of at most so many states."""
        states = (
            type(self.state)(*fields) for fields in zip(*(field.split(rows) for field in self.state), strict=True)
        )
        others = (field.split(rows) for field in self[2:])
        return [_Frontier(self.depth, *part) for part in zip(states, *others, strict=True)]


def full_tree(depth: int, actions: int = ACTIONS) -> int:
    """Transitions of a tree in which every action is legal everywhere."""
    return sum(actions**level for level in range(1, depth + 1))


def _expand(
    functions: ModelFunctions, state: State, legal: Bool[Tensor, "n a"], goal: Float[Tensor, "n d"]
) -> tuple[list[State], Float[Tensor, " m"]]:
    """Imagine every legal action in each of N states, in blocks on a CPU and at once on a GPU.

    Returns:
        The M imagined states, one part per block, and their cosines with the rows of `goal`, which have unit length.
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
