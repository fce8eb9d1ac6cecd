"""Merging search: imagined beliefs that mean the same place and heading are one node of a graph.

A tree over passages has 3^L nodes, a maze has only so many places. Beliefs are expanded level by level, as in the
exhaustive search; where a belief means what an earlier one meant, its subtree is not imagined again, so that the search
costs as much as there are places within its reach. Two beliefs are the same where they look alike and what they offer
leads to what looks alike: a bisimulation of depth one (Givan, Dean and Greig 2003), with a cosine of their features and
their children's in place of equality, so that one choice that the model is wrong about does not make two places of
one. The children are imagined anyway when a belief is expanded: the comparison costs no transition. The graph is kept
between the decisions of an episode, where the world went where the model said.
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
from world_models.interface import ACTIONS, State

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


class Memory(NamedTuple):
    """What an episode keeps for its next decision."""

    graph: Graph
    """its own nodes, the root first"""
    action: int
    """what was chosen at the root"""


@dataclass(frozen=True)
class Merging(Remembers):
    """Exhaustive search in which beliefs that mean the same place and heading are one."""

    kind: ClassVar[str] = "merging"
    depth: int = 30
    """Transitions of the longest trajectory."""
    transitions: int = 2000
    """Most model transitions per decision."""
    same: float = 0.8
    """Cosine of the keys from which on two beliefs are one place. If it is too low, the way to a goal may be merged
    away; if it is too high, a place is imagined twice, which costs little."""
    stop: float = 0.7
    """A goal's cosine that ends the search at its depth: what comes later could win only by more than the tolerance."""
    tie_tolerance: float = 0.2
    """Cosines within this of the best count as equal; the earliest arrival wins."""
    merge_forced: bool = True
    """Whether beliefs with one legal action are merged too; no where all steps of a hallway look alike, as in a model
    whose transition is one step."""
    keep: float = 0.9
    """Cosine of what the root's actions lead to, as it was foreseen and as it is imagined now, from which on the last
    decision's graph is kept; above 1 it never is."""

    def __post_init__(self) -> None:
        """Validate the options."""
        if self.depth < 1:
            raise ValueError(f"a merging search needs a --depth of at least 1, got {self.depth}")
        if self.transitions < ACTIONS:
            raise ValueError(
                f"a merging search needs a budget (--transitions) of at least {ACTIONS}, got {self.transitions}"
            )

    @property
    def budget(self) -> int:
        """See `Planner.budget`."""
        return self.transitions

    def with_budget(self, transitions: int) -> Merging:
        """See `Planner.with_budget`."""
        return replace(self, transitions=transitions)

    def plan_on(
        self,
        functions: ModelFunctions,
        state: State,
        goal_feature: Float[Tensor, "b d"],
        root_mask: Bool[Tensor, "b a"],
        generator: torch.Generator,
        past: Sequence[Memory | None],
    ) -> tuple[Plan, list[Memory | None]]:
        """See `Remembers.plan_on`; the search is deterministic."""
        check_root(root_mask)
        b, actions = root_mask.shape
        goal = F.normalize(goal_feature, dim=-1)
        graph, spent = self.search(functions, state, root_mask, goal, past)
        depth, reached = graph.depth, (graph.code > 0) & (graph.code < FAR)
        best = goal.new_full((max(1, int(depth[reached].max())), b, actions), -torch.inf)
        rows = reached.nonzero().squeeze(1)
        place = ((depth[rows] - 1) * b + graph.episode[rows]) * actions + graph.code[rows] % actions
        best.view(-1).scatter_reduce_(0, place, _cosine(graph, goal)[rows], "amax")
        plan = Plan(*choose(best.movedim(0, 1), self.tie_tolerance), spent)
        if self.keep > 1:
            return plan, [None] * b
        return plan, [Memory(*kept) for kept in zip(split(graph, b), plan.action.tolist(), strict=True)]

    def search(
        self,
        functions: ModelFunctions,
        state: State,
        root_mask: Bool[Tensor, "b a"],
        goal: Float[Tensor, "b d"] | None = None,
        past: Sequence[Memory | None] = (),
    ) -> tuple[Graph, Int64[Tensor, " b"]]:
        """Imagine the graph from B roots: up to the goals (of unit length), or without goals until nothing is new.

        Returns:
            The graph, whose first B nodes are the roots, and the transitions spent on each episode.
        """
        spent = torch.zeros(len(root_mask), dtype=torch.int64, device=root_mask.device)
        graph = _roots(functions, state, root_mask)
        graph, _, new = _expand(functions, graph, graph.episode, self.transitions - spent)
        spent += new
        graph = self._recall(graph, past)
        for depth in range(1, self.depth):
            waiting = ~graph.expanded & (graph.code < FAR) & (graph.depth >= depth)
            if goal is not None:
                found = (_cosine(graph, goal) >= self.stop) & (graph.code > 0) & (graph.depth <= depth)
                waiting &= ~torch.zeros_like(spent).index_add(0, graph.episode, found.long()).bool()[graph.episode]
            if not waiting.any():
                break
            candidates = (waiting & (graph.depth == depth)).nonzero().squeeze(1)
            size = len(graph.episode)
            graph, candidates, new = _expand(functions, graph, candidates, self.transitions - spent)
            spent += new
            graph = _relaxed(_without(graph, *self._merged(graph, candidates, size)))
        return graph, spent

    def _merged(self, graph: Graph, candidates: Int64[Tensor, " c"], size: int) -> tuple[Tensor, Tensor]:
        """Which node stands for each (N,), and which nodes remain (N,), after the candidates were expanded.

        A candidate is stood for by the known node, or the candidate before it, with the most similar key, if this is
        similar enough; the children of a candidate that is stood for by another, which begin at `size`, do not remain.
        """
        stands = torch.arange(len(graph.episode), device=graph.code.device)
        known = graph.expanded & (graph.code > 0)  # a way back to the root is a node of its own, so that it has a code
        known[candidates] = False
        others = torch.cat([known.nonzero().squeeze(1), candidates])
        if not self.merge_forced:
            candidates = candidates[graph.legal[candidates].sum(1) > 1]
        for part, against in _by_episode(graph, candidates, others):
            similar = torch.einsum("bck,bmk->bcm", graph.key[part], graph.key[against])
            earlier = (against[:, None] < part[..., None]) | known[against][:, None]
            real = (part >= 0)[..., None] & (against >= 0)[:, None]
            similar = similar.masked_fill(~(earlier & real), -1)
            most, which = similar.max(2)
            same = (most >= self.same) & (part >= 0)
            stands[part[same]] = against.gather(1, which)[same]
        while not torch.equal(stands, stands[stands]):
            stands = stands[stands]
        remains = stands == torch.arange(len(stands), device=stands.device)
        gone = graph.child[~remains].flatten()
        remains[gone[gone >= size]] = False
        return stands, remains

    def _recall(self, graph: Graph, past: Sequence[Memory | None]) -> Graph:
        """Add the graphs of the last decisions where the world went where these said, judged by the roots' children."""
        kept = [(episode, memory) for episode, memory in enumerate(past) if memory is not None]
        if not kept:
            return _relaxed(graph)
        device, size = graph.code.device, len(graph.episode)
        length = torch.tensor([len(memory.graph.code) for _, memory in kept])
        start = (length.cumsum(0) - length + size).to(device)
        old = _joined([memory.graph for _, memory in kept])
        episode = torch.tensor([episode for episode, _ in kept], device=device)
        offset = start.repeat_interleave(length.to(device))
        child = torch.where(old.child == UNKNOWN, UNKNOWN, old.child + offset[:, None])
        old = old._replace(episode=episode.repeat_interleave(length.to(device)), child=child)
        graph = _joined([graph, old])
        action = torch.tensor([memory.action for _, memory in kept], device=device)
        node = _followed(graph, start, action)
        same = (node != UNKNOWN) & graph.expanded[node] & (graph.legal[node] == graph.legal[episode]).all(1)
        there, here = graph.child[node], graph.child[episode]
        cosine = (graph.feature[there] * graph.feature[here]).sum(-1).masked_fill(here == UNKNOWN, 0)
        same &= cosine.sum(1) >= self.keep * graph.legal[episode].sum(1)
        graph.child[episode[same]] = there[same]
        useless = torch.zeros(len(graph.code), dtype=torch.bool, device=device)  # what is not needed
        useless[here[same][here[same] != UNKNOWN]] = True
        useless[size:] = (~same).repeat_interleave(length.to(device))
        useless[start] = True  # no way leads back to a root
        return _relaxed(_without(graph, torch.arange(len(useless), device=device), ~useless))


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


