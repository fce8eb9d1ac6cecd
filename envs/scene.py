"""What all frames of a layout have in common for the raycaster: geometry, shaded colours and places of samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from envs.geometry import Rooms
from envs.layout import Layout
from envs.palette import CEILING, CEILING_LIGHT, FLOOR, FLOOR_LIGHT, WALL_LIGHT, shaded

SAMPLE_Y = (0.375, 0.875, 0.125, 0.625)  # distance from the pixel's top of its samples at x = 1/8, 3/8, 5/8, 7/8


class Scene(NamedTuple):
    """Tables that the raycaster draws from."""

    at: np.ndarray  # (h, w) the room of a free cell, or -1
    corners: np.ndarray  # (rooms, 4, 2) x and y, cells
    beyond: np.ndarray  # (rooms, 4) the room beyond each side, or -1 for a wall
    colour: np.ndarray  # (4 rooms, 3) float32, each side's, shaded
    blend: np.ndarray  # (4 rooms, 2, 5, 3) uint8, pixels of n samples of wall and 4 - n of ceiling or floor
    ceiling: np.ndarray  # (3,) float32
    floor: np.ndarray  # (3,) float32
    ceiling_row: np.ndarray  # (3 size,) uint8, a row of nothing else
    floor_row: np.ndarray  # (3 size,) uint8
    x: np.ndarray  # (4 size,) pixels: where each sub-column is
    y: np.ndarray  # (4 size,) pixels: how far below the top of its pixel each sub-column is sampled
    scale: float  # tangent of a pixel in the middle of the frame

    @classmethod
    def of(cls, layout: Layout, size: int, fov_degrees: float) -> Scene:
        """The tables for frames of `size` pixels and a field of view in degrees."""
        rooms = Rooms.of(layout)
        light = np.tile(np.roll(WALL_LIGHT, 2), len(rooms.colour))  # the east side faces west, and so on
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
