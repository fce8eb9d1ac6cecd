"""The default view: a batched raycaster that renders the frames of the Miniworld view without OpenGL.

OpenGL (Mesa's llvmpipe) clips every wall to the view volume, snaps its corners to 1/256 pixel and averages four samples
per pixel. This file does the same column by column: the four samples of a pixel differ in x, so a frame of n pixels has
4 n sub-columns, each with one ray. Rays that leave a room by the same side stay together: starting in the camera's
room, bundles of rays are split at a room's corners and followed through its openings ("portals", Luebke and Georges
1995) until each bundle ends at a wall. The wall's clipped and snapped edges give its rows. Nearly every pixel is equal
to OpenGL's (`envs/parity.py` measures it).
"""

import math
import os
import threading
from functools import partial
from multiprocessing import current_process, get_context
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.camera import Camera
from envs.code_cache import CACHE
from envs.geometry import WALL_HEIGHT
from envs.layout import Layout
from envs.scene import Scene

PARALLEL_FROM = 16  # frames; fewer are rendered on the calling thread only

_SNAP = 256.0  # steps per pixel
_TIE = 1e-7  # pixels; less than the smallest distance between a sample and an edge
_NEAR = 0.04  # Miniworld's near plane, cells
_CHUNK = 8  # frames per task of a thread
_THREADS = threading.Lock()  # numba's threads serve one caller; another one meanwhile renders on its own thread
if hasattr(os, "register_at_fork"):  # and a forked process has none: there the lock is never free
    os.register_at_fork(after_in_child=partial(_THREADS.acquire, blocking=False))
    if isinstance(current_process(), get_context("fork").Process):  # which began before this line was reached
        _THREADS.acquire()


