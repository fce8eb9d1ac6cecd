"""The map in a model's head: perfect where the model knows the maze, judged right where it does not."""

import numpy as np
import pytest
import torch

from envs.camera import Camera
from envs.layout import Layout
from experiments.navigation.imagined_map import imagine_maps, judge, starts
from planners.merging import Merging
from planners.merging_graph import Graph
from tests.support.passages import Passages, PassageState
from tests.support.perfect import PerfectModel

PAPER = Layout.paper()


def graph(maze: Passages, state: PassageState, **changes: torch.Tensor) -> Graph:
    """The graph that a perfect model imagines."""
    found, _ = Merging(depth=100, transitions=5000).search(maze.functions, state, maze.legal(state))
    return found._replace(**changes)


@pytest.mark.parametrize("name", ["paper", "random-3", "large-1"])
def test_a_perfect_model_has_the_whole_maze_in_its_head(name: str) -> None:
    maze = Passages(Layout.parse(name))
    for number in range(3):
        state = maze.roots(1, seed=number)
        known = judge(maze.layout, state.pose[0].numpy().astype(np.int16), graph(maze, state), 0)
        assert known.right_node.all() and known.right_edge.all()
        ones = {f"{what}_{score}": 1.0 for what in ("node", "edge") for score in ("precision", "recall", "f1")}
        assert known.scores == ones | {"nodes": 2.0 * maze.layout.hallways, "transitions": 0.0}


def test_a_place_seen_twice_and_a_wrong_way_are_counted() -> None:
    maze = Passages(PAPER)
    state = maze.roots(1)
    found = graph(maze, state)
    root = state.pose[0].numpy().astype(np.int16)
    # An edge that closes a loop, so that the shortest ways to all places stay the same, is led to another near place.
    node, action = (found.child >= 0).nonzero(as_tuple=True)
    loops = (found.depth[found.child[node, action]] <= found.depth[node]) & (node > 0)
    one, its = int(node[loops][0]), int(action[loops][0])
    child = found.child.clone()
    child[one, its] = next(int(near) for near in child[0] if near >= 0 and near != child[one, its])
    known = judge(PAPER, root, found._replace(child=child), 0)
    assert known.right_node.all()
    assert known.edge[~known.right_edge].tolist() == [[one - 1, its, int(child[one, its]) - 1]]
    edges = int((found.child[1:] >= 0).sum())
    assert known.scores["edge_precision"] == known.scores["edge_recall"] == pytest.approx(1 - 1 / edges)
    doubled = judge(PAPER, root, _twice(found), 0)
    assert doubled.scores["node_precision"] == pytest.approx(56 / 57)
    assert doubled.scores["node_recall"] == 1


def _twice(found: Graph) -> Graph:
    """The graph with one more node for the place of the root's first child, to which another way to it leads."""
    child = torch.cat([found.child, found.child[-1:].clone()])
    place = int(child[0][child[0] >= 0][0])
    child[-1] = child[place]
    nodes, actions = (child[1:-1] == place).nonzero(as_tuple=True)
    child[nodes[0] + 1, actions[0]] = len(child) - 1
    fields = {name: torch.cat([field, field[-1:]]) for name, field in found._asdict().items() if name != "state"}
    code = fields["code"].clone()
    code[-1] = found.code[nodes[0] + 1] + child.shape[1]
    state = type(found.state)(*(torch.cat([field, field[-1:]]) for field in found.state))
    return Graph(**fields | {"child": child, "code": code}, state=state)


def test_a_map_needs_a_choice_to_start_from() -> None:
    bend = np.array([[24, 1, 0, 0]], np.int16)
    with pytest.raises(ValueError, match="choice"):
        imagine_maps(PerfectModel(), PAPER, Camera(), bend)
    assert len(starts(PAPER)) == 46
