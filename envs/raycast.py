"""The default view: a batched raycaster that draws the pictures of the Miniworld view without OpenGL.

Every pixel column is cut into four sub-columns at the x offsets of the four samples that Mesa's llvmpipe takes of a
pixel; each sub-column casts one ray through the map (digital differential analysis, Amanatides and Woo 1987) and
reads its four-sample neighbours at that sample's own height. So a pixel is the mean of the same four samples as in
OpenGL, and the two views agree on nearly every pixel (`envs/parity.py` measures it).
"""

import math

import numba
import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.layout import Layout
from envs.palette import CEILING, CEILING_LIGHT, FLOOR, FLOOR_LIGHT, WALL_LIGHT, shaded

WALL_HEIGHT = 1.0  # cells; the camera is at half of it
PARALLEL_FROM = 16  # frames; fewer are drawn on the calling thread, which also keeps forked processes safe

# Samples of a pixel by their distance from its left and from its top edge (llvmpipe's positions, sorted by x).
_SAMPLE_X = (0.125, 0.375, 0.625, 0.875)
_SAMPLE_Y = (0.375, 0.875, 0.125, 0.625)
# llvmpipe snaps corners to 1/256 pixel: faces begin half a step early.
_SNAP = 1 / 512


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
        self._tan = np.float32(math.tan(math.radians(fov_degrees) / 2))
        self._free = layout.free
        self._faces = shaded(layout.picture[:, :, None], WALL_LIGHT[:, None]).astype(np.float32)  # (h, w, side, RGB)
        self._ceiling = shaded(CEILING, CEILING_LIGHT).astype(np.float32)
        self._floor = shaded(FLOOR, FLOOR_LIGHT).astype(np.float32)

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
            raise ValueError(
                f"out must be a C-contiguous array of shape {shape}, got shape {out.shape}: pass such a one"
            )
        draw = _draw_parallel if len(pose) >= PARALLEL_FROM else _draw
        blocked = draw(pose, jitter, self._free, self._faces, self._ceiling, self._floor, self._tan, out)
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


@numba.njit(cache=True, error_model="numpy")
def _cast(ox, oy, dir_x, dir_y, free):
    """The wall cell that a ray from (ox, oy) hits, the free cell before it, and the side (E S W N) it shows."""
    mx, my = int(ox), int(oy)
    step_x, step_y = (1 if dir_x > 0 else -1), (1 if dir_y > 0 else -1)
    delta_x, delta_y = abs(np.float32(1) / dir_x), abs(np.float32(1) / dir_y)
    next_x = (mx + 1 - ox if dir_x > 0 else ox - mx) * delta_x
    next_y = (my + 1 - oy if dir_y > 0 else oy - my) * delta_y
    while True:
        if next_x < next_y:
            mx += step_x
            if not free[my, mx]:
                return mx, my, mx - step_x, my, 1 + step_x
            next_x += delta_x
        else:
            my += step_y
            if not free[my, mx]:
                return mx, my, mx, my - step_y, 2 + step_y
            next_y += delta_y


@numba.njit(cache=True, error_model="numpy")
def _draw_frame(pose, jitter, free, faces, ceiling, floor, tan, first, end, colour, image):
    """Draw one frame."""
    size = image.shape[0]
    half = np.float32(size / 2)
    ox = np.float32(pose[0] + 0.5 + jitter[0])
    oy = np.float32(pose[1] + 0.5 + jitter[1])
    if not (0 <= ox < free.shape[1] and 0 <= oy < free.shape[0] and free[int(oy), int(ox)]):
        return False
    angle = pose[2] * (math.pi / 2) + jitter[2]
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    scale = tan / half
    for px in range(size):
        for k in range(4):
            u = (np.float32(px + _SAMPLE_X[k]) - half) * scale
            v = u + np.float32(_SNAP) * scale
            mx, my, fx, fy, side = _cast(ox, oy, c - s * v, s + c * v, free)
            if side == 0 or side == 2:
                depth = (np.float32(mx if mx > fx else fx) - ox) / (c - s * u)
            else:
                depth = (np.float32(my if my > fy else fy) - oy) / (s + c * u)
            rows = np.float32(WALL_HEIGHT / 2) / (depth * scale)
            column = 4 * px + k
            first[column] = max(0, math.ceil(half - rows - np.float32(_SAMPLE_Y[k])))
            end[column] = min(size, math.ceil(half + rows - np.float32(_SAMPLE_Y[k])))
            for b in range(3):
                colour[column, b] = faces[fy, fx, side, b]
    for px in range(size):
        for r in range(size):
            for b in range(3):
                total = np.float32(0)
                for k in range(4):
                    column = 4 * px + k
                    if r < first[column]:
                        total += ceiling[b]
                    elif r < end[column]:
                        total += colour[column, b]
                    else:
                        total += floor[b]
                image[r, px, b] = np.uint8(total * np.float32(0.25) + np.float32(0.5))
    return True


@numba.njit(cache=True)
def _draw(pose, jitter, free, faces, ceiling, floor, tan, out):
    first = np.empty(4 * out.shape[1], np.int32)
    end = np.empty(4 * out.shape[1], np.int32)
    colour = np.empty((4 * out.shape[1], 3), np.float32)
    for i in range(len(pose)):
        if not _draw_frame(pose[i], jitter[i], free, faces, ceiling, floor, tan, first, end, colour, out[i]):
            return i
    return -1


_draw_parallel = _draw
