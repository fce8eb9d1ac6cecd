"""The maze as a Miniworld environment (Chevalier-Boisvert et al. 2023), the reference for our raycaster.

Import this module through `envs.miniworld_view`, which sets up headless OpenGL first.
"""

import contextlib
import io
from ctypes import byref
from typing import Any

import numpy as np
from jaxtyping import UInt8
from miniworld.miniworld import MiniWorldEnv, Room
from miniworld.params import DEFAULT_PARAMS
from pyglet import gl

from envs.geometry import WALL, WALL_HEIGHT, Rooms
from envs.layout import Layout
from envs.palette import CEILING, FLOOR, NORMALS


class MiniworldMaze(MiniWorldEnv):
    """The maze of a layout, one unit per cell: x east, y up, z south.

    One `step` moves by half a cell or turns by 90 degrees, with Miniworld's own dynamics, collisions and rendering.
    (Miniworld checks collisions only where a step ends: a step of a whole cell would end inside the walls.) There is no
    goal; the benchmark's environment is `JumpyMaze`, which can show these frames.
    """

    shadow_window: Any  # of the base class; None after `close`

    def __init__(self, layout: Layout, size: int = 32, fov_degrees: float = 90.0):
        # The base class resets in its __init__, which needs these two.
        self.layout = layout
        self._display_list: int | None = None
        params = DEFAULT_PARAMS.no_random()
        params.set("cam_fov_y", fov_degrees)
        params.set("cam_height", WALL_HEIGHT / 2)
        params.set("forward_step", 0.5)
        params.set("turn_step", 90)
        with contextlib.redirect_stdout(io.StringIO()):  # the base class prints its number of samples
            super().__init__(obs_width=size, obs_height=size, window_width=size, window_height=size, params=params)

    def look(self, x: float, y: float, angle: float) -> UInt8[np.ndarray, "s s 3"]:
        """The frame at (x, y) in cells; the angle is in radians, 0 is east, positive is clockwise."""
        self.agent.pos = np.array([x, 0.0, y])
        self.agent.dir = -angle
        return self.render_obs()

    def close(self) -> None:
        """Free the display list, the frame buffers and the OpenGL context."""
        if self.shadow_window is None:
            return
        self.shadow_window.switch_to()
        gl.glDeleteLists(self._display_list, 1)
        for buffer in (self.obs_fb, self.vis_fb):
            for frame_buffer in (buffer.multi_fbo, buffer.final_fbo):
                gl.glDeleteFramebuffers(1, byref(frame_buffer))
        self.shadow_window.close()
        self.shadow_window = None

    def _gen_world(self) -> None:
        self.rooms.append(_Maze(self.layout))
        y, x = np.argwhere(self.layout.free)[0]
        self.place_agent(pos=np.array([x + 0.5, 0.0, y + 0.5]), dir=0.0)

    # The base class renders every world through display list 1, which all its instances in a process share.

    def _render_static(self) -> None:
        self.shadow_window.switch_to()
        if self._display_list is None:
            self._display_list = gl.glGenLists(1)
        gl.glNewList(self._display_list, gl.GL_COMPILE)
        # The base class writes `light_pos + [1]`, which adds 1 to an array and leaves w = 0: a directional light.
        gl.glLightfv(gl.GL_LIGHT0, gl.GL_POSITION, (gl.GLfloat * 4)(*np.add(self.light_pos, 1)))
        gl.glLightfv(gl.GL_LIGHT0, gl.GL_AMBIENT, (gl.GLfloat * 4)(*self.light_ambient))
        gl.glLightfv(gl.GL_LIGHT0, gl.GL_DIFFUSE, (gl.GLfloat * 4)(*self.light_color))
        gl.glEnable(gl.GL_LIGHTING)
        gl.glEnable(gl.GL_LIGHT0)
        gl.glShadeModel(gl.GL_SMOOTH)
        gl.glEnable(gl.GL_COLOR_MATERIAL)
        gl.glColorMaterial(gl.GL_FRONT_AND_BACK, gl.GL_AMBIENT_AND_DIFFUSE)
        for room in self.rooms:
            room._render()
        gl.glEndList()

    def _render_world(self, frame_buffer, render_agent: bool) -> UInt8[np.ndarray, "h w 3"]:
        gl.glCallList(self._display_list)
        if render_agent:
            self.agent.render()
        return frame_buffer.resolve()


class _Maze(Room):
    """All walls, one floor and one ceiling as a single untextured room."""

    def __init__(self, layout: Layout):
        height, width = layout.shape
        outline = np.array([[width, height], [width, 0], [0, 0], [0, height]], float)
        super().__init__(outline, wall_height=WALL_HEIGHT)
        self._rooms = Rooms.of(layout)
        self._walls = np.argwhere(self._rooms.beyond == WALL)  # (walls, 2): room, side

    def _gen_static_data(self, params, rng) -> None:
        room, side = self._walls.T
        left, right = (
            np.insert(self._rooms.corners[room, (side + turn) % 4], 1, 0.0, axis=1)  # (walls, xyz)
            for turn in (1, 2)
        )
        up = np.array([0.0, WALL_HEIGHT, 0.0])
        self.wall_segs = np.stack([left, right], axis=1)
        self.wall_verts = np.stack([right, right + up, left + up, left], axis=1)  # counter-clockwise

    def _render(self) -> None:
        gl.glDisable(gl.GL_TEXTURE_2D)
        # Walls always hide the floor and the ceiling. With the 16-bit depth buffer, rounding would decide ties at
        # their edges.
        gl.glDepthMask(gl.GL_FALSE)
        gl.glBegin(gl.GL_QUADS)
        _quad(FLOOR, (0, 1, 0), self.outline)
        _quad(CEILING, (0, -1, 0), np.add(self.outline[::-1], [0, WALL_HEIGHT, 0]))
        gl.glEnd()
        gl.glDepthMask(gl.GL_TRUE)
        gl.glBegin(gl.GL_QUADS)
        for (room, side), corners in zip(self._walls, self.wall_verts, strict=True):
            _quad(self._rooms.colour[room], NORMALS[(side + 2) % 4], corners)
        gl.glEnd()


def _quad(colour, normal, corners) -> None:
    gl.glColor3f(*(colour / 255))
    gl.glNormal3f(*normal)
    for corner in corners:
        gl.glVertex3f(*corner)
