"""The maze as a map: free cells, hallways, junctions, colours and the 3 × 3 crops that name a place.

A layout is text, one character a cell: ``#`` wall, ``.`` hallway, ``D`` dead end, ``B`` bend, ``T`` and ``X``
junctions. x grows to the right and y downwards. Everything else is derived from the text and checked against the
rules of the family: one-cell-wide straight hallways of 4 to 6 cells that meet in junctions; junctions never touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int8, Int16, UInt8

from envs.palette import GREY, HALLWAY_COLOURS
from envs.random_layout import random_map

WALL, HALLWAY, JUNCTION = 0, 1, 2
SHORTEST_HALLWAY, LONGEST_HALLWAY = 4, 6

PAPER_MAP = (
    "##########################",
    "#D####B.....T.....T.....B#",
    "#.####.#####.#####.#####.#",
    "#.####.#####.#####.#####.#",
    "#.####.#####.#####.#####.#",
    "#.####.#####.#####.#####.#",
    "#T....X.....T.....X.....T#",
    "#.####.###########.#####.#",
    "#.####.###########.#####.#",
    "#.####.###########.#####.#",
    "#.####.###########.#####.#",
    "#T....X.....T.....X.....B#",
    "#.####.#####.#####.#######",
    "#.####.#####.#####.#######",
    "#.####.#####.#####.#######",
    "#.####.#####.#####.#######",
    "#B....T.....T.....T.....D#",
    "##########################",
)


@dataclass(frozen=True)
class Layout:
    """A maze map that keeps the rules of the family.

    Args:
        name: ``"paper"``, ``"random-<seed>"``, or any name for a map of your own.
        rows: the map as text, one string a row (see the module's text for the characters).

    Raises:
        ValueError: if the map breaks a rule of the family; the message names the rule and the place.
    """

    name: str
    rows: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the rules of the family."""
        _check(self)

    @classmethod
    def paper(cls) -> Layout:
        """The map of all published numbers: 28 hallways, 18 junctions, 2 dead ends."""
        return cls("paper", PAPER_MAP)

    @classmethod
    def random(cls, seed: int) -> Layout:
        """Another map of the family, 26 × 18 cells; the seed alone decides it, on every platform."""
        return cls(f"random-{seed}", random_map(seed))

    @classmethod
    def parse(cls, name: str) -> Layout:
        """The layout of a name: ``paper`` or ``random-<seed>``.

        Raises:
            ValueError: for any other name.
        """
        if name == "paper":
            return cls.paper()
        prefix, _, seed = name.partition("-")
        if prefix == "random" and seed.isascii() and seed.isdigit():
            return cls.random(int(seed))
        raise ValueError(f"unknown layout {name!r}: use 'paper' or 'random-<seed>' with a whole number, as 'random-7'")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in cells."""
        return len(self.rows), len(self.rows[0])

    @cached_property
    def free(self) -> Bool[np.ndarray, "h w"]:
        """Where one can stand."""
        return _frozen(np.array([[character != "#" for character in row] for row in self.rows]))

    @cached_property
    def sides(self) -> Bool[np.ndarray, "h w 4"]:
        """Which neighbours of a free cell are free, in the order east, south, west, north; all False for a wall."""
        padded = np.pad(self.free, 1)
        neighbours = (padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2], padded[:-2, 1:-1])
        return _frozen(np.stack(neighbours, axis=-1) & self.free[..., None])

    @cached_property
    def dead_end(self) -> Bool[np.ndarray, "h w"]:
        """The last cell of a hallway that leads nowhere."""
        return _frozen(self.sides.sum(axis=-1) == 1)

    @cached_property
    def cells(self) -> Int8[np.ndarray, "h w"]:
        """WALL, HALLWAY (dead ends too) or JUNCTION (bends too) for each cell."""
        east, south, west, north = np.moveaxis(self.sides, -1, 0)
        straight = (self.sides.sum(axis=-1) == 2) & ((east & west) | (south & north))
        kinds = np.where(straight | self.dead_end, HALLWAY, JUNCTION)
        return _frozen(np.where(self.free, kinds, WALL).astype(np.int8))

    @cached_property
    def hallway(self) -> Int16[np.ndarray, "h w"]:
        """The hallway a cell belongs to, numbered from 0 in reading order of their first cells; -1 elsewhere."""
        numbers = np.full(self.shape, -1, dtype=np.int16)
        is_hallway = self.cells == HALLWAY
        count = 0
        for y, x in np.argwhere(is_hallway):
            if numbers[y, x] >= 0:
                continue
            down, right = (0, 1) if self.sides[y, x, 0] else (1, 0)
            while is_hallway[y, x]:
                numbers[y, x] = count
                y, x = y + down, x + right
            count += 1
        return _frozen(numbers)

    @cached_property
    def hallways(self) -> int:
        """The number of hallways."""
        return int(self.hallway.max()) + 1

    @cached_property
    def colours(self) -> UInt8[np.ndarray, "hallways 3"]:
        """The wall colour of each hallway, RGB."""
        return _frozen(HALLWAY_COLOURS[: self.hallways].copy())

    @cached_property
    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """The map picture, north up, one pixel a cell: hallways coloured, junctions grey, walls black."""
        picture = np.zeros((*self.shape, 3), dtype=np.uint8)
        picture[self.cells == JUNCTION] = GREY
        in_hallway = self.cells == HALLWAY
        picture[in_hallway] = self.colours[self.hallway[in_hallway]]
        return _frozen(picture)

    @cached_property
    def crops(self) -> UInt8[np.ndarray, "h w 3 3 3"]:
        """For each cell, the 3 × 3 piece of the map picture around it (y, x, RGB), black outside the map."""
        padded = np.pad(self.picture, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (h, w, RGB, y, x)
        return _frozen(np.ascontiguousarray(np.moveaxis(windows, 2, -1)))


def _frozen(array: np.ndarray) -> np.ndarray:
    """The array, read-only from now on: layouts are shared."""
    array.flags.writeable = False
    return array


def _check(layout: Layout) -> None:
    """Raise a ValueError that names the first broken rule."""
    rows, name = layout.rows, layout.name
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError(f"layout {name!r}: all rows of a map must be of one length above 0, got {[*map(len, rows)]}")
    unknown = sorted(set("".join(rows)) - set("#.DBTX"))
    if unknown:
        raise ValueError(f"layout {name!r}: a map is made of the characters #.DBTX, got {''.join(unknown)!r}")
    free = layout.free
    if free[0].any() or free[-1].any() or free[:, 0].any() or free[:, -1].any():
        raise ValueError(f"layout {name!r}: the outermost cells of a map must be walls ('#')")
    _check_letters(layout)
    _check_junctions(layout)
    _check_hallways(layout)
    _check_connected(layout)


def _check_letters(layout: Layout) -> None:
    """The letters must say what the free neighbours of each cell say."""
    for y, x in np.argwhere(layout.free):
        sides = int(layout.sides[y, x].sum())
        kind = "." if layout.cells[y, x] == HALLWAY and sides == 2 else "?DBTX"[sides]
        if layout.rows[y][x] != kind:
            found = layout.rows[y][x]
            raise ValueError(
                f"layout {layout.name!r}: the cell at x={x}, y={y} is marked {found!r}, "
                f"but its {sides} free neighbours make it {kind!r}"
            )


def _check_junctions(layout: Layout) -> None:
    """Junctions never touch."""
    junction = layout.cells == JUNCTION
    touching = np.zeros(layout.shape, dtype=bool)
    touching[:, :-1] |= junction[:, :-1] & junction[:, 1:]
    touching[:-1] |= junction[:-1] & junction[1:]
    if touching.any():
        y, x = np.argwhere(touching)[0]
        raise ValueError(f"layout {layout.name!r}: junctions must not touch, the one at x={x}, y={y} does")


def _check_hallways(layout: Layout) -> None:
    """At most as many hallways as colours, each of 4 to 6 cells."""
    numbers = layout.hallway[layout.hallway >= 0]
    if not 1 <= layout.hallways <= len(HALLWAY_COLOURS):
        raise ValueError(
            f"layout {layout.name!r}: a map has 1 to {len(HALLWAY_COLOURS)} hallways (one colour each), "
            f"got {layout.hallways}"
        )
    lengths = np.bincount(numbers)
    wrong = np.flatnonzero((lengths < SHORTEST_HALLWAY) | (lengths > LONGEST_HALLWAY))
    if wrong.size:
        y, x = np.argwhere(layout.hallway == wrong[0])[0]
        raise ValueError(
            f"layout {layout.name!r}: a hallway has {SHORTEST_HALLWAY} to {LONGEST_HALLWAY} cells, "
            f"the one at x={x}, y={y} has {lengths[wrong[0]]}"
        )


def _check_connected(layout: Layout) -> None:
    """Every free cell can be walked to from every other."""
    reached = np.zeros(layout.shape, dtype=bool)
    reached[tuple(np.argwhere(layout.free)[0])] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= layout.free
        if (grown == reached).all():
            break
        reached = grown
    if (layout.free & ~reached).any():
        y, x = np.argwhere(layout.free & ~reached)[0]
        raise ValueError(f"layout {layout.name!r}: all free cells must be connected, x={x}, y={y} is cut off")
