"""Monte Carlo tree search over imagined trajectories: simulations one after another, batched over episodes.

Selection is PUCT (Silver et al. 2017, "Mastering the game of Go without human knowledge", Methods), with equal priors
of the actions expected to be legal. A simulation imagines one transition more; there is no value network: its value is
the largest cosine with the goal that its trajectory has met, discounted by depth so that near arrivals win. As in mctx
(DeepMind), a tree is a set of arrays (B, N) and a simulation a fixed number of operations on them.

Differs from PUCT in games: nothing is random and nobody opposes, so that a node whose trajectories are all known is
*closed* and not visited again; and where a goal is found, only nearer arrivals are looked for. The choice is that of
the other planners: the earliest of the best arrivals, not the most visited action.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, check_root, choose, take
from world_models.interface import State

UNKNOWN = 0
"""in place of a child that was not imagined: the root, which is nobody's child"""


class SearchTree(NamedTuple):
    """Trees of B episodes with room for N nodes in each; node 0 is the root."""

    size: Int64[Tensor, " b"]
    """nodes so far"""
    parent: Int64[Tensor, "b n"]
    first: Int64[Tensor, "b n"]
    """first action of the trajectory"""
    depth: Int64[Tensor, "b n"]
    child: Int64[Tensor, "b n a"]
    """UNKNOWN where it was not imagined"""
    legal: Bool[Tensor, "b n a"]
    cosine: Float[Tensor, "b n"]
    """with the goal; -inf for the root and where there is no node"""
    met: Float[Tensor, "b n"]
    """value of a simulation that ends here: the largest discounted cosine on the way"""
    visits: Float[Tensor, "b n"]
    """simulations that passed or ended here"""
    total: Float[Tensor, "b n"]
    """their values, summed"""
    closed: Bool[Tensor, "b n"]
    """nothing is left to be imagined below"""
    limit: Int64[Tensor, " b"]
    """depth from which on nodes are not expanded"""

    @property
    def value(self) -> Float[Tensor, "b n"]:
        """Mean value of each node's simulations."""
        return self.total / self.visits.clamp(min=1)


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
        b, _, actions = tree.child.shape
        best = tree.cosine.new_full((b, int(tree.depth.max()), actions), -torch.inf)
        place = (tree.depth[:, 1:] - 1).clamp(min=0) * actions + tree.first[:, 1:]
        best.flatten(1).scatter_reduce_(1, place, tree.cosine[:, 1:], "amax")
        return Plan(*choose(best, self.tie_tolerance), tree.size - 1)

    def search(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
    ) -> SearchTree:
        """Simulate from B roots until the simulations are used up or everything is known; the trees, for pictures."""
        goal = F.normalize(goal_feature, dim=-1)
        n = self.simulations + 1
        tree = _planted(root_mask, goal, n, self.depth)
        states = type(state)(*(field.new_zeros(len(root_mask) * n, *field.shape[1:]) for field in state))
        first_rows = torch.arange(len(root_mask), device=goal.device) * n
        for field, root in zip(states, state, strict=True):
            field[first_rows] = root
        chosen = root_mask.long().argmax(1)[:, None].repeat(1, n)  # (B, N): what selection takes in each node
        deepest = 0
        for _ in range(self.simulations):
            active = (~tree.closed[:, 0]).nonzero().squeeze(1)
            if not len(active):
                break
            path = self._select(tree, chosen, active, deepest + 1)
            leaf = path[:, -1]
            action = chosen[active, leaf]
            imagined = functions.imagine(take(states, active * n + leaf), action)
            cosine = (F.normalize(functions.feature(imagined), dim=-1) * goal[active]).sum(-1)
            new = tree.size[active]
            for field, value in zip(states, imagined, strict=True):
                field[active * n + new] = value
            depth = self._add(tree, active, leaf, action, cosine, functions.legal(imagined))
            deepest = max(deepest, int(depth.max()))
            path = torch.cat([path, new[:, None]], 1)
            self._back_up(tree, active, path)
            if bool(tree.closed[active, new].any()):
                _close_path(tree, active, path)
            chosen[active[:, None], path] = self._puct(tree, active, path).argmax(-1)
        return tree

    def _select(self, tree: SearchTree, chosen: Tensor, active: Tensor, most: int) -> Int64[Tensor, "r d"]:
        """Nodes from each active root to the one whose chosen action was not imagined, which is repeated at the end."""
        node = torch.zeros_like(active)
        path = [node]
        for _ in range(most):
            following = tree.child[active, node, chosen[active, node]]
            node = torch.where(following == UNKNOWN, node, following)
            path.append(node)
        return torch.stack(path, 1)

    def _add(
        self, tree: SearchTree, active: Tensor, leaf: Tensor, action: Tensor, cosine: Tensor, legal: Tensor
    ) -> Int64[Tensor, " r"]:
        """Add a node below each leaf; return their depths."""
        new, depth = tree.size[active], tree.depth[active, leaf] + 1
        tree.child[active, leaf, action] = new
        tree.parent[active, new] = leaf
        tree.first[active, new] = torch.where(leaf == 0, action, tree.first[active, leaf])
        tree.depth[active, new] = depth
        tree.legal[active, new] = legal
        tree.cosine[active, new] = cosine
        discounted = cosine * self.discount ** (depth - 1)
        tree.met[active, new] = torch.maximum(tree.met[active, leaf], discounted)
        tree.size[active] += 1
        found = torch.where(cosine >= self.stop, depth - 1, tree.limit[active])
        nearer = found < tree.limit[active]
        tree.limit[active] = torch.minimum(found, tree.limit[active])
        tree.closed[active, new] = depth >= tree.limit[active]
        if bool(nearer.any()):
            _close_deep(tree)
        return depth

    def _back_up(self, tree: SearchTree, active: Tensor, path: Tensor) -> None:
        """Count the simulation in every node of its path, once."""
        once = torch.ones_like(path, dtype=tree.visits.dtype)
        once[:, 1:] = (path[:, 1:] != path[:, :-1]).to(once.dtype)
        value = tree.met[active, path[:, -1]]
        rows = active[:, None].expand_as(path)
        tree.visits.index_put_((rows, path), once, accumulate=True)
        tree.total.index_put_((rows, path), once * value[:, None], accumulate=True)

    def _puct(self, tree: SearchTree, active: Tensor, node: Int64[Tensor, "r d"]) -> Float[Tensor, "r d a"]:
        """Q + exploration * prior * sqrt(visits) / (1 + visits of the child); -inf where there is nothing to imagine.

        An action that was not tried counts as its node's mean.
        """
        rows = active[:, None]
        child, legal = tree.child[rows, node], tree.legal[rows, node]
        visits = tree.visits[rows, node][..., None]
        mean = tree.total[rows, node][..., None] / visits.clamp(min=1)
        tried, rows = child != UNKNOWN, rows[..., None]
        times = torch.where(tried, tree.visits[rows, child], 0)
        value = torch.where(tried, tree.total[rows, child] / times.clamp(min=1), mean)
        prior = 1 / legal.sum(-1, keepdim=True)
        score = value + self.exploration * prior * visits.sqrt() / (1 + times)
        return score.masked_fill(~legal | (tried & tree.closed[rows, child]), -torch.inf)


