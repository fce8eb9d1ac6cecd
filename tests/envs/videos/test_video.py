"""What all data sets of videos have in common."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from envs.videos import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_arrays_have_the_types_and_shapes_of_the_fields(name):
    video = DATASETS[name]
    arrays = video.generate(np.random.default_rng(0), 3, 7)
    assert {key: (array.dtype, array.shape[2:]) for key, array in arrays.items()} == video.fields
    assert all(array.shape[:2] == (3, 7) for array in arrays.values())
    assert video.identity == video


DRAW = """
import hashlib, numpy as np
from envs.videos import DATASETS
for name, video in DATASETS.items():
    arrays = video.generate(np.random.default_rng(3), 2, 20, 1)
    print(name, hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest())
"""


def test_another_process_draws_the_same():
    printed = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True).stdout.split()
    for name, digest in zip(printed[::2], printed[1::2], strict=True):
        arrays = DATASETS[name].generate(np.random.default_rng(3), 2, 20, 1)
        assert hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest() == digest, name
    assert printed[::2] == list(DATASETS)
