"""The graphs of merging search: imagined places and the ways between them, of many episodes in one set of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, take
from world_models.interface import State

UNKNOWN = -1
FAR = torch.iinfo(torch.int64).max // 4  # the code of a node that no way leads to


class Graph(NamedTuple):
    """Imagined places of B episodes, N nodes in all; the ways between them are `child`."""

    episode: Int64[Tensor, " n"]
    state: State
    feature: Float[Tensor, "n d"]
    """of unit length"""
    legal: Bool[Tensor, "n a"]
    child: Int64[Tensor, "n a"]
    """the node that each action leads to, UNKNOWN where it was not imagined"""
    key: Float[Tensor, "n k"]
    """what equal places have in common, of unit length; 0 for a node that was not expanded"""
    code: Int64[Tensor, " n"]
    """actions * depth + first action of the shortest way from the root; 0 for the roots, FAR where there is none"""

    @property
    def expanded(self) -> Bool[Tensor, " n"]:
        """Which nodes have children."""
        return (self.child != UNKNOWN).any(1)

    @property
    def depth(self) -> Int64[Tensor, " n"]:
        """Transitions from the root."""
        return self.code // self.legal.shape[1]


def split(graph: Graph, episodes: int) -> list[Graph]:
    """The graphs of single episodes, each with its root first."""
    order = graph.episode.argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    length = torch.bincount(graph.episode, minlength=episodes)
    place -= (length.cumsum(0) - length)[graph.episode]
    graph = _rows(graph, order, place)
    parts = length.tolist()
    states = zip(*(field.split(parts) for field in graph.state), strict=True)
    fields = zip(*(field.split(parts) for name, field in graph._asdict().items() if name != "state"), strict=True)
    return [
        Graph(episode, type(graph.state)(*state), *others)
        for state, (episode, *others) in zip(states, fields, strict=True)
    ]


def roots(functions: ModelFunctions, state: State, root_mask: Tensor) -> Graph:
    """B nodes without children."""
    feature = F.normalize(functions.feature(state), dim=-1)
    b, actions = root_mask.shape
    episode = torch.arange(b, device=feature.device)
    child = torch.full((b, actions), UNKNOWN, device=feature.device)
    key = feature.new_zeros(b, (1 + actions) * feature.shape[1])
    return Graph(episode, state, feature, root_mask, child, key, torch.zeros_like(episode))


def expand(
    functions: ModelFunctions, graph: Graph, rows: Int64[Tensor, " r"], left: Int64[Tensor, " b"]
) -> tuple[Graph, Int64[Tensor, " paid"], Int64[Tensor, " b"]]:
    """Imagine all legal actions of some nodes, of those that the transitions left to their episodes pay for, in order.

    Returns:
        The graph with its new nodes last, the nodes that were expanded, and the transitions spent on each episode.
    """
    cost = graph.legal[rows].sum(1)
    so_far = F.one_hot(graph.episode[rows], len(left)) * cost[:, None]
    paid = so_far.cumsum(0).gather(1, graph.episode[rows, None]).squeeze(1) <= left[graph.episode[rows]]
    rows = rows[paid]
    if not len(rows):
        return graph, rows, torch.zeros_like(left)
    parent, action = graph.legal[rows].nonzero(as_tuple=True)
    state = functions.branch(take(graph.state, rows), parent, action)
    feature, episode = F.normalize(functions.feature(state), dim=-1), graph.episode[rows][parent]
    child, key = graph.child.clone(), graph.key.clone()
    child[rows[parent], action] = len(graph.code) + torch.arange(len(parent), device=child.device)
    parts = feature.new_zeros(len(rows), 1 + child.shape[1], feature.shape[1])
    parts[:, 0] = graph.feature[rows]
    parts[parent, 1 + action] = feature
    key[rows] = F.normalize(parts.flatten(1), dim=-1)
    unknown, none = (
        torch.full((len(parent), child.shape[1]), UNKNOWN, device=child.device),
        key.new_zeros(1, key.shape[1]),
    )
    new = Graph(
        episode,
        state,
        feature,
        functions.legal(state),
        unknown,
        none.expand(len(parent), -1),
        torch.full_like(episode, FAR),
    )
    return joined([graph._replace(child=child, key=key), new]), rows, torch.bincount(episode, minlength=len(left))


def relaxed(graph: Graph) -> Graph:
    """The graph with the `code` of each node."""
    actions = graph.legal.shape[1]
    roots = graph.code == 0
    parent, action = (graph.child != UNKNOWN).nonzero(as_tuple=True)
    child = graph.child[parent, action]
    code = torch.where(roots, 0, FAR)
    while True:
        along = torch.where(roots[parent], actions + action, (code[parent] + actions).clamp(max=FAR))
        shorter = code.scatter_reduce(0, child, along, "amin")
        if torch.equal(shorter, code):
            return graph._replace(code=code)
        code = shorter


def followed(graph: Graph, root: Int64[Tensor, " r"], action: Int64[Tensor, " r"]) -> Int64[Tensor, " r"]:
    """The nodes after an action and all actions without a choice that follow; UNKNOWN if they were not imagined."""
    node = graph.child[root, action]
    for _ in range(len(graph.code)):
        forced = (node != UNKNOWN) & (graph.legal[node].sum(1) == 1)
        if not forced.any():
            break
        node = torch.where(forced, graph.child[node, graph.legal[node].long().argmax(1)], node)
    return node


def by_episode(graph: Graph, candidates: Tensor, others: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Nodes (E, C) and (E, M) of each episode that has candidates, padded with UNKNOWN; a list of one, or none."""
    if not len(candidates):
        return []
    episodes = graph.episode[candidates].unique()
    return [(_padded(graph, candidates, episodes), _padded(graph, others, episodes))]