def _roots(functions: ModelFunctions, state: State, root_mask: Tensor) -> Graph:
    """B nodes without children."""
    feature = F.normalize(functions.feature(state), dim=-1)
    b, actions = root_mask.shape
    episode = torch.arange(b, device=feature.device)
    child = torch.full((b, actions), UNKNOWN, device=feature.device)
    key = feature.new_zeros(b, (1 + actions) * feature.shape[1])
    return Graph(episode, state, feature, root_mask, child, key, torch.zeros_like(episode))


def _expand(
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
    return _joined([graph._replace(child=child, key=key), new]), rows, torch.bincount(episode, minlength=len(left))


def _relaxed(graph: Graph) -> Graph:
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


def _followed(graph: Graph, root: Int64[Tensor, " r"], action: Int64[Tensor, " r"]) -> Int64[Tensor, " r"]:
    """The nodes after an action and all actions without a choice that follow; UNKNOWN if they were not imagined."""
    node = graph.child[root, action]
    for _ in range(len(graph.code)):
        forced = (node != UNKNOWN) & (graph.legal[node].sum(1) == 1)
        if not forced.any():
            break
        node = torch.where(forced, graph.child[node, graph.legal[node].long().argmax(1)], node)
    return node


def _by_episode(graph: Graph, candidates: Tensor, others: Tensor) -> list[tuple[Tensor, Tensor]]:
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


def _without(graph: Graph, stands: Int64[Tensor, " n"], remains: Bool[Tensor, " n"]) -> Graph:
    """The graph of the nodes that remain; ways to the others lead to those that stand for them, or nowhere."""
    place = torch.where(remains, remains.cumsum(0) - 1, UNKNOWN)[stands]
    return _rows(graph, remains.nonzero().squeeze(1), place)


def _rows(graph: Graph, rows: Int64[Tensor, " m"], place: Int64[Tensor, " n"]) -> Graph:
    """Some nodes of a graph; `place` is the new index of each old node."""
    child = graph.child[rows]
    child = torch.where(child == UNKNOWN, UNKNOWN, place[child])
    fields = {name: field[rows] for name, field in graph._asdict().items() if name not in ("state", "child")}
    return Graph(state=take(graph.state, rows), child=child, **fields)


def _joined(graphs: Sequence[Graph]) -> Graph:
    """All nodes, with indices as they are."""
    first = graphs[0].state
    state = type(first)(*map(torch.cat, zip(*(graph.state for graph in graphs), strict=True)))
    columns = zip(*(graph._replace(state=graph.episode) for graph in graphs), strict=True)
    return Graph(*map(torch.cat, columns))._replace(state=state)


def _cosine(graph: Graph, goal: Float[Tensor, "b d"]) -> Float[Tensor, " n"]:
    """How well each node fits its episode's goal."""
    return (graph.feature * goal[graph.episode]).sum(-1)
