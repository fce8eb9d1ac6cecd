"""The raycaster's tables for one layout and camera: geometry, shaded colours and sample positions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from envs.geometry import Rooms
from envs.layout import Layout
from envs.palette import CEILING, CEILING_LIGHT, FLOOR, FLOOR_LIGHT, WALL_LIGHT, shaded

SAMPLE_Y = (0.375, 0.875, 0.125, 0.625)  # y in the pixel, from its top, of the samples at x = 1/8, 3/8, 5/8, 7/8


class Scene(NamedTuple):
    """The tables; `at`, `corners` and `beyond` are those of `Rooms`."""

    at: np.ndarray  # (h, w)
    corners: np.ndarray  # (rooms, 4, 2)
    beyond: np.ndarray  # (rooms, 4)
    colour: np.ndarray  # (4 rooms, 3) float32, the shaded colour of each side
    blend: np.ndarray  # (4 rooms, 2, 5, 3) uint8, pixels of n wall samples and 4 - n of the ceiling or the floor
    ceiling: np.ndarray  # (3,) float32
    floor: np.ndarray  # (3,) float32
    ceiling_row: np.ndarray  # (3 size,) uint8, a row that shows only ceiling
    floor_row: np.ndarray  # (3 size,) uint8
    x: np.ndarray  # (4 size,) position of each sub-column, in pixels
    y: np.ndarray  # (4 size,) its samples' distance below the top of their pixels, in pixels
    scale: float  # width of a pixel at depth 1

    @classmethod
    def of(cls, layout: Layout, size: int, fov_degrees: float) -> Scene:
        """The tables of a layout, a frame size in pixels and a field of view in degrees."""
        rooms = Rooms.of(layout)
        light = np.tile(np.roll(WALL_LIGHT, 2), len(rooms.colour))  # the east side faces west, etc.
        ceiling, floor = shaded(CEILING, CEILING_LIGHT), shaded(FLOOR, FLOOR_LIGHT)
        colour = shaded(rooms.colour.repeat(4, axis=0), light[:, None])
        n = np.arange(5)[:, None]
        blend = (n * colour[:, None, None] + (4 - n) * np.stack([ceiling, floor])[:, None]) / 4
        return cls(
            at=rooms.at.astype(np.int64),
            corners=rooms.corners,
            beyond=rooms.beyond.astype(np.int64),
            colour=colour.astype(np.float32),
            blend=np.floor(blend + 0.5).astype(np.uint8),
            ceiling=ceiling.astype(np.float32),
            floor=floor.astype(np.float32),
            ceiling_row=np.tile(np.rint(ceiling).astype(np.uint8), size),
            floor_row=np.tile(np.rint(floor).astype(np.uint8), size),
            x=(np.arange(4 * size) + 0.5) / 4,
            y=np.tile(SAMPLE_Y, size),
            scale=math.tan(math.radians(fov_degrees) / 2) / (size / 2),
        )
