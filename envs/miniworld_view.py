"""The reference view: Miniworld renders through OpenGL what `envs.raycast.Raycaster` imitates.

It needs the extra `miniworld` and the OpenGL libraries, but no display.
"""

import math
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from envs.camera import Camera
from envs.extras import MissingDependency, import_extra
from envs.layout import Layout

if TYPE_CHECKING:
    from envs.miniworld_env import MiniworldMaze

GL_PACKAGES = ("libegl1", "libgl1", "libglu1-mesa", "libfreetype6")


class MiniworldView:
    """Renders what the camera sees with Miniworld, one pose at a time; see `Raycaster` and `make_env`.

    An OpenGL context belongs to the thread and process that created it; elsewhere it would silently render garbage.
    """

    def __init__(self, layout: Layout, size: int = 32, fov_degrees: float = 90.0):
        self.size = Camera(size, fov_degrees).size
        self._owner = os.getpid(), threading.get_ident()
        self._env = make_env(layout, size, fov_degrees)

    def render(
        self,
        pose: Int16[np.ndarray, "n 4"],
        jitter: Float32[np.ndarray, "n 3"],
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """As in `Raycaster.render`; raises a RuntimeError in another thread or a forked process."""
        if self._owner != (os.getpid(), threading.get_ident()):
            raise RuntimeError("a MiniworldView renders only in the process and thread that made it: make one in each")
        out = np.empty((len(pose), self.size, self.size, 3), np.uint8)
        for i, ((x, y, heading, _), (dx, dy, yaw)) in enumerate(zip(pose.tolist(), jitter.tolist(), strict=True)):
            out[i] = self._env.look(x + 0.5 + dx, y + 0.5 + dy, heading * math.pi / 2 + yaw)
        return out

    def close(self) -> None:
        """Free the OpenGL context."""
        self._env.close()


def make_env(layout: Layout, size: int = 32, fov_degrees: float = 90.0) -> "MiniworldMaze":
    """The maze as a headless `MiniWorldEnv`.

    Raises:
        MissingDependency: if Miniworld or the OpenGL libraries are missing; the message says how to install them.
    """
    os.environ.setdefault("PYGLET_HEADLESS", "1")  # read when pyglet is imported
    os.environ.setdefault("LP_NUM_THREADS", "0")  # llvmpipe's threads break after a fork and do not help small frames
    try:
        module = import_extra("envs.miniworld_env", "miniworld", "the miniworld view")
        return module.MiniworldMaze(layout, size, fov_degrees)
    except MissingDependency:
        raise
    except ImportError as error:  # raised by pyglet for a shared library
        raise MissingDependency(
            f"the miniworld view needs OpenGL libraries ({error}): apt-get install {' '.join(GL_PACKAGES)}, "
            "or use the raycast view, which needs none"
        ) from error
