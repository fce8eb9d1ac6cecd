"""Where an imagined tree lies on the map: every transition as a curve, in cells from the map's upper left corner."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from envs.dynamics import MOVES
from envs.layout import JUNCTION, Layout
from experiments.navigation.imagining import Imagination

WIDE = 0.8
"""cells across a hallway in which nodes stand"""


class Hallway(NamedTuple):
    """A straight hallway on the map."""

    first: tuple[int, int]
    """x, y of its first cell"""
    along: tuple[int, int]
    """(1, 0) from west to east, (0, 1) from north to south"""
    length: int
    """cells"""
    ends: frozenset[tuple[int, int]]
    """the junctions at its ends"""


@lru_cache(maxsize=8)
def hallways(layout: Layout) -> list[Hallway]:
    """All hallways by number."""
    found = []
    for number in range(layout.hallways):
        cells = [(int(x), int(y)) for y, x in np.argwhere(layout.hallway == number)]
        ends = {(x + dx, y + dy) for x, y in cells for dx, dy in MOVES if layout.cells[y + dy, x + dx] == JUNCTION}
        along = (1, 0) if len({y for _, y in cells}) == 1 else (0, 1)
        found.append(Hallway(cells[0], along, len(cells), frozenset(ends)))
    return found


def curves(layout: Layout, found: Imagination, x: int, y: int) -> Float[np.ndarray, "n 3 2"]:
    """A quadratic Bézier curve for each imagined transition: from, control point, to.

    A node stands in the hallway that it means, among the others there, nearer ones first; the root in the agent's cell.
    Between hallways that share a junction a curve bends in it.
    """
    halls, points = hallways(layout), _points(layout, found)
    root, bends = np.array([x + 0.5, y + 0.5]), found.hallway.tolist()
    result = np.empty((len(points), 3, 2))
    for node, parent in enumerate(found.tree.parent.tolist()):
        start, end = (root if parent < 0 else points[parent]), points[node]
        shared = set() if parent < 0 else halls[bends[parent]].ends & halls[bends[node]].ends
        straight = len(shared) != 1
        corner = (start + end) / 2 if straight else np.array(next(iter(shared))) + 0.5
        result[node] = start, corner, end
    return result


def strongest(found: Imagination) -> list[int]:
    """Of the jumps between the same two hallways the one with the largest cosine; weaker ones first."""
    cosine, parent = found.tree.cosine.cpu().numpy(), found.tree.parent.tolist()
    best: dict[tuple[int, int], int] = {}
    for node in np.argsort(cosine).tolist():
        above = -1 if parent[node] < 0 else int(found.hallway[parent[node]])
        best[above, int(found.hallway[node])] = node
    return sorted(best.values(), key=lambda node: float(cosine[node]))


def _points(layout: Layout, found: Imagination) -> Float[np.ndarray, "n 2"]:
    """A point for each node: those of one hallway stand in it in rows."""
    points, depth = np.zeros((len(found.hallway), 2)), found.tree.depth.cpu().numpy()
    for number, hall in enumerate(hallways(layout)):
        nodes = np.flatnonzero(found.hallway == number)
        if not len(nodes):
            continue
        rows = max(1, round(math.sqrt(0.7 * len(nodes) / hall.length)))
        columns = -(-len(nodes) // rows)
        column, row = np.divmod(np.arange(len(nodes)), rows)
        place = nodes[np.argsort(depth[nodes], kind="stable")]
        forth = hall.length * (column + 0.5) / columns
        across = 0.5 + WIDE * (row - (rows - 1) / 2) / rows
        both = np.stack([forth, across] if hall.along == (1, 0) else [across, forth], axis=1)
        points[place] = np.array(hall.first) + both
    return points
