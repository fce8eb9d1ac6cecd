"""The reference view: the same picture as the raycaster's, drawn by Miniworld through OpenGL.

Needs the extra `miniworld` and OpenGL libraries, but no display. The default view, `envs.raycast.Raycaster`, needs
none of these.
"""

import math
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.camera import check_camera
from envs.extras import MissingDependency, import_extra
from envs.layout import Layout

if TYPE_CHECKING:
    from envs.miniworld_env import MiniworldMaze

GL_PACKAGES = ("libegl1", "libgl1", "libglu1-mesa", "libfreetype6")


class MiniworldView:
    """Draws what the camera sees, with Miniworld, one pose after the other.

    An OpenGL context belongs to the thread and the process that made it; elsewhere it would silently draw nonsense.

    Args:
        layout: the maze.
        size: height and width of a frame in pixels.
        fov_degrees: field of view, the same vertically and horizontally, in degrees.

    Raises:
        ValueError: if the size or the field of view makes no picture.
        MissingDependency: if Miniworld or OpenGL libraries are missing; the message says how to install them.
    """

    def __init__(self, layout: Layout, size: int = 32, fov_degrees: float = 90.0):
        check_camera(size, fov_degrees)
        self.layout, self.size = layout, size
        self._owner = os.getpid(), threading.get_ident()
        self._env = make_env(layout, size, fov_degrees)

    def render(
        self,
        pose: Int16[np.ndarray, "n 4"],
        jitter: Float32[np.ndarray, "n 3"],
        out: UInt8[np.ndarray, "n s s 3"] | None = None,
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """Draw one frame a pose; the arguments and the result are those of `Raycaster.render`.

        Raises:
            RuntimeError: if called from another thread or a forked process.
        """
        if self._owner != (os.getpid(), threading.get_ident()):
            raise RuntimeError("a MiniworldView draws only in the process and thread that made it: make one in each")
        if out is None:
            out = np.empty((len(pose), self.size, self.size, 3), np.uint8)
        for i, ((x, y, heading, _), (dx, dy, yaw)) in enumerate(zip(pose.tolist(), jitter.tolist(), strict=True)):
            out[i] = self._env.look(x + 0.5 + dx, y + 0.5 + dy, heading * math.pi / 2 + yaw)
        return out

    def close(self) -> None:
        """Free the OpenGL context."""
        self._env.close()


def make_env(layout: Layout, size: int = 32, fov_degrees: float = 90.0) -> "MiniworldMaze":
    """The maze as a `MiniWorldEnv`, headless.

    Raises:
        MissingDependency: if Miniworld or OpenGL libraries are missing; the message says how to install them.
    """
    os.environ.setdefault("PYGLET_HEADLESS", "1")  # read when pyglet is imported
    os.environ.setdefault("LP_NUM_THREADS", "0")  # llvmpipe's threads do not survive a fork, nor help small frames
    try:
        return import_extra("envs.miniworld_env", "miniworld", "the miniworld view").MiniworldMaze(
            layout, size, fov_degrees
        )
    except MissingDependency:
        raise
    except ImportError as error:  # pyglet's, for a shared library
        raise MissingDependency(
            f"the miniworld view needs OpenGL libraries ({error}): apt-get install {' '.join(GL_PACKAGES)}, "
            "or use the raycast view, which needs none"
        ) from error
