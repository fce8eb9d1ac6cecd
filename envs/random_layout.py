"""Random maps: the paper's family, and larger ones.

The paper's map is a lattice of 5 × 4 nodes without three of its edges. A random map samples the positions of the
lattice's lines (of the paper's size sometimes three rows, with more varied hallways), removes some edges, and is
resampled until it follows the rules: connected, at least one dead end, at least six junctions with a choice, and no
node with exactly two opposite sides (a junction where nothing is decided). A node without edges becomes wall.

All random numbers are integers from NumPy's PCG64, sampled one at a time: the stream is the same on every platform.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

GAPS = (5, 6, 7)  # between neighbouring nodes: hallways of 4, 5 or 6 cells
FEWEST_CHOICES = 6  # junctions with three or four sides


@dataclass(frozen=True)
class Family:
    """What maps of one size have in common."""

    width: int
    """cells"""
    height: int
    columns: int
    """of the lattice"""
    rows: tuple[int, ...]
    """of the lattice, one of these, equally likely"""
    removed: tuple[int, int]
    """fewest and most edges that are removed"""
    fewest_hallways: int


FAMILIES = {
    "random": Family(26, 18, 5, (3, 4, 4, 4), (3, 9), fewest_hallways=18),
    "large": Family(45, 33, 8, (6,), (9, 15), fewest_hallways=67),
    "huge": Family(63, 51, 11, (9,), (16, 28), fewest_hallways=150),
}
"""Maps named NAME-SEED: of 18 to 28, about 70, and at least 150 hallways."""

Node = tuple[int, int]  # x, y
Edge = tuple[Node, Node]  # from left to right or from top to bottom
Neighbours = dict[Node, list[Node]]


def random_map(seed: int, family: Family = FAMILIES["random"]) -> tuple[str, ...]:
    """The map text of a seed, one row of characters for each row of cells.

    Raises:
        ValueError: if the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"the seed of a random layout must be 0 or more, got {seed}")
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        columns = _lines(rng, number=family.columns, length=family.width)
        rows = _lines(rng, number=family.rows[rng.integers(len(family.rows))], length=family.height)
        edges = [((left, y), (right, y)) for y in rows for left, right in pairwise(columns)]
        edges += [((x, top), (x, bottom)) for x in columns for top, bottom in pairwise(rows)]
        fewest, most = family.removed[0], min(family.removed[1], len(edges) - family.fewest_hallways)
        for _ in range(int(rng.integers(fewest, most + 1))):
            edges.pop(int(rng.integers(len(edges))))
        neighbours: Neighbours = defaultdict(list)
        for one, other in edges:
            neighbours[one].append(other)
            neighbours[other].append(one)
        if _follows_the_rules(neighbours):
            return _text(edges, neighbours, family)


def _lines(rng: np.random.Generator, number: int, length: int) -> list[int]:
    """Sample the positions of the lattice's lines inside the outer wall of a map of this length."""
    while True:
        gaps = [GAPS[rng.integers(len(GAPS))] for _ in range(number - 1)]
        spare = length - 3 - sum(gaps)
        if spare >= 0:
            first = 1 + int(rng.integers(spare + 1))
            return [first + sum(gaps[:index]) for index in range(number)]


def _follows_the_rules(neighbours: Neighbours) -> bool:
    """Whether a map is connected, has a dead end and enough choices, and no straight junction with two sides."""
    sides = [len(joined) for joined in neighbours.values()]
    pairs = [joined for joined in neighbours.values() if len(joined) == 2]
    straight = any(x == other_x or y == other_y for (x, y), (other_x, other_y) in pairs)
    reached, frontier = set(), [next(iter(neighbours))]
    while frontier:
        node = frontier.pop()
        if node not in reached:
            reached.add(node)
            frontier.extend(neighbours[node])
    choices = sum(number >= 3 for number in sides)
    return 1 in sides and choices >= FEWEST_CHOICES and not straight and len(reached) == len(neighbours)


def _text(edges: list[Edge], neighbours: Neighbours, family: Family) -> tuple[str, ...]:
    """The map as text."""
    canvas = np.full((family.height, family.width), "#")
    for (left, top), (right, bottom) in edges:
        canvas[top : bottom + 1, left : right + 1] = "."
    for (x, y), joined in neighbours.items():
        canvas[y, x] = "?DBTX"[len(joined)]
        dx, dy = x - joined[0][0], y - joined[0][1]
        if len(joined) == 1 and abs(dx) + abs(dy) == max(GAPS):
            # With its dead end, which is one of its cells, the longest hallway would have 7: it ends one cell earlier.
            canvas[y, x] = "#"
            canvas[y - np.sign(dy), x - np.sign(dx)] = "D"
    return tuple("".join(row) for row in canvas)
