"""One number of threads for torch and numba."""

import numba
import numpy as np
import torch

from agent.threads import threads
from envs.layout import Layout
from envs.raycast import Raycaster


def test_drawing_frames_leaves_the_number_of_threads():
    # numba and torch share OpenMP: without this, drawing would hand torch numba's threads, and rounding would change
    raycaster = Raycaster(Layout.paper())
    pose, jitter = np.array([[8, 1, 0, 0]] * 8, np.int16), np.zeros((8, 3), np.float32)
    before = torch.get_num_threads(), numba.get_num_threads()
    with threads(1):
        raycaster.render(pose, jitter)
        assert torch.get_num_threads() == 1
    assert (torch.get_num_threads(), numba.get_num_threads()) == before
