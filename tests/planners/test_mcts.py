"""MCTS against a tree of eight nodes that was worked by hand."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from planners.interface import ModelFunctions
from planners.mcts import MCTS
from tests.support.line import generator

# Node: (cosine with the goal, {action: node}). Depth 3 is the limit, so that 6, 7 and 8 are ends.
NODES: dict[int, tuple[float, dict[int, int]]] = {
    0: (0.0, {0: 1, 1: 2}),
    1: (0.2, {0: 3, 1: 4}),
    2: (0.4, {2: 5}),
    3: (0.6, {0: 6}),
    4: (0.1, {0: 8}),
    5: (0.3, {1: 7}),
    6: (0.0, {0: 0}),
    7: (0.5, {0: 0}),
    8: (0.0, {0: 0}),
}


class Node(NamedTuple):
    """A belief about where in the tree one is."""

    number: Tensor


def imagine(state: Node, action: Tensor) -> Node:
    pairs = zip(state.number.tolist(), action.tolist(), strict=True)
    return Node(torch.tensor([NODES[node][1][taken] for node, taken in pairs]))


def feature(state: Node) -> Tensor:
    cosine = torch.tensor([NODES[node][0] for node in state.number.tolist()])
    return torch.stack([cosine, (1 - cosine**2).sqrt()], 1)


def legal(state: Node) -> Tensor:
    return torch.tensor([[action in NODES[node][1] for action in range(3)] for node in state.number.tolist()])


FUNCTIONS = ModelFunctions(imagine, feature, legal)
ROOT, GOAL = Node(torch.tensor([0])), torch.tensor([[1.0, 0.0]])


def test_a_tree_of_eight_nodes() -> None:
    # Scores are Q + prior * sqrt(visits) / (1 + the child's), an untried action's Q is its node's mean. Simulations:
    # 1. nothing known: action 0, node 1, worth 0.2.
    # 2. at the root 0.2 + 0.5 * 1 / 2 = 0.45 against 0.2 + 0.5 = 0.7: node 2, worth 0.4.
    # 3. 0.2 + 0.5 * 1.414 / 2 = 0.554 against 0.4 + 0.354 = 0.754: by 2 to node 5, which has met 0.4.
    # 4. 0.2 + 0.5 * 1.732 / 2 = 0.633 against 0.4 + 0.5 * 1.732 / 3 = 0.689: by 2 and 5 to node 7, worth 0.5. It is at
    #    the limit: nothing is left below 2.
    # 5. by 1, where both are untried, to node 3, worth 0.6.
    # 6. at 1: 0.6 + 0.5 * 1.414 / 2 = 0.954 against 0.4 + 0.707 = 1.107: node 4, which has met 0.2.
    # 7. at 1: 0.6 + 0.5 * 1.732 / 2 = 1.033 against 0.2 + 0.433 = 0.633: by 3 to node 6, which has met 0.6.
    planner = MCTS(7, depth=3, exploration=1.0, discount=1.0, stop=2.0, tie_tolerance=0.15)
    tree = planner.search(FUNCTIONS, ROOT, GOAL, legal(ROOT))
    order = [0.2, 0.4, 0.3, 0.5, 0.6, 0.1, 0.0]  # nodes 1, 2, 5, 7, 3, 4, 6
    assert tree.cosine[0, 1:].tolist() == pytest.approx(order)
    assert tree.visits[0].tolist() == [7, 4, 3, 2, 1, 2, 1, 1]
    assert tree.total[0].tolist() == pytest.approx([2.9, 1.6, 1.3, 0.9, 0.5, 1.2, 0.2, 0.6])
    assert tree.value[0, 0].item() == pytest.approx(2.9 / 7)
    assert tree.depth[0].tolist() == [0, 1, 1, 2, 3, 2, 2, 3]
    assert tree.parent[0, 1:].tolist() == [0, 0, 2, 3, 1, 1, 5]
    assert tree.closed[0].tolist() == [False, False, True, True, True, True, False, True]
    plan = planner.plan(FUNCTIONS, ROOT, GOAL, legal(ROOT), generator())
    # 0.6 at depth 2 after action 0; 0.5 within the tolerance comes later, 0.4 is not within it.
    assert (plan.action.item(), plan.arrival.item(), plan.transitions.item()) == (0, 2, 7)
    assert plan.score.item() == pytest.approx(0.6)


def test_an_eighth_simulation_ends_the_search_and_a_ninth_costs_nothing() -> None:
    plan = MCTS(50, depth=3, stop=2.0).plan(FUNCTIONS, ROOT, GOAL, legal(ROOT), generator())
    assert plan.transitions.item() == 8


def test_near_arrivals_are_worth_more() -> None:
    tree = MCTS(8, depth=3, discount=0.5, stop=2.0).search(FUNCTIONS, ROOT, GOAL, legal(ROOT))
    met = dict(zip(tree.cosine[0].tolist(), tree.met[0].tolist(), strict=True))
    values = {round(cosine, 1): value for cosine, value in met.items() if cosine > 0}
    assert values == pytest.approx({0.2: 0.2, 0.4: 0.4, 0.3: 0.4, 0.5: 0.4, 0.6: 0.3, 0.1: 0.2})


def test_where_the_goal_is_found_only_nearer_arrivals_are_looked_for() -> None:
    # With 0.4 enough, node 2 at depth 1 ends the search.
    plan = MCTS(50, depth=3, stop=0.35).plan(FUNCTIONS, ROOT, GOAL, legal(ROOT), generator())
    assert (plan.action.item(), plan.arrival.item(), plan.transitions.item()) == (1, 1, 2)


def test_a_model_whose_weights_have_gradients_can_be_searched() -> None:
    scale = torch.ones((), requires_grad=True)
    functions = ModelFunctions(imagine, lambda state: feature(state) * scale, legal)
    plan = MCTS(7, depth=3, stop=2.0).plan(functions, ROOT, GOAL, legal(ROOT), generator())
    assert plan.transitions.item() == 7
