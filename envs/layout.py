"""The map of the maze: free cells, hallways, junctions, colours and the 3 × 3 crops that identify a place.

A layout is text, one character per cell: ``#`` wall, ``.`` hallway, ``D`` dead end, ``B`` bend, ``T`` and ``X``
junctions. x grows to the right and y downwards. Everything else is derived from the text, which must follow the rules
of the family: straight hallways, one cell wide and 4 to 6 cells long, meet in junctions, and junctions never touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int8, Int16, UInt8

from envs.palette import GREY, HALLWAY_COLOURS, TONES
from envs.random_layout import FAMILIES, random_map

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
    """A map that follows the rules of the family."""

    name: str
    """``paper``, ``random-<seed>``, ``large-<seed>``, ``huge-<seed>``, or any name for a map of your own"""
    rows: tuple[str, ...]
    """the map as text; the module's docstring lists the characters"""

    def __post_init__(self) -> None:
        """Raise a ValueError that names the first broken rule and its place."""
        broken = next(_broken_rules(self), None)
        if broken:
            raise ValueError(f"layout {self.name!r}: {broken}")

    @classmethod
    def paper(cls) -> Layout:
        """The map of all published numbers: 28 hallways, 18 junctions, 2 dead ends."""
        return cls("paper", PAPER_MAP)

    @classmethod
    def random(cls, seed: int) -> Layout:
        """Another map of 26 × 18 cells; it depends only on the seed, on every platform."""
        return cls(f"random-{seed}", random_map(seed))

    @classmethod
    def parse(cls, name: str) -> Layout:
        """The layout named ``paper``, ``random-<seed>``, ``large-<seed>`` or ``huge-<seed>``, or that of a text file.

        Raises:
            ValueError: if there is neither such a layout nor such a file, or the file's map breaks a rule.
        """
        if name == "paper":
            return cls.paper()
        prefix, _, seed = name.partition("-")
        if prefix in FAMILIES and seed.isascii() and seed.isdigit():
            return cls(f"{prefix}-{int(seed)}", random_map(int(seed), FAMILIES[prefix]))
        if Path(name).is_file():
            return cls.read(Path(name))
        families = ", ".join(f"'{family}-<seed>'" for family in FAMILIES)
        raise ValueError(
            f"unknown layout {name!r}: use 'paper', {families}, for example 'random-7', or the text file of a map"
        )

    @classmethod
    def of(cls, layout: str | Layout | Mapping[str, Any]) -> Layout:
        """The layout, also from its name (see `parse`) or from a mapping with `name` and `rows`, such as JSON holds.

        Raises:
            ValueError: for anything else, or for a map that breaks a rule.
        """
        if isinstance(layout, Layout):
            return layout
        if isinstance(layout, str):
            return cls.parse(layout)
        if not isinstance(layout, Mapping) or set(layout) != {"name", "rows"}:
            raise ValueError(f"a layout is a Layout, its name or a mapping with name and rows, got {layout!r}")
        return cls(layout["name"], tuple(layout["rows"]))

    @classmethod
    def read(cls, path: Path) -> Layout:
        """A map of your own from a text file, one line for each row; its name is the path.

        Raises:
            ValueError: if the file is not text or the map breaks a rule.
            OSError: if the file cannot be read.
        """
        try:
            lines = path.read_text("ascii").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"layout {str(path)!r}: a map is made of the characters #.DBTX, "
                f"got the byte {error.object[error.start]} at position {error.start}"
            ) from None
        return cls(str(path), tuple(line.rstrip() for line in lines if line.strip()))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in cells."""
        return len(self.rows), len(self.rows[0])

    @cached_property
    def free(self) -> Bool[np.ndarray, "h w"]:
        """The cells that are not wall."""
        return _frozen(np.array([[*row] for row in self.rows]) != "#")

    @cached_property
    def sides(self) -> Bool[np.ndarray, "h w 4"]:
        """Which neighbours of a free cell are free: east, south, west, north. All False for a wall."""
        padded = np.pad(self.free, 1)
        neighbours = (padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2], padded[:-2, 1:-1])
        return _frozen(np.stack(neighbours, axis=-1) & self.free[..., None])

    @cached_property
    def dead_end(self) -> Bool[np.ndarray, "h w"]:
        """The last cells of hallways that lead nowhere."""
        return _frozen(self.sides.sum(axis=-1) == 1)

    @cached_property
    def cells(self) -> Int8[np.ndarray, "h w"]:
        """WALL, HALLWAY (includes dead ends) or JUNCTION (includes bends) for each cell."""
        east, south, west, north = np.moveaxis(self.sides, -1, 0)
        straight = (self.sides.sum(axis=-1) == 2) & ((east & west) | (south & north))
        kinds = np.where(straight | self.dead_end, HALLWAY, JUNCTION)
        return _frozen(np.where(self.free, kinds, WALL).astype(np.int8))

    @cached_property
    def hallway(self) -> Int16[np.ndarray, "h w"]:
        """The number of each cell's hallway, from 0 in reading order of their first cells; -1 elsewhere."""
        numbers = np.full(self.shape, -1, dtype=np.int16)
        for y, x in np.argwhere(self.cells == HALLWAY):
            if numbers[y, x] < 0:
                number, down, right = numbers.max() + 1, not self.sides[y, x, 0], self.sides[y, x, 0]
                while self.cells[y, x] == HALLWAY:
                    numbers[y, x] = number
                    y, x = y + down, x + right
        return _frozen(numbers)

    @cached_property
    def hallways(self) -> int:
        """The number of hallways."""
        return int(self.hallway.max()) + 1

    @property
    def one_tone(self) -> int:
        """How many hallways have one tone: those with lower numbers."""
        return min(self.hallways, len(HALLWAY_COLOURS))

    @cached_property
    def tones(self) -> UInt8[np.ndarray, "hallways 2 3"]:
        """The wall colours of each hallway, RGB: of its first, third, … and of its second, fourth, … cell."""
        return _frozen(TONES[: self.hallways].copy())

    @cached_property
    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """The map picture, north up, one pixel per cell: coloured hallways, grey junctions, black walls."""
        picture = np.zeros((*self.shape, 3), dtype=np.uint8)
        picture[self.cells == JUNCTION] = GREY
        y, x = np.nonzero(self.cells == HALLWAY)
        number = self.hallway[y, x]
        first = np.full(self.hallways, np.iinfo(np.int64).max)
        np.minimum.at(first, number, x + y)  # along a straight hallway, x + y grows by one a cell
        picture[y, x] = self.tones[number, (x + y - first[number]) % 2]
        return _frozen(picture)

    @cached_property
    def crops(self) -> UInt8[np.ndarray, "h w 3 3 3"]:
        """The 3 × 3 crop of the map picture around each cell (y, x, RGB), black outside the map."""
        padded = np.pad(self.picture, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (h, w, RGB, y, x)
        return _frozen(np.ascontiguousarray(np.moveaxis(windows, 2, -1)))


def _frozen(array: np.ndarray) -> np.ndarray:
    """Make an array read-only, because layouts are shared."""
    array.flags.writeable = False
    return array


def _broken_rules(layout: Layout) -> Iterator[str]:
    """The rules of the family that a map breaks; each check assumes that the earlier ones passed."""
    rows, shortest, longest, most = layout.rows, SHORTEST_HALLWAY, LONGEST_HALLWAY, len(TONES)
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        yield f"all rows of a map must have one length above 0, got {[*map(len, rows)]}"
    unknown = sorted(set("".join(rows)) - set("#.DBTX"))
    if unknown:
        yield f"a map is made of the characters #.DBTX, got {''.join(unknown)!r}"
    free, junction, hallway = layout.free, layout.cells == JUNCTION, layout.hallway
    if free[0].any() or free[-1].any() or free[:, 0].any() or free[:, -1].any():
        yield "the outermost cells of a map must be walls ('#')"
    for y, x in np.argwhere(free):
        sides, mark = int(layout.sides[y, x].sum()), rows[y][x]
        expected = "." if sides == 2 and not junction[y, x] else "?DBTX"[sides]
        if mark != expected:
            yield f"the cell at x={x}, y={y} is marked {mark!r}, but its {sides} free neighbours make it {expected!r}"
    for touching in (junction[:, :-1] & junction[:, 1:], junction[:-1] & junction[1:]):
        for y, x in np.argwhere(touching):
            yield f"junctions must not touch, the one at x={x}, y={y} does"
    if not 1 <= layout.hallways <= most:
        yield f"a map has 1 to {most} hallways (as many can be told apart), got {layout.hallways}"
    for number, length in enumerate(np.bincount(hallway[hallway >= 0])):
        if not shortest <= length <= longest:
            y, x = np.argwhere(hallway == number)[0]
            yield f"a hallway has {shortest} to {longest} cells, the one at x={x}, y={y} has {length}"
    cut_off = {(y, x) for y, x in np.argwhere(free).tolist()}
    frontier = {min(cut_off)}
    while frontier:
        cut_off -= frontier
        frontier = {cell for y, x in frontier for cell in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x))} & cut_off
    for y, x in sorted(cut_off):
        yield f"all free cells must be connected, x={x}, y={y} is cut off"
