"""The trees of Monte Carlo tree search: arrays (B, N) on the CPU, and the steps of a simulation as loops over them.

The loops are compiled: a step costs microseconds for any number of episodes, where the same as operations on tensors
costs a hundred small ones.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from envs.code_cache import CACHE

Rows = Int64[np.ndarray, " r"]
UNKNOWN = 0
"""in place of a child that was not imagined: the root, which is nobody's child"""


class SearchTree(NamedTuple):
    """Trees of B episodes with room for N nodes in each: node 0 is the root, children come after their parents."""

    size: Int64[np.ndarray, " b"]
    """nodes so far"""
    parent: Int64[np.ndarray, "b n"]
    first: Int64[np.ndarray, "b n"]
    """first action of the trajectory"""
    depth: Int64[np.ndarray, "b n"]
    child: Int64[np.ndarray, "b n a"]
    """UNKNOWN where it was not imagined"""
    legal: Bool[np.ndarray, "b n a"]
    cosine: Float32[np.ndarray, "b n"]
    """with the goal; -inf for the root and where there is no node"""
    met: Float64[np.ndarray, "b n"]
    """value of a simulation that ends here: the largest discounted cosine on the way"""
    visits: Int64[np.ndarray, "b n"]
    """simulations that passed or ended here"""
    total: Float64[np.ndarray, "b n"]
    """their values, summed"""
    closed: Bool[np.ndarray, "b n"]
    """nothing is left to be imagined below"""
    limit: Int64[np.ndarray, " b"]
    """depth from which on nodes are not expanded"""

    @property
    def value(self) -> Float64[np.ndarray, "b n"]:
        """Mean value of each node's simulations."""
        return self.total / np.maximum(self.visits, 1)


def planted(root_mask: Bool[np.ndarray, "b a"], n: int, depth: int) -> SearchTree:
    """Trees that are a root, with room for n nodes."""
    b, actions = root_mask.shape
    legal = np.zeros((b, n, actions), bool)
    legal[:, 0] = root_mask
    return SearchTree(
        size=np.ones(b, np.int64),
        parent=np.zeros((b, n), np.int64),
        first=np.zeros((b, n), np.int64),
        depth=np.zeros((b, n), np.int64),
        child=np.full((b, n, actions), UNKNOWN, np.int64),
        legal=legal,
        cosine=np.full((b, n), -np.inf, np.float32),
        met=np.full((b, n), -np.inf),
        visits=np.zeros((b, n), np.int64),
        total=np.zeros((b, n)),
        closed=np.zeros((b, n), bool),
        limit=np.full(b, depth, np.int64),
    )


@numba.njit(cache=CACHE)
def select(tree: SearchTree, exploration: float) -> tuple[Rows, Rows, Rows]:
    """Walk down by PUCT from each root that is not closed: episodes, nodes to imagine from, and actions."""
    episodes = np.flatnonzero(~tree.closed[:, 0])
    leaf, action = np.zeros_like(episodes), np.zeros_like(episodes)
    for row, b in enumerate(episodes):
        node = 0
        while True:
            taken = _best_action(tree, int(b), node, exploration)
            following = tree.child[b, node, taken]
            if following == UNKNOWN:
                break
            node = following
        leaf[row], action[row] = node, taken
    return episodes, leaf, action


@numba.njit(cache=CACHE)
def _best_action(tree: SearchTree, b: int, node: int, exploration: float) -> int:
    """Of the legal actions below which something is left, the first with the largest Q + U.

    U is exploration * prior * sqrt(visits) / (1 + visits of the child). An action that was not tried counts as its
    node's mean.
    """
    legal, visits = tree.legal[b, node], tree.visits[b, node]
    weight = exploration * math.sqrt(visits) / max(legal.sum(), 1)
    best, top = 0, -np.inf
    for action in np.flatnonzero(legal):
        child = tree.child[b, node, action]
        if child == UNKNOWN:
            score = tree.total[b, node] / max(visits, 1) + weight
        elif tree.closed[b, child]:
            continue
        else:
            times = tree.visits[b, child]
            score = tree.total[b, child] / times + weight / (1 + times)
        if score > top:
            best, top = int(action), score
    return best


@numba.njit(cache=CACHE)
def grow(
    tree: SearchTree,
    episodes: Rows,
    leaf: Rows,
    action: Rows,
    cosine: Float32[np.ndarray, " r"],
    legal: Bool[np.ndarray, "r a"],
    discount: float,
    stop: float,
) -> None:
    """Add a node below each leaf, count the simulation in every node of its path, and close what is known."""
    for row, b in enumerate(episodes):
        new, above = tree.size[b], leaf[row]
        tree.size[b] += 1
        depth = tree.depth[b, above] + 1
        tree.child[b, above, action[row]] = new
        tree.parent[b, new], tree.depth[b, new] = above, depth
        tree.first[b, new] = tree.first[b, above] if above else action[row]
        tree.legal[b, new], tree.cosine[b, new] = legal[row], cosine[row]
        tree.met[b, new] = max(tree.met[b, above], cosine[row] * discount ** (depth - 1))
        node = new
        while True:
            tree.visits[b, node] += 1
            tree.total[b, node] += tree.met[b, new]
            if node == 0:
                break
            node = tree.parent[b, node]
        if cosine[row] >= stop and depth - 1 < tree.limit[b]:
            tree.limit[b] = depth - 1
            for node in range(new, -1, -1):
                tree.closed[b, node] = _known(tree, b, node)
        else:
            node = new
            while _known(tree, b, node):
                tree.closed[b, node] = True
                if node == 0:
                    break
                node = tree.parent[b, node]


@numba.njit(cache=CACHE)
def _known(tree: SearchTree, b: int, node: int) -> bool:
    """Whether nothing is left to be imagined below a node, given that of its children."""
    if tree.depth[b, node] >= tree.limit[b]:
        return True
    for action in np.flatnonzero(tree.legal[b, node]):
        child = tree.child[b, node, action]
        if child == UNKNOWN or not tree.closed[b, child]:
            return False
    return True