class Raycaster:
    """Renders what the camera sees for many poses in one call; size and field of view are those of `Camera`.

    The first call in a new installation compiles for a few seconds; the machine code is cached next to the source.
    """

    def __init__(self, layout: Layout, size: int = 32, fov_degrees: float = 90.0):
        self.size = Camera(size, fov_degrees).size
        self._scene = Scene.of(layout, size, fov_degrees)

    def render(
        self,
        pose: Int16[np.ndarray, "n 4"],
        jitter: Float32[np.ndarray, "n 3"],
        out: UInt8[np.ndarray, "n s s 3"] | None = None,
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """Render one frame per pose.

        Args:
            pose: x, y, heading and mode (which is not visible).
            jitter: the camera's displacement dx, dy in cells from the centre of its cell, and yaw in radians
                (positive turns right).
            out: C-contiguous array for the frames; a new one by default.

        Returns:
            RGB frames, row 0 at the top.

        Raises:
            ValueError: if a camera is not inside a free cell, or `out` has another shape.
        """
        shape = (len(pose), self.size, self.size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous and of shape {shape}, got {out.shape}: pass such an array")
        frames = out.reshape(len(pose), self.size, 3 * self.size)
        if len(pose) >= PARALLEL_FROM and _THREADS.acquire(blocking=False):
            try:
                blocked = _draw_parallel(pose, jitter, self._scene, frames)
            finally:
                _THREADS.release()
        else:
            blocked = _draw(pose, jitter, self._scene, frames)
        if blocked >= 0:
            raise ValueError(
                f"a camera must be inside a free cell, got pose {pose[blocked].tolist()} "
                f"with jitter {jitter[blocked].tolist()}: use poses of this layout and less position jitter"
            )
        return out


@numba.njit(cache=CACHE, parallel=True)
def _draw_parallel(pose, jitter, scene, frames):
    """Render all frames on all threads; the index of a camera that is not in a free cell, or -1."""
    n = len(pose)
    blocked = -1
    for chunk in numba.prange((n + _CHUNK - 1) // _CHUNK):
        begin, end = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
        row = _draw(pose[begin:end], jitter[begin:end], scene, frames[begin:end])
        blocked = max(blocked, begin + row if row >= 0 else -1)
    return blocked


@numba.njit(cache=CACHE)
def _draw(pose, jitter, scene, frames):
    """Render all frames on one thread; the first index of a camera that is not in a free cell, or -1."""
    size = frames.shape[1]
    seen, first, end = np.empty(4 * size, np.int32), np.empty(4 * size, np.int32), np.empty(4 * size, np.int32)
    top, bottom, wall = np.empty(3 * size, np.int16), np.empty(3 * size, np.int16), np.empty(3 * size, np.uint8)
    bundles, walls = np.empty((4 * size, 4), np.int64), np.empty((4 * size, 4), np.int64)
    height, width = scene.at.shape
    for i in range(len(pose)):
        x, y = pose[i, 0] + 0.5 + jitter[i, 0], pose[i, 1] + 0.5 + jitter[i, 1]
        angle = pose[i, 2] * (math.pi / 2) + jitter[i, 2]
        if not (0 <= x < width and 0 <= y < height and scene.at[int(y), int(x)] >= 0 and math.isfinite(angle)):
            return i
        camera = _camera(x, y, angle, size, scene.scale)
        room, ahead = scene.at[int(y), int(x)], math.floor(angle / (math.pi / 2) + 0.5) % 4
        number = _look(camera, room, ahead, scene.corners, scene.beyond, bundles, walls)
        _measure(walls, number, camera, scene.corners, scene.x, scene.y, seen, first, end)
        _join(scene.colour, scene.blend, seen, first, end, top, bottom, wall)
        _fill(scene.ceiling_row, top, wall, bottom, scene.floor_row, frames[i])
        _draw_edges(scene.blend, scene.ceiling, scene.colour, scene.floor, seen, first, end, top, bottom, frames[i])
    return -1


@numba.njit(cache=CACHE, error_model="numpy")
def _look(camera, room, ahead, corners, beyond, bundles, ends):
    """Follow all rays: write one row of `ends` per bundle that meets a wall, and return their number.

    A row of `bundles` or `ends` is (room, side, begin, stop): sub-columns [begin, stop) leave the room by that side.
    """
    columns = int(8 * camera.centre)
    # In the camera's own room, rays on the far left and right may even meet the side behind it.
    begin, stop = 0, columns
    left, right = _transform(corners, room, ahead, camera), _transform(corners, room, (ahead + 3) % 4, camera)
    if left[1] > _NEAR:
        begin = _column(left, camera)
    if right[1] > _NEAR:
        stop = _column(right, camera)
    waiting = _add(bundles, 0, room, (ahead + 2) % 4, 0, begin)
    waiting = _add(bundles, waiting, room, (ahead + 2) % 4, stop, columns)
    waiting = _split(bundles, waiting, room, ahead, begin, stop, camera, corners)
    ended = 0
    while waiting > 0:
        waiting -= 1
        room, side, begin, stop = bundles[waiting, 0], bundles[waiting, 1], bundles[waiting, 2], bundles[waiting, 3]
        following = beyond[room, side]
        if following >= 0:
            waiting = _split(bundles, waiting, following, side, begin, stop, camera, corners)
        else:
            ended = _add(ends, ended, room, side, begin, stop)
    return ended


@numba.njit(cache=CACHE)
def _split(bundles, waiting, room, ahead, begin, stop, camera, corners):
    """Split a bundle by the side where it leaves a room: left, ahead or right; the new number waiting."""
    left = _column(_transform(corners, room, (ahead + 1) % 4, camera), camera)
    right = _column(_transform(corners, room, (ahead + 2) % 4, camera), camera)
    left = min(max(left, begin), stop)
    right = min(max(right, left), stop)
    waiting = _add(bundles, waiting, room, (ahead + 3) % 4, begin, left)
    waiting = _add(bundles, waiting, room, ahead, left, right)
    return _add(bundles, waiting, room, (ahead + 1) % 4, right, stop)


@numba.njit(cache=CACHE)
def _add(bundles, number, room, side, begin, stop):
    """Add a bundle if it has rays; the new number of bundles."""
    if begin >= stop:
        return number
    bundles[number, 0], bundles[number, 1], bundles[number, 2], bundles[number, 3] = room, side, begin, stop
    return number + 1


@numba.njit(cache=CACHE)
def _measure(walls, number, camera, corners, x, y, seen, first, end):
    """For each sub-column, find the wall it sees and the rows [first, end) whose samples the wall covers."""
    size = len(x) // 4
    for i in range(number):
        room, side, begin, stop = walls[i, 0], walls[i, 1], np.uint64(walls[i, 2]), np.uint64(walls[i, 3])
        left = _transform(corners, room, (side + 1) % 4, camera)
        right = _transform(corners, room, (side + 2) % 4, camera)
        slope, height = _upper_edge(left, right, camera)
        # As in llvmpipe, a sample on an edge belongs to the wall if it is a left edge or a level lower edge.
        upper = size / 2 + height + (_TIE if slope > 0 else -_TIE)
        lower = 3 * size / 2 - height - (_TIE if slope >= 0 else -_TIE)
        for j in range(begin, stop):  # unsigned indices skip numba's check for negative ones
            # The samples of row r are at r + y. Truncation rounds down only positive numbers: hence the sums.
            seen[j] = 4 * room + side
            first[j] = size - np.int32(min(max(0.0, upper + y[j] + slope * x[j]), size + 0.5))
            end[j] = 2 * size - np.int32(max(float(size), min(2.0 * size, lower + y[j] - slope * x[j])))


class _Camera(NamedTuple):
    """The transform from the map to a frame, in OpenGL's precision."""

    cos: np.float32
    sin: np.float32
    shift_right: np.float32
    shift_depth: np.float32
    centre: float  # pixels
    scale: float


@numba.njit(cache=CACHE)
def _camera(x, y, angle, size, scale):
    cos, sin, x, y = np.float32(math.cos(angle)), np.float32(math.sin(angle)), np.float32(x), np.float32(y)
    length = np.float32(math.sqrt(cos * cos + sin * sin))  # gluLookAt normalises
    cos, sin = cos / length, sin / length
    return _Camera(cos, sin, sin * x - cos * y, -(cos * x + sin * y), size / 2, scale)


@numba.njit(cache=CACHE)
def _transform(corners, room, corner, camera):
    """A corner's distance to the right of the camera and ahead of it, in cells; rounded as in OpenGL."""
    x, y = np.float32(corners[room, corner, 0]), np.float32(corners[room, corner, 1])
    right = y * camera.cos - x * camera.sin + camera.shift_right
    depth = x * camera.cos + y * camera.sin + camera.shift_depth
    return float(right), float(depth)


@numba.njit(cache=CACHE, error_model="numpy")
def _column(corner, camera):
    """The first sub-column at or right of a corner; for a corner behind the camera, the edge of the screen."""
    right, depth = corner
    if depth < _NEAR:
        return 0 if right < 0 else int(8 * camera.centre)
    pixels = _snap(min(max(camera.centre + right / (depth * camera.scale), 0.0), 2 * camera.centre))
    return math.ceil(4 * pixels - 0.5)


@numba.njit(cache=CACHE, error_model="numpy")
def _upper_edge(left_corner, right_corner, camera):
    """A wall's clipped and snapped upper edge: slope and height, with height + slope * column above the centre."""
    (left, left_depth), (right, right_depth), centre = left_corner, right_corner, camera.centre
    if right_depth < _NEAR and left_depth < _NEAR:  # the camera touches the wall
        right_depth, left_depth = _NEAR, _NEAR
    elif right_depth < _NEAR:
        right += (_NEAR - right_depth) / (left_depth - right_depth) * (left - right)
        right_depth = _NEAR
    elif left_depth < _NEAR:
        left += (_NEAR - left_depth) / (right_depth - left_depth) * (right - left)
        left_depth = _NEAR
    left_scale, right_scale = 1 / (left_depth * camera.scale), 1 / (right_depth * camera.scale)
    left, right = centre + left * left_scale, centre + right * right_scale
    high_left, high_right = WALL_HEIGHT / 2 * left_scale, WALL_HEIGHT / 2 * right_scale
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
    return slope, high_left - slope * left


@numba.njit(cache=CACHE)
def _snap(pixels):
    return math.floor(pixels * _SNAP + 0.5) / _SNAP


@numba.njit(cache=CACHE)
def _join(colour, blend, seen, first, end, top, bottom, wall):
    """For each byte of a row, find the rows [top, bottom) where all four samples are wall, and their mean there."""
    for px in range(len(wall) // 3):
        i, j = 3 * px, 4 * px
        begin = max(max(first[j], first[j + 1]), max(first[j + 2], first[j + 3]))
        stop = min(min(end[j], end[j + 1]), min(end[j + 2], end[j + 3]))
        top[i], top[i + 1], top[i + 2] = begin, begin, begin
        bottom[i], bottom[i + 1], bottom[i + 2] = stop, stop, stop
        a, b, c, d = seen[j], seen[j + 1], seen[j + 2], seen[j + 3]
        if a == d:
            wall[i], wall[i + 1], wall[i + 2] = blend[a, 0, 4, 0], blend[a, 0, 4, 1], blend[a, 0, 4, 2]
        else:
            for rgb in range(3):
                wall[i + rgb] = _quarter(colour[a, rgb] + colour[b, rgb] + colour[c, rgb] + colour[d, rgb])


@numba.njit(cache=CACHE)
def _quarter(total):
    """The mean of four samples, rounded to a byte."""
    return np.uint8(total * np.float32(0.25) + np.float32(0.5))


@numba.njit(cache=CACHE)
def _fill(ceiling, top, wall, bottom, floor, frame):
    """Render the pixels whose four samples are all ceiling, all wall or all floor."""
    for r in range(len(frame)):
        row, at = frame[r], np.int16(r)
        for b in range(len(wall)):  # loads before branches, so that the compiler vectorises the loop
            above, middle, below, begin, end = ceiling[b], wall[b], floor[b], top[b], bottom[b]
            lower = middle if at < end else below
            row[b] = above if at < begin else lower


@numba.njit(cache=CACHE)
def _draw_edges(blend, ceiling, colour, floor, seen, first, end, top, bottom, frame):
    """Render the pixels with mixed samples, above `top` and below `bottom`."""
    for px in range(len(frame)):
        i, j, wall = 3 * px, 4 * px, seen[4 * px]
        a, b, c, d = first[j], first[j + 1], first[j + 2], first[j + 3]
        e, f, g, h = end[j], end[j + 1], end[j + 2], end[j + 3]
        begin, upper = min(min(a, b), min(c, d)), int(top[i])
        lower, stop = max(upper, int(bottom[i])), max(max(e, f), max(g, h))
        if wall == seen[j + 3] and upper <= bottom[i]:  # one wall
            for r in range(begin, upper):
                n = (r >= a) + (r >= b) + (r >= c) + (r >= d)
                for rgb in range(3):
                    frame[r, i + rgb] = blend[wall, 0, n, rgb]
            for r in range(lower, stop):
                n = (r < e) + (r < f) + (r < g) + (r < h)
                for rgb in range(3):
                    frame[r, i + rgb] = blend[wall, 1, n, rgb]
        else:
            for r in range(begin, upper):
                _draw_mixed(ceiling, colour, floor, seen, first, end, r, px, frame)
            for r in range(lower, stop):
                _draw_mixed(ceiling, colour, floor, seen, first, end, r, px, frame)


@numba.njit(cache=CACHE)
def _draw_mixed(ceiling, colour, floor, seen, first, end, r, px, frame):
    """Render the pixel in row r and column px as the mean of its four samples."""
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
