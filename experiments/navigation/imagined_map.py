"""The map in a model's head: the graph that merging search imagines from a few frames, against the true maze.

From frames that end with one arrival in a junction, jumps are imagined and merged until nothing new appears. A node is
true to the pose (place and heading) in which its shortest imagined way really ends; the way's actions are taken in the
maze. A node is right if it is the first one of its pose, an edge if it leads from a right node to the node of the pose
that its action really leads to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int16, Int64

from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments.navigation.jump_accuracy import arrivals, contexts, pass_on
from planners.interface import ModelFunctions
from planners.merging import Merging
from planners.merging_graph import UNKNOWN, Graph, split
from world_models.interface import Plannable

EVERYTHING = Merging(depth=200, transitions=20_000, same=0.63)
"""the search that imagines a map. It merges sooner than a plan does: one legal action that is foretold wrongly makes a
double, and what is imagined from there is like nothing and has no end."""


class ImaginedMap(NamedTuple):
    """The graph imagined from one arrival, without its root, and what is true of it."""

    root: Int16[np.ndarray, " 4"]
    """pose of the arrival"""
    pose: Int16[np.ndarray, "n 4"]
    """where the shortest imagined way to each node really ends; -1 if an action on it is illegal"""
    edge: Int64[np.ndarray, "e 3"]
    """node, action, node; -1 in place of the first node for the root"""
    right_node: Bool[np.ndarray, " n"]
    right_edge: Bool[np.ndarray, " e"]
    scores: dict[str, float]
    """precision, recall and F1 of nodes and edges, the number of ``nodes``, and the ``transitions`` it took"""


@torch.inference_mode()
def imagine_maps(
    model: Plannable,
    layout: Layout,
    camera: Camera,
    pose: Int16[np.ndarray, "b 4"],
    search: Merging = EVERYTHING,
    seed: int = 0,
) -> list[ImaginedMap]:
    """Imagine the map from each of some arrivals in junctions with a choice.

    Raises:
        ValueError: if a pose is no arrival with a choice.
    """
    mask = Dynamics.of(layout).action_mask(pose)
    if not (mask.sum(axis=1) > 1).all():
        raise ValueError("a map is imagined from arrivals in junctions with a choice, got a pose without one")
    device = next(model.parameters()).device
    state = model.observe(*contexts(pose, model.context, layout, camera, 1, seed, device))
    graph, spent = search.search(ModelFunctions.of(model), state, torch.from_numpy(mask == 1).to(device))
    graphs = split(graph, len(pose))
    return [judge(layout, *one) for one in zip(pose, graphs, spent.tolist(), strict=True)]


def starts(layout: Layout) -> Int16[np.ndarray, "n 4"]:
    """All arrivals in junctions with a choice."""
    pose = arrivals(layout)
    return pose[Dynamics.of(layout).action_mask(pose).sum(axis=1) > 1]


def judge(layout: Layout, root: Int16[np.ndarray, " 4"], graph: Graph, transitions: int) -> ImaginedMap:
    """Compare a graph of one episode, whose first node is the root, with the maze."""
    poses = _true_poses(layout, root, graph)
    child = graph.child.cpu().numpy()
    node, action = (child != UNKNOWN).nonzero()
    edge = np.stack([node, action, child[node, action]], axis=1)
    first: dict[tuple[int, ...], int] = {}
    for number in np.argsort(graph.code.cpu().numpy(), kind="stable")[1:].tolist():
        first.setdefault(tuple(poses[number].tolist()), number)
    first.pop((-1,) * 4, None)
    right = np.zeros(len(poses), bool)
    right[[0, *first.values()]] = True
    leads = _passed(layout, poses[node], action)
    right_edge = right[node] & right[edge[:, 2]] & (poses[edge[:, 2]] == leads).all(axis=1) & (leads >= 0).all(axis=1)
    places, ways = _true_graph(layout, root)
    found = {(*poses[one].tolist(), int(action)) for one, action, _ in edge[right_edge].tolist() if one}
    within = edge[:, 0] > 0  # the root's place is a node of its own where the way leads back
    scores = _scores("node", int(right[1:].sum()), len(poses) - 1, len(places))
    scores |= _scores("edge", len(found), int(within.sum()), len(ways))
    scores |= {"nodes": float(len(poses) - 1), "transitions": float(transitions)}
    return ImaginedMap(root, poses[1:], edge - [1, 0, 1], right[1:], right_edge, scores)


def _true_poses(layout: Layout, root: Int16[np.ndarray, " 4"], graph: Graph) -> Int16[np.ndarray, "n 4"]:
    """Where the shortest imagined way to each node really ends."""
    code, child = graph.code.cpu().numpy(), graph.child.cpu().numpy()
    poses = np.full((len(code), 4), -1, np.int16)
    poses[0] = root
    done = code == 0
    for node in np.argsort(code, kind="stable").tolist():  # parents before children
        for action, after in enumerate(child[node].tolist()):
            shortest = (
                after != UNKNOWN
                and not done[after]
                and code[after] // child.shape[1] == code[node] // child.shape[1] + 1
            )
            if shortest:
                poses[after] = _passed(layout, poses[node][None], np.array([action]))[0]
                done[after] = True
    return poses


def _passed(layout: Layout, pose: np.ndarray, action: np.ndarray) -> Int16[np.ndarray, "n 4"]:
    """The poses after a passage and the forced steps up to the next one; -1 where it is illegal or the pose is -1."""
    dynamics, after = Dynamics.of(layout), np.full_like(pose, -1)
    legal = np.asarray((pose >= 0).all(axis=1))
    legal[legal] = dynamics.action_mask(pose[legal])[np.arange(legal.sum()), action[legal]] == 1
    if legal.any():
        after[legal] = pass_on(pose[legal], action[legal], layout)[0]
    return after


def _true_graph(layout: Layout, root: np.ndarray) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """Poses that passages lead to from a root, and their legal actions (pose, action)."""
    dynamics, places, ways = Dynamics.of(layout), set[tuple[int, ...]](), set[tuple[int, ...]]()
    frontier = root[None]
    while len(frontier):
        row, action = dynamics.action_mask(frontier).nonzero()
        if places:  # the root's own ways count only if the maze leads back to it
            ways |= {(*pose, one) for pose, one in zip(frontier[row].tolist(), action.tolist(), strict=True)}
        reached = set(map(tuple, pass_on(frontier[row], action, layout)[0].tolist())) - places
        places |= reached
        frontier = np.array(sorted(reached), np.int16).reshape(-1, 4)
    return places, ways


def _scores(name: str, right: int, imagined: int, true: int) -> dict[str, float]:
    """Precision, recall and F1."""
    precision, recall = right / max(imagined, 1), right / max(true, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {f"{name}_precision": precision, f"{name}_recall": recall, f"{name}_f1": f1}
