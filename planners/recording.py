"""What a decision imagined: the tree behind a plan, heard from the functions through which any planner sees its model.

A planner knows a belief only as a named tuple of tensors. A recorded belief has one field more, the number of its node,
which the planner carries along without knowing it: whenever it imagines from a belief, the recorder learns which node
the new one comes from. So every planner tells its tree, also one that is not ours.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from planners.interface import ModelFunctions, Plan, Planner, take
from world_models.interface import State

NODE = "node"
"""name of the field that a recorded belief has more"""


class Imagined(NamedTuple):
    """Every transition that one episode's decision imagined, in the order in which it was; a parent comes first."""

    parent: Int64[Tensor, " n"]
    """the node that it was imagined from; -1 for the root"""
    action: Int64[Tensor, " n"]
    depth: Int64[Tensor, " n"]
    """transitions from the root, from 1"""
    state: State
    """N beliefs"""
    feature: Float[Tensor, "n d"]
    """of unit length"""
    cosine: Float[Tensor, " n"]
    """with the goal"""
    legal: Bool[Tensor, "n a"]
    """the actions that the model expects next"""

    def trajectory(self, plan: Plan, row: int = 0) -> list[int]:
        """The nodes from the first transition to the arrival that decided a plan.

        A merging planner may count on a way through a place that stands for another one; then the way on which the
        arrival itself was imagined is returned, which may begin with another action.
        """
        action, score, arrival = (field[row] for field in (plan.action, plan.score, plan.arrival))
        there = (self.depth == arrival) & ((self.cosine - score).abs() < 1e-4)
        first = self.action.clone()
        for node, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                first[node] = first[parent]
        mine = there & (first == action)
        node = int((mine if bool(mine.any()) else there).long().argmax())
        way = [node]
        while self.parent[way[0]] >= 0:
            way.insert(0, int(self.parent[way[0]]))
        return way


def plan_recorded(
    planner: Planner,
    functions: ModelFunctions,
    state: State,
    goal_feature: Float[Tensor, "1 d"],
    root_mask: Bool[Tensor, "1 a"],
    generator: torch.Generator,
) -> tuple[Plan, Imagined]:
    """Decide for one episode, and tell what was imagined for it.

    A planner that keeps something between decisions plans afresh, so that the whole tree is seen.

    Args:
        planner: any planner of the contract.
        functions: see `Planner.plan`, also for the next four.
        state: the belief at the root.
        goal_feature: the feature to reach.
        root_mask: legal first actions.
        generator: the only source of randomness.

    Raises:
        ValueError: as `Planner.plan`.
    """
    recorder = _Recorder(functions)
    plan = planner.plan(recorder.functions, recorder.root(state), goal_feature, root_mask, generator)
    return plan, recorder.imagined(goal_feature)


class _Recorder:
    """Wraps a model's functions, and keeps every belief that they return."""

    def __init__(self, functions: ModelFunctions) -> None:
        self._model = functions
        self._states: list[State] = []
        self._parents: list[Tensor] = []
        self._actions: list[Tensor] = []
        self._number = 0
        branch = functions.imagine_from and self._imagine_from
        self.functions = ModelFunctions(self._imagine, self._feature, self._legal, branch)

    def root(self, state: State) -> State:
        """The root's belief, recorded as node -1."""
        self._plain: Any = type(state)
        self._noted = _with_node(state)
        return self._noted(*state, torch.full((len(state[0]),), -1, device=state[0].device))

    def imagined(self, goal_feature: Float[Tensor, "1 d"]) -> Imagined:
        """What was imagined so far."""
        state = self._plain(*map(torch.cat, zip(*self._states, strict=True)))
        parent, action = torch.cat(self._parents), torch.cat(self._actions)
        feature = F.normalize(self._model.feature(state), dim=-1)
        cosine = (feature * F.normalize(goal_feature, dim=-1)).sum(-1)
        return Imagined(parent, action, _depths(parent), state, feature, cosine, self._model.legal(state))

    def _imagine(self, state: Any, action: Tensor) -> Any:
        return self._note(self._model.imagine(self._without(state), action), state.node, action)

    def _imagine_from(self, state: Any, parent: Tensor, action: Tensor) -> Any:
        return self._note(self._model.branch(self._without(state), parent, action), state.node[parent], action)

    def _feature(self, state: Any) -> Tensor:
        return self._model.feature(self._without(state))

    def _legal(self, state: Any) -> Tensor:
        return self._model.legal(self._without(state))

    def _without(self, state: Any) -> State:
        return self._plain(*state[:-1])

    def _note(self, state: State, parent: Tensor, action: Tensor) -> Any:
        """Number the new beliefs."""
        first, self._number = self._number, self._number + len(action)
        self._states.append(state)
        self._parents.append(parent)
        self._actions.append(action)
        return self._noted(*state, torch.arange(first, self._number, device=action.device))


def _with_node(state: State) -> Any:
    """The type of a belief that carries the number of its node."""
    return namedtuple("Recorded", [*state._fields, NODE])


def _depths(parent: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Transitions from the root to each node, whose parent has a lower number."""
    depths: list[int] = []
    for above in parent.tolist():
        depths.append(1 if above < 0 else depths[above] + 1)
    return torch.tensor(depths, dtype=torch.int64, device=parent.device)


def rows_of(imagined: Imagined, nodes: Sequence[int]) -> State:
    """The beliefs of some nodes."""
    return take(imagined.state, torch.tensor(nodes, device=imagined.depth.device))
