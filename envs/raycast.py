"""The default view: a batched raycaster that draws the pictures of the Miniworld view without OpenGL.

OpenGL (Mesa's llvmpipe) clips every wall to the view volume, snaps the corners to 1/256 pixel and takes the mean of
four samples a pixel. This file does the same column by column: the four samples of a pixel have x offsets of their
own, so a frame of n pixels has 4 n sub-columns. A ray through the map (digital differential analysis, Amanatides and
Woo 1987) finds the wall that a sub-column sees; the wall's clipped and snapped edges say how far it reaches up and
down. Nearly every pixel comes out as in OpenGL (`envs/parity.py` measures it).
"""

import math
import os
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.layout import Layout
from envs.palette import CEILING, CEILING_LIGHT, FLOOR, FLOOR_LIGHT, WALL_LIGHT, shaded
from envs.walls import WALL_HEIGHT, Walls

# OpenMP reads this when numba first starts threads: idle ones must sleep, or they slow down everything on busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

PARALLEL_FROM = 16  # frames; fewer are drawn on the calling thread alone, which also keeps forked processes safe

_SAMPLE_Y = (0.375, 0.875, 0.125, 0.625)  # distance from the pixel's top of its samples at x = 1/8, 3/8, 5/8, 7/8
_SNAP = 256.0  # steps a pixel
_TIE = 1e-7  # pixels; less than a sample and an edge can differ by without being equal
_NEAR = 0.04  # near plane of Miniworld, cells
_CHUNK = 8  # frames that one thread draws in a row


class _Scene(NamedTuple):
    """What all frames have in common."""

    free: np.ndarray  # (h, w) bool
    run: np.ndarray  # (h, w, 4) the run that a cell sees facing in each direction, or -1
    ends: np.ndarray  # (runs, 2, 2) right and left end, x and y, cells
    colour: np.ndarray  # (runs, 3) float32, shaded
    ceiling: np.ndarray  # (3,) float32
    floor: np.ndarray  # (3,) float32
    ceiling_row: np.ndarray  # (3 size,) uint8, a row of nothing else
    floor_row: np.ndarray  # (3 size,) uint8
    x: np.ndarray  # (4 size,) pixels: where each sub-column is
    y: np.ndarray  # (4 size,) pixels: how far below the top of its pixel each sub-column is sampled
    scale: float  # tangent of a pixel in the middle of the frame