def _planted(root_mask: Bool[Tensor, "b a"], goal: Float[Tensor, "b d"], n: int, depth: int) -> SearchTree:
    """Trees that are a root."""
    b, actions = root_mask.shape
    whole, real = goal.new_zeros(b, n), goal.new_full((b, n), -torch.inf)
    integer = torch.zeros(b, n, dtype=torch.int64, device=goal.device)
    legal = root_mask.new_zeros(b, n, actions)
    legal[:, 0] = root_mask
    return SearchTree(
        size=torch.ones(b, dtype=torch.int64, device=goal.device),
        parent=integer,
        first=integer.clone(),
        depth=integer.clone(),
        child=torch.full((b, n, actions), UNKNOWN, device=goal.device),
        legal=legal,
        cosine=real,
        met=real.clone(),
        visits=whole,
        total=whole.clone(),
        closed=root_mask.new_zeros(b, n),
        limit=torch.full((b,), depth, device=goal.device),
    )


def _close_path(tree: SearchTree, active: Tensor, path: Int64[Tensor, "r d"]) -> None:
    """Close each node of the paths whose legal actions all lead to closed nodes, from the end on."""
    for node in path.flip(1)[:, 1:].unbind(1):
        child = tree.child[active, node]
        open_ = tree.legal[active, node] & ((child == UNKNOWN) | ~tree.closed[active[:, None], child])
        tree.closed[active, node] |= ~open_.any(1)


def _close_deep(tree: SearchTree) -> None:
    """Find out again which nodes are closed, after a limit has become nearer."""
    tree.closed.copy_(tree.depth >= tree.limit[:, None])
    rows = torch.arange(len(tree.size), device=tree.size.device)[:, None, None]
    exists = tree.legal.any(-1)
    while True:
        open_ = tree.legal & ((tree.child == UNKNOWN) | ~tree.closed[rows, tree.child])
        closed = tree.closed | (exists & ~open_.any(-1))
        if torch.equal(closed, tree.closed):
            return
        tree.closed.copy_(closed)
