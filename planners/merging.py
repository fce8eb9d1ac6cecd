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

from planners.interface import ModelFunctions, Plan, Remembers, check_root, choose
from planners.merging_graph import (
    FAR,
    UNKNOWN,
    Graph,
    by_episode,
    expand,
    followed,
    goal_cosine,
    joined,
    relaxed,
    roots,
    split,
    without,
)
from world_models.interface import ACTIONS, State


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
        best.view(-1).scatter_reduce_(0, place, goal_cosine(graph, goal)[rows], "amax")
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
        graph = roots(functions, state, root_mask)
        graph, _, new = expand(functions, graph, graph.episode, self.transitions - spent)
        spent += new
        graph = self._recall(graph, past)
        for depth in range(1, self.depth):
            waiting = ~graph.expanded & (graph.code < FAR) & (graph.depth >= depth)
            if goal is not None:
                found = (goal_cosine(graph, goal) >= self.stop) & (graph.code > 0) & (graph.depth <= depth)
                waiting &= ~torch.zeros_like(spent).index_add(0, graph.episode, found.long()).bool()[graph.episode]
            if not waiting.any():
                break
            candidates = (waiting & (graph.depth == depth)).nonzero().squeeze(1)
            size = len(graph.episode)
            graph, candidates, new = expand(functions, graph, candidates, self.transitions - spent)
            spent += new
            graph = relaxed(without(graph, *self._merged(graph, candidates, size)))
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
        for part, against in by_episode(graph, candidates, others):
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
            return relaxed(graph)
        device, size = graph.code.device, len(graph.episode)
        length = torch.tensor([len(memory.graph.code) for _, memory in kept])
        start = (length.cumsum(0) - length + size).to(device)
        old = joined([memory.graph for _, memory in kept])
        episode = torch.tensor([episode for episode, _ in kept], device=device)
        offset = start.repeat_interleave(length.to(device))
        child = torch.where(old.child == UNKNOWN, UNKNOWN, old.child + offset[:, None])
        old = old._replace(episode=episode.repeat_interleave(length.to(device)), child=child)
        graph = joined([graph, old])
        action = torch.tensor([memory.action for _, memory in kept], device=device)
        node = followed(graph, start, action)
        same = (node != UNKNOWN) & graph.expanded[node] & (graph.legal[node] == graph.legal[episode]).all(1)
        there, here = graph.child[node], graph.child[episode]
        cosine = (graph.feature[there] * graph.feature[here]).sum(-1).masked_fill(here == UNKNOWN, 0)
        same &= cosine.sum(1) >= self.keep * graph.legal[episode].sum(1)
        graph.child[episode[same]] = there[same]
        useless = torch.zeros(len(graph.code), dtype=torch.bool, device=device)  # what is not needed
        useless[here[same][here[same] != UNKNOWN]] = True
        useless[size:] = (~same).repeat_interleave(length.to(device))
        useless[start] = True  # no way leads back to a root
        return relaxed(without(graph, torch.arange(len(useless), device=device), ~useless))