class Raycaster:
    """Draws what the camera sees, for many poses in one call.

    The first call in a new installation compiles for some seconds; the machine code is cached beside the source.

    Args:
        layout: the maze.
        size: height and width of a frame in pixels.
        fov_degrees: field of view, the same vertically and horizontally, in degrees.

    Raises:
        ValueError: if the size or the field of view makes no picture.
    """

    def __init__(self, layout: Layout, size: int = 32, fov_degrees: float = 90.0):
        check_camera(size, fov_degrees)
        self.layout, self.size = layout, size
        walls = Walls.of(layout)
        ceiling, floor = shaded(CEILING, CEILING_LIGHT), shaded(FLOOR, FLOOR_LIGHT)
        self._scene = _Scene(
            free=layout.free,
            run=walls.run,
            ends=walls.ends,
            colour=shaded(walls.colour, WALL_LIGHT[walls.side, None]).astype(np.float32),
            ceiling=ceiling.astype(np.float32),
            floor=floor.astype(np.float32),
            ceiling_row=np.tile(np.rint(ceiling).astype(np.uint8), size),
            floor_row=np.tile(np.rint(floor).astype(np.uint8), size),
            x=(np.arange(4 * size) + 0.5) / 4,
            y=np.tile(_SAMPLE_Y, size),
            scale=math.tan(math.radians(fov_degrees) / 2) / (size / 2),
        )

    def render(
        self,
        pose: Int16[np.ndarray, "n 4"],
        jitter: Float32[np.ndarray, "n 3"],
        out: UInt8[np.ndarray, "n s s 3"] | None = None,
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """Draw one frame a pose.

        Args:
            pose: x, y, heading, mode; the mode does not show.
            jitter: the camera's displacement dx, dy in cells from the middle of the pose's cell, and yaw in radians
                (positive turns right).
            out: frames to draw into, C-contiguous; new ones by default.

        Returns:
            RGB frames, row 0 on top.

        Raises:
            ValueError: if a camera is not inside a free cell, or `out` does not fit.
        """
        shape = (len(pose), self.size, self.size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous and of shape {shape}, got {out.shape}: pass such an array")
        rows = out.reshape(len(pose), self.size, 3 * self.size)
        draw = _draw_parallel if len(pose) >= PARALLEL_FROM else _draw
        blocked = draw(pose, jitter, self._scene, rows)
        if blocked >= 0:
            raise ValueError(
                f"a camera must be inside a free cell, got pose {pose[blocked].tolist()} "
                f"with jitter {jitter[blocked].tolist()}: use poses of the layout and less position jitter"
            )
        return out


def check_camera(size: int, fov_degrees: float) -> None:
    """Refuse a frame size or field of view (degrees) that makes no picture, with a ValueError."""
    if size < 1:
        raise ValueError(f"the frame size must be at least 1 pixel, got {size}: the default is 32")
    if not 0 < fov_degrees < 180:
        raise ValueError(f"the field of view must be between 0 and 180 degrees, got {fov_degrees}: the default is 90")


@numba.njit(cache=True, parallel=True)
def _draw_parallel(pose, jitter, scene, frames):
    """Draw all frames, chunk by chunk on all threads; a row whose camera is not in a free cell, or -1."""
    n = len(pose)
    blocked = -1
    for chunk in numba.prange((n + _CHUNK - 1) // _CHUNK):
        begin, end = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
        row = _draw(pose[begin:end], jitter[begin:end], scene, frames[begin:end])
        blocked = max(blocked, begin + row if row >= 0 else -1)
    return blocked


@numba.njit(cache=True)
def _draw(pose, jitter, scene, frames):
    """Draw all frames on one thread; the first row whose camera is not in a free cell, or -1."""
    size = frames.shape[1]
    seen, first, end = np.empty(4 * size, np.int32), np.empty(4 * size, np.int32), np.empty(4 * size, np.int32)
    top, bottom, wall = np.empty(3 * size, np.int16), np.empty(3 * size, np.int16), np.empty(3 * size, np.uint8)
    height, width = scene.free.shape
    for i in range(len(pose)):
        x, y = pose[i, 0] + 0.5 + jitter[i, 0], pose[i, 1] + 0.5 + jitter[i, 1]
        if not (0 <= x < width and 0 <= y < height and scene.free[int(y), int(x)]):
            return i
        angle = pose[i, 2] * (math.pi / 2) + jitter[i, 2]
        _look(x, y, math.cos(angle), math.sin(angle), scene, seen, first, end)
        _average_walls(scene.colour, seen, first, end, top, bottom, wall)
        _fill(scene.ceiling_row, top, wall, bottom, scene.floor_row, frames[i])
        _draw_edges(scene.ceiling, scene.colour, scene.floor, seen, first, end, frames[i])
    return -1


@numba.njit(cache=True, error_model="numpy")
def _look(x, y, cos, sin, scene, seen, first, end):
    """Find for every sub-column the run it sees and the rows [first, end) whose samples it covers.

    Two rays that see the same run see nothing else between them (the mazes have no pillars), so that a run needs only
    a ray at its beginning and one at its end; where something hides its end, bisection finds the last ray that sees it.
    """
    columns = len(scene.x)
    size = columns // 4
    column = np.int64(0)
    while column < columns:
        run = _cast(x, y, cos, sin, column, scene)
        slope, height, right = _project(scene.ends[run], x, y, cos, sin, size / 2, scene.scale)
        last = max(column, min(columns, math.ceil(4 * right - 0.5)) - 1)
        if last > column and _cast(x, y, cos, sin, last, scene) != run:
            hidden = last
            last = column
            while hidden - last > 1:
                middle = (last + hidden) // 2
                if _cast(x, y, cos, sin, middle, scene) == run:
                    last = middle
                else:
                    hidden = middle
        # Ties: like llvmpipe, a wall has the samples on its left edges, and on level edges those on the lower one.
        above, below = (_TIE if slope > 0 else -_TIE), (_TIE if slope >= 0 else -_TIE)
        for j in range(np.uint64(column), np.uint64(last + 1)):  # unsigned indices need no check for negative ones
            half = min(height + slope * scene.x[j], float(size))
            # The samples of row r are at r + y. Truncation rounds down, and only positive numbers: hence the sums.
            begin = size - np.int32(size / 2 + scene.y[j] + half + above)
            stop = 2 * size - np.int32(1.5 * size + scene.y[j] - half - below)
            seen[j], first[j], end[j] = run, max(begin, 0), min(stop, size)
        column = last + 1


@numba.njit(cache=True, error_model="numpy")
def _cast(x, y, cos, sin, column, scene):
    """The run that the ray of a sub-column hits."""
    # Corners are rounded to the nearest step, so that a wall's left edge covers a sample up to half a step before it.
    right = (scene.x[column] + 0.5 / _SNAP - len(scene.x) / 8) * scene.scale
    ray_x, ray_y = cos - sin * right, sin + cos * right
    cell_x, cell_y = int(x), int(y)
    step_x, step_y = (1 if ray_x > 0 else -1), (1 if ray_y > 0 else -1)
    across_x, across_y = abs(1 / ray_x), abs(1 / ray_y)  # ray length from one grid line to the next
    next_x = (cell_x + 1 - x if ray_x > 0 else x - cell_x) * across_x
    next_y = (cell_y + 1 - y if ray_y > 0 else y - cell_y) * across_y
    while True:
        if next_x < next_y:
            run = scene.run[cell_y, cell_x, 1 + step_x]
            if run >= 0:
                return run
            cell_x += step_x
            next_x += across_x
        else:
            run = scene.run[cell_y, cell_x, 2 + step_y]
            if run >= 0:
                return run
            cell_y += step_y
            next_y += across_y


@numba.njit(cache=True, error_model="numpy")
def _project(ends, x, y, cos, sin, centre, scale):
    """The edge of a run on the screen: half its height in pixels is height + slope * column; and its right end."""
    cos, sin = np.float32(cos), np.float32(sin)
    shift_right, shift_depth = sin * np.float32(x) - cos * np.float32(y), -(cos * np.float32(x) + sin * np.float32(y))
    right, right_depth = _transform(ends[0], cos, sin, shift_right, shift_depth)
    left, left_depth = _transform(ends[1], cos, sin, shift_right, shift_depth)
    if right_depth < _NEAR:
        right += (_NEAR - right_depth) / (left_depth - right_depth) * (left - right)
        right_depth = _NEAR
    elif left_depth < _NEAR:
        left += (_NEAR - left_depth) / (right_depth - left_depth) * (right - left)
        left_depth = _NEAR
    right, left = centre + right / (right_depth * scale), centre + left / (left_depth * scale)
    high_right, high_left = WALL_HEIGHT / 2 / (right_depth * scale), WALL_HEIGHT / 2 / (left_depth * scale)
    slope = (high_right - high_left) / (right - left)
    height = high_left - slope * left
    if right > 2 * centre:
        right, high_right = 2 * centre, height + slope * 2 * centre
    if left < 0:
        left, high_left = 0.0, height
    if high_right > centre > high_left:
        right, high_right = (centre - height) / slope, centre
    elif high_left > centre > high_right:
        left, high_left = (centre - height) / slope, centre
    right, left, high_right, high_left = _snap(right), _snap(left), _snap(high_right), _snap(high_left)
    slope = (high_right - high_left) / (right - left) if right > left else 0.0
    return slope, high_left - slope * left, right


@numba.njit(cache=True)
def _transform(corner, cos, sin, shift_right, shift_depth):
    """How far right of the camera and how far before it a corner is, cells; in OpenGL's precision and order."""
    x, y = np.float32(corner[0]), np.float32(corner[1])
    right, depth = y * cos - x * sin + shift_right, x * cos + y * sin + shift_depth
    return float(right), float(depth)


@numba.njit(cache=True)
def _snap(pixels):
    return math.floor(pixels * _SNAP + 0.5) / _SNAP


@numba.njit(cache=True)
def _average_walls(colour, seen, first, end, top, bottom, wall):
    """For every byte of a row: the rows [top, bottom) where all four samples are wall, and their colour there."""
    for px in range(len(wall) // 3):
        j = 4 * px
        for b in range(3 * px, 3 * px + 3):
            top[b] = max(first[j], first[j + 1], first[j + 2], first[j + 3])
            bottom[b] = min(end[j], end[j + 1], end[j + 2], end[j + 3])
        for b in range(3):
            total = colour[seen[j], b] + colour[seen[j + 1], b] + colour[seen[j + 2], b] + colour[seen[j + 3], b]
            wall[3 * px + b] = _quarter(total)


@numba.njit(cache=True)
def _quarter(total):
    """The mean of four samples, rounded to a byte."""
    return np.uint8(total * np.float32(0.25) + np.float32(0.5))


@numba.njit(cache=True)
def _fill(ceiling, top, wall, bottom, floor, frame):
    """Draw ceiling, walls and floor where all four samples of a pixel agree on which of them they are."""
    for r in range(len(frame)):
        row, at = frame[r], np.int16(r)
        for b in range(len(wall)):  # loads before choices, so that it becomes vector instructions
            above, middle, below, begin, end = ceiling[b], wall[b], floor[b], top[b], bottom[b]
            lower = middle if at < end else below
            row[b] = above if at < begin else lower


@numba.njit(cache=True)
def _draw_edges(ceiling, colour, floor, seen, first, end, frame):
    """Draw the pixels whose samples do not agree."""
    for px in range(len(frame)):
        j = 4 * px
        full = max(first[j], first[j + 1], first[j + 2], first[j + 3])
        for r in range(min(first[j], first[j + 1], first[j + 2], first[j + 3]), full):
            _draw_mixed(ceiling, colour, floor, seen, first, end, frame, r, px)
        begin = max(full, min(end[j], end[j + 1], end[j + 2], end[j + 3]))
        for r in range(begin, max(end[j], end[j + 1], end[j + 2], end[j + 3])):
            _draw_mixed(ceiling, colour, floor, seen, first, end, frame, r, px)


@numba.njit(cache=True)
def _draw_mixed(ceiling, colour, floor, seen, first, end, frame, r, px):
    """Draw the pixel in row r and pixel column px from its four samples."""
    red, green, blue = np.float32(0), np.float32(0), np.float32(0)
    for j in range(4 * px, 4 * px + 4):
        if r < first[j]:
            red, green, blue = red + ceiling[0], green + ceiling[1], blue + ceiling[2]
        elif r < end[j]:
            run = seen[j]
            red, green, blue = red + colour[run, 0], green + colour[run, 1], blue + colour[run, 2]
        else:
            red, green, blue = red + floor[0], green + floor[1], blue + floor[2]
    frame[r, 3 * px], frame[r, 3 * px + 1], frame[r, 3 * px + 2] = _quarter(red), _quarter(green), _quarter(blue)
