"""The default view: a batched raycaster that draws the pictures of the Miniworld view without OpenGL.

OpenGL (Mesa's llvmpipe) clips every wall to the view volume, snaps the corners to 1/256 pixel and takes the mean of
four samples per pixel. This file does the same column by column: the four samples of a pixel have x offsets of their
own, so a frame n pixels wide has 4 n sub-columns, each with a ray. Rays that leave a room by the same side stay
together: from the camera's room on, bundles of rays are split where they meet a room's corners and followed through
its openings ("portals", Luebke and Georges 1995), until each bundle ends at a wall. The wall's clipped and snapped
edges say how far it reaches up and down. Nearly every pixel comes out as in OpenGL (`envs/parity.py` measures it).
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.camera import check_camera
from envs.geometry import WALL_HEIGHT
from envs.layout import Layout
from envs.scene import Scene

PARALLEL_FROM = 16  # frames; fewer are drawn on the calling thread alone, which also keeps forked processes safe

_SNAP = 256.0  # steps per pixel
_TIE = 1e-7  # pixels; less than a sample and an edge can differ by without being equal
_NEAR = 0.04  # near plane of Miniworld, cells
_CHUNK = 8  # frames that one thread draws in a row


class Raycaster:
    """Draws what the camera sees, for many poses in one call.

    The first call in a new installation compiles for some seconds; the machine code is cached next to the source.

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
        self._scene = Scene.of(layout, size, fov_degrees)

    def render(
        self,
        pose: Int16[np.ndarray, "n 4"],
        jitter: Float32[np.ndarray, "n 3"],
        out: UInt8[np.ndarray, "n s s 3"] | None = None,
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """Draw one frame per pose.

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


@numba.njit(cache=True, error_model="numpy")
def _look(camera, room, ahead, corners, beyond, bundles, ends):
    """Follow all rays; `ends` gets a row for every bundle at its wall, and their number is returned.

    A row of `bundles` and `ends` says which sub-columns [begin, stop) leave a room by a side: room, side, begin, stop.
    """
    columns = int(8 * camera.centre)
    # In the camera's own room, rays far to the left and right may even meet the side behind it.
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


@numba.njit(cache=True)
def _split(bundles, waiting, room, ahead, begin, stop, camera, corners):
    """Split a bundle that goes through a room by the sides it leaves by: left, ahead, right; the new number waiting."""
    left = _column(_transform(corners, room, (ahead + 1) % 4, camera), camera)
    right = _column(_transform(corners, room, (ahead + 2) % 4, camera), camera)
    left = min(max(left, begin), stop)
    right = min(max(right, left), stop)
    waiting = _add(bundles, waiting, room, (ahead + 3) % 4, begin, left)
    waiting = _add(bundles, waiting, room, ahead, left, right)
    return _add(bundles, waiting, room, (ahead + 1) % 4, right, stop)


@numba.njit(cache=True)
def _add(bundles, number, room, side, begin, stop):
    """Add a bundle if there are rays in it; the new number of bundles."""
    if begin >= stop:
        return number
    bundles[number, 0], bundles[number, 1], bundles[number, 2], bundles[number, 3] = room, side, begin, stop
    return number + 1


@numba.njit(cache=True)
def _measure(walls, number, camera, corners, x, y, seen, first, end):
    """For all sub-columns: note the wall that they see, and the rows [first, end) whose samples it covers."""
    size = len(x) // 4
    for i in range(number):
        room, side, begin, stop = walls[i, 0], walls[i, 1], np.uint64(walls[i, 2]), np.uint64(walls[i, 3])
        left = _transform(corners, room, (side + 1) % 4, camera)
        right = _transform(corners, room, (side + 2) % 4, camera)
        slope, height = _upper_edge(left, right, camera)
        # Ties: like llvmpipe, a wall has the samples on its left edges, and on level edges those on the lower one.
        upper = size / 2 + height + (_TIE if slope > 0 else -_TIE)
        lower = 3 * size / 2 - height - (_TIE if slope >= 0 else -_TIE)
        for j in range(begin, stop):  # unsigned indices need no check for negative ones
            # The samples of row r are at r + y. Truncation rounds down, and only positive numbers: hence the sums.
            seen[j] = 4 * room + side
            first[j] = size - np.int32(min(max(0.0, upper + y[j] + slope * x[j]), size + 0.5))
            end[j] = 2 * size - np.int32(max(float(size), min(2.0 * size, lower + y[j] - slope * x[j])))


class _Camera(NamedTuple):
    """What a frame's camera needs to see a corner, in OpenGL's precision."""

    cos: np.float32
    sin: np.float32
    shift_right: np.float32
    shift_depth: np.float32
    centre: float  # pixels
    scale: float


@numba.njit(cache=True)
def _camera(x, y, angle, size, scale):
    cos, sin, x, y = np.float32(math.cos(angle)), np.float32(math.sin(angle)), np.float32(x), np.float32(y)
    length = np.float32(math.sqrt(cos * cos + sin * sin))  # gluLookAt normalises
    cos, sin = cos / length, sin / length
    return _Camera(cos, sin, sin * x - cos * y, -(cos * x + sin * y), size / 2, scale)


@numba.njit(cache=True)
def _transform(corners, room, corner, camera):
    """How far right of the camera and how far before it a corner is, cells; rounded as in OpenGL."""
    x, y = np.float32(corners[room, corner, 0]), np.float32(corners[room, corner, 1])
    right = y * camera.cos - x * camera.sin + camera.shift_right
    depth = x * camera.cos + y * camera.sin + camera.shift_depth
    return float(right), float(depth)


@numba.njit(cache=True, error_model="numpy")
def _column(corner, camera):
    """The first sub-column at or right of a corner on the screen; of a corner behind the camera, the screen's edge."""
    right, depth = corner
    if depth < _NEAR:
        return 0 if right < 0 else int(8 * camera.centre)
    pixels = _snap(min(max(camera.centre + right / (depth * camera.scale), 0.0), 2 * camera.centre))
    return math.ceil(4 * pixels - 0.5)


@numba.njit(cache=True, error_model="numpy")
def _upper_edge(left_corner, right_corner, camera):
    """A wall's upper edge on the screen, clipped and snapped: its height over the middle is height + slope * column."""
    (left, left_depth), (right, right_depth), centre = left_corner, right_corner, camera.centre
    if right_depth < _NEAR and left_depth < _NEAR:  # a wall at the tip of the nose
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


@numba.njit(cache=True)
def _snap(pixels):
    return math.floor(pixels * _SNAP + 0.5) / _SNAP


@numba.njit(cache=True)
def _join(colour, blend, seen, first, end, top, bottom, wall):
    """For every byte of a row: the rows [top, bottom) where all four samples are wall, and their mean there."""
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
def _draw_edges(blend, ceiling, colour, floor, seen, first, end, top, bottom, frame):
    """Draw the pixels whose samples do not agree: upwards of `top` and downwards of `bottom`."""
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


@numba.njit(cache=True)
def _draw_mixed(ceiling, colour, floor, seen, first, end, r, px, frame):
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
