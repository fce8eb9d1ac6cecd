"""The maze's wall faces as few flat pieces: the geometry that both views draw.

Neighbouring faces in one plane and of one colour are one *run*. Coordinates are in cells, x east and y south.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, UInt8

from envs.layout import Layout

WALL_HEIGHT = 1.0  # cells; the camera is at half of it

# Where the face on one edge of a cell begins and ends, from right to left as seen from inside the cell.
_ENDS = (
    ((0, 0), (0, 1)),  # facing east: the cell's west edge
    ((1, 0), (0, 0)),  # facing south: its north edge
    ((1, 1), (1, 0)),  # facing west: its east edge
    ((0, 1), (1, 1)),  # facing north: its south edge
)
_GROWS = (1, 0, 0, 1)  # which of the two ends moves as a run grows with x or y


@dataclass(frozen=True)
class Walls:
    """All runs of a layout, read-only; a face takes the colour of the free cell in front of it.

    Attributes:
        ends: right and left end of each run as seen from the free cells, each x and y.
        side: the direction each run faces: 0 east, 1 south, 2 west, 3 north.
        colour: RGB before shading.
        run: the run that a free cell sees facing in each of the four directions (a face towards east is on the cell's
            west edge); -1 where there is none.
    """

    ends: Float64[np.ndarray, "runs 2 2"]
    side: Int16[np.ndarray, "runs"]
    colour: UInt8[np.ndarray, "runs 3"]
    run: Int16[np.ndarray, "h w 4"]

    @classmethod
    def of(cls, layout: Layout) -> "Walls":
        """The runs of a layout."""
        ends: list[list] = []
        sides: list[int] = []
        colours: list[np.ndarray] = []
        run = np.full((*layout.shape, 4), -1, np.int16)
        for side in range(4):
            for y, x in np.argwhere(layout.free & ~layout.sides[:, :, (side + 2) % 4]).tolist():
                face = [(x + dx, y + dy) for dx, dy in _ENDS[side]]
                neighbour = run[y, x - 1, side] if side % 2 else run[y - 1, x, side]
                if neighbour >= 0 and (colours[neighbour] == layout.picture[y, x]).all():
                    ends[neighbour][_GROWS[side]] = face[_GROWS[side]]
                    run[y, x, side] = neighbour
                    continue
                run[y, x, side] = len(ends)
                ends.append(face)
                sides.append(side)
                colours.append(layout.picture[y, x])
        arrays = (np.array(ends, np.float64), np.array(sides, np.int16), np.array(colours), run)
        for array in arrays:
            array.setflags(write=False)
        return cls(*arrays)
