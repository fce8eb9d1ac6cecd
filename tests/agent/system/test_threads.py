"""One number of threads for torch and numba."""

import subprocess
import sys

import numba
import torch

from agent.system.threads import threads

FRESH = """
import numpy as np, torch
from agent.system.threads import set_threads
from envs.layout import Layout
from envs.raycast import Raycaster
set_threads(1)
Raycaster(Layout.paper()).render(np.array([[8, 1, 0, 0]] * 8, np.int16), np.zeros((8, 3), np.float32))
print(torch.get_num_threads())
"""


def test_drawing_the_first_frames_leaves_the_number_of_threads():
    # numba starts its threads then, with OpenMP, which torch asks how many to use: rounding would change
    output = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    assert output.stdout == "1\n"


def test_numbers_are_as_before_after_the_block():
    numbers = numba.get_num_threads(), torch.get_num_threads()
    with threads(1):
        assert (numba.get_num_threads(), torch.get_num_threads()) == (1, 1)
    assert (numba.get_num_threads(), torch.get_num_threads()) == numbers
