"""The maze as rectangles: the geometry that both views render.

A *room* is a hallway, a cell of a two-tone hallway, or a junction. Each of its four sides is either a wall in the
room's colour or an opening to the next room, as wide as the side. Coordinates are in cells, x east and y south.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, UInt8

from envs.dynamics import MOVES
from envs.layout import Layout

WALL_HEIGHT = 1.0  # cells
WALL = -1


@dataclass(frozen=True)
class Rooms:
    """All rooms: hallways of one tone by number, then the cells of other hallways and junctions in reading order.

    Seen from inside, the side in direction d (0 east, 1 south, 2 west, 3 north) goes from corner d + 1 on the left to
    corner d + 2 on the right, modulo 4.
    """

    at: Int16[np.ndarray, "h w"]
    """room of each free cell; -1 elsewhere"""
    corners: Float64[np.ndarray, "rooms 4 2"]
    """x, y of the corners: north-west, north-east, south-east, south-west"""
    beyond: Int16[np.ndarray, "rooms 4"]
    """the room beyond the east, south, west and north side, or WALL"""
    colour: UInt8[np.ndarray, "rooms 3"]
    """RGB of the walls before shading"""

    @classmethod
    def of(cls, layout: Layout) -> "Rooms":
        """The rooms of a layout."""
        at, whole = layout.hallway.copy(), layout.one_tone
        alone = layout.free & ((at < 0) | (at >= whole))
        at[alone] = whole + np.arange(alone.sum())
        corners, beyond, colour = [], [], []
        for room in range(at.max() + 1):
            cells = np.argwhere(at == room)
            (top, left), (bottom, right) = cells.min(axis=0), cells.max(axis=0)
            corners.append([(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)])
            ends = (right, bottom), (right, bottom), (left, top), (left, top)
            beyond.append([at[y + dy, x + dx] for (x, y), (dx, dy) in zip(ends, MOVES, strict=True)])
            colour.append(layout.picture[top, left])
        return cls(at, np.array(corners, np.float64), np.array(beyond, np.int16), np.array(colour))
