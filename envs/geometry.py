"""The maze as rectangles: the geometry that both views draw.

A *room* is a hallway or a junction. Each of its four sides is either all wall, in the room's colour, or an opening as
wide as the side to the next room. Coordinates are in cells, x east and y south.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, UInt8

from envs.layout import Layout

WALL_HEIGHT = 1.0  # cells; the camera is at half of it
WALL = -1
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # x, y to the east, south, west, north


@dataclass(frozen=True)
class Rooms:
    """All rooms of a layout, read-only: the hallways by their numbers, then the junctions in reading order.

    Seen from inside, the side in direction d (0 east, 1 south, 2 west, 3 north) goes from corner d + 1 on the left to
    corner d + 2 on the right, modulo 4.

    Attributes:
        at: the room of a free cell; -1 elsewhere.
        corners: x, y of the corners: north-west, north-east, south-east, south-west.
        beyond: the room beyond the east, south, west and north side, or WALL.
        colour: RGB of the walls before shading.
    """

    at: Int16[np.ndarray, "h w"]
    corners: Float64[np.ndarray, "rooms 4 2"]
    beyond: Int16[np.ndarray, "rooms 4"]
    colour: UInt8[np.ndarray, "rooms 3"]

    @classmethod
    def of(cls, layout: Layout) -> "Rooms":
        """The rooms of a layout."""
        at = layout.hallway.copy()
        junctions = layout.free & (at < 0)
        at[junctions] = layout.hallways + np.arange(junctions.sum())
        corners, beyond, colour = [], [], []
        for room in range(at.max() + 1):
            cells = np.argwhere(at == room)
            (top, left), (bottom, right) = cells.min(axis=0), cells.max(axis=0)
            corners.append([(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)])
            ends = (right, bottom), (right, bottom), (left, top), (left, top)
            beyond.append([at[y + dy, x + dx] for (x, y), (dx, dy) in zip(ends, _STEPS, strict=True)])
            colour.append(layout.picture[top, left])
        arrays = at, np.array(corners, np.float64), np.array(beyond, np.int16), np.array(colour)
        for array in arrays:
            array.setflags(write=False)
        return cls(*arrays)
