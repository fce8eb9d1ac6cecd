"""Frames that Miniworld drew, kept so that the raycaster is held against them where there is no OpenGL.

`golden_frames.npz` holds pose (64, 4) int16, jitter (64, 3) float32 and frames (64, 32, 32, 3) uint8 of the paper's
layout. It was written by `python -m tests.support.golden_frames` with Miniworld 2.1.0, pyglet 1.5.31 and Mesa 22.3.6
(llvmpipe, LLVM 15.0.6, Debian 12, x86-64). It needs to be written anew only when the picture of the maze is changed on
purpose.
"""

from pathlib import Path

import numpy as np

from envs.camera import Camera
from envs.layout import Layout
from envs.miniworld_view import MiniworldView
from envs.parity import random_poses

PATH = Path(__file__).with_suffix(".npz")


def write() -> None:
    """Draw the frames and write them."""
    layout, camera = Layout.paper(), Camera()
    pose, jitter = random_poses(layout, 64, seed=2024, camera=camera)
    view = MiniworldView(layout, camera.size, camera.fov_degrees)
    np.savez_compressed(PATH, pose=pose, jitter=jitter, frames=view.render(pose, jitter))
    view.close()


if __name__ == "__main__":
    write()
