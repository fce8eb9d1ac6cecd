"""Random maps of the paper's family.

The paper's map is a lattice of 5 × 4 nodes from which three edges were taken away. A random map draws the lattice's
lines (now and then three rows of them, whose hallways vary in length), takes some edges away, and keeps the first
drawing that obeys the rules: connected, at least one dead end, six or more junctions to choose at, and no node with
two opposite sides (that would be a junction where nothing is decided). A node that lost all its edges is wall.

Only integers are drawn, one at a time, from NumPy's PCG64, whose stream is the same on every platform.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

HEIGHT, WIDTH = 18, 26
GAPS = (5, 6, 7)  # from node to node: the 4, 5 or 6 cells of a hallway lie between
FEWEST_HALLWAYS = 18
FEWEST_CHOICES = 6  # junctions of three or four sides
FEWEST_REMOVED, MOST_REMOVED = 3, 9

Node = tuple[int, int]  # x, y
Edge = tuple[Node, Node]  # from left to right or from top to bottom


def random_map(seed: int) -> tuple[str, ...]:
    """The map text of a seed, 18 rows of 26 characters.

    Raises:
        ValueError: if the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"the seed of a random layout must be 0 or more, got {seed}")
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        columns = _lines(rng, number=5, length=WIDTH)
        rows = _lines(rng, number=3 if rng.integers(4) == 0 else 4, length=HEIGHT)
        edges = _thinned(rng, _lattice(columns, rows))
        if _is_of_the_family(edges):
            return _drawn(edges)


def _lines(rng: np.random.Generator, number: int, length: int) -> list[int]:
    """Positions of the lattice's lines, inside the outer wall of a map of this length."""
    while True:
        gaps = [GAPS[rng.integers(len(GAPS))] for _ in range(number - 1)]
        spare = length - 3 - sum(gaps)
        if spare >= 0:
            first = 1 + int(rng.integers(spare + 1))
            return [first + sum(gaps[:index]) for index in range(number)]


def _lattice(columns: list[int], rows: list[int]) -> list[Edge]:
    """All edges between neighbouring nodes."""
    across = [((left, y), (right, y)) for y in rows for left, right in pairwise(columns)]
    down = [((x, top), (x, bottom)) for x in columns for top, bottom in pairwise(rows)]
    return across + down


def _thinned(rng: np.random.Generator, edges: list[Edge]) -> list[Edge]:
    """The edges without a few drawn ones."""
    most = min(MOST_REMOVED, len(edges) - FEWEST_HALLWAYS)
    edges = list(edges)
    for _ in range(int(rng.integers(FEWEST_REMOVED, most + 1))):
        edges.pop(int(rng.integers(len(edges))))
    return edges


def _neighbours(edges: list[Edge]) -> dict[Node, list[Node]]:
    """The nodes each node is joined to."""
    neighbours: dict[Node, list[Node]] = {}
    for one, other in edges:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    return neighbours


def _is_of_the_family(edges: list[Edge]) -> bool:
    """Connected, with a dead end and enough choices, and without straight junctions of two sides."""
    neighbours = _neighbours(edges)
    sides = [len(joined) for joined in neighbours.values()]
    straight = any(len(joined) == 2 and _in_line(*joined) for joined in neighbours.values())
    reached, frontier = set(), [edges[0][0]]
    while frontier:
        node = frontier.pop()
        if node not in reached:
            reached.add(node)
            frontier.extend(neighbours[node])
    choices = sum(number >= 3 for number in sides)
    return 1 in sides and choices >= FEWEST_CHOICES and not straight and len(reached) == len(neighbours)


def _in_line(one: Node, other: Node) -> bool:
    """Whether two nodes lie in one row or one column."""
    return one[0] == other[0] or one[1] == other[1]


def _drawn(edges: list[Edge]) -> tuple[str, ...]:
    """The map as text."""
    canvas = np.full((HEIGHT, WIDTH), "#")
    neighbours = _neighbours(edges)
    for (left, top), (right, bottom) in edges:
        canvas[top : bottom + 1, left : right + 1] = "."
    for (x, y), joined in neighbours.items():
        canvas[y, x] = "?DBTX"[len(joined)]
    for (x, y), joined in neighbours.items():
        if len(joined) == 1:
            _shorten(canvas, (x, y), joined[0])
    return tuple("".join(row) for row in canvas)


def _shorten(canvas: np.ndarray, end: Node, start: Node) -> None:
    """A dead end counts as a cell of its hallway: the longest would have 7 cells, and ends one cell earlier."""
    (x, y), (start_x, start_y) = end, start
    if abs(x - start_x) + abs(y - start_y) == max(GAPS):
        canvas[y, x] = "#"
        canvas[y - np.sign(y - start_y), x - np.sign(x - start_x)] = "D"