def _padded(graph: Graph, rows: Tensor, episodes: Tensor) -> Tensor:
    """Rows of each of some episodes, in order, padded with UNKNOWN."""
    mine = graph.episode[rows] == episodes[:, None]  # (E, R)
    place = mine.cumsum(1) - 1
    padded = torch.full((len(episodes), int(mine.sum(1).max())), UNKNOWN, device=rows.device)
    one, row = mine.nonzero(as_tuple=True)
    padded[one, place[one, row]] = rows[row]
    return padded


def without(graph: Graph, stands: Int64[Tensor, " n"], remains: Bool[Tensor, " n"]) -> Graph:
    """The graph of the nodes that remain; ways to the others lead to those that stand for them, or nowhere."""
    place = torch.where(remains, remains.cumsum(0) - 1, UNKNOWN)[stands]
    return _rows(graph, remains.nonzero().squeeze(1), place)


def _rows(graph: Graph, rows: Int64[Tensor, " m"], place: Int64[Tensor, " n"]) -> Graph:
    """Some nodes of a graph; `place` is the new index of each old node."""
    child = graph.child[rows]
    child = torch.where(child == UNKNOWN, UNKNOWN, place[child])
    fields = {name: field[rows] for name, field in graph._asdict().items() if name not in ("state", "child")}
    return Graph(state=take(graph.state, rows), child=child, **fields)


def joined(graphs: Sequence[Graph]) -> Graph:
    """All nodes, with indices as they are."""
    first = graphs[0].state
    state = type(first)(*map(torch.cat, zip(*(graph.state for graph in graphs), strict=True)))
    columns = zip(*(graph._replace(state=graph.episode) for graph in graphs), strict=True)
    return Graph(*map(torch.cat, columns))._replace(state=state)


def goal_cosine(graph: Graph, goal: Float[Tensor, "b d"]) -> Float[Tensor, " n"]:
    """How well each node fits its episode's goal."""
    return (graph.feature * goal[graph.episode]).sum(-1)
