"""What all readers share: clips of a run of frames, and frames resized by area."""

import numpy as np
import pytest

from agent.data.readers.reader import windows
from envs.pictures import area_average


@pytest.mark.parametrize(("height", "width"), [(120, 160), (84, 84), (64, 64)])
def test_resizing_averages_areas(height, width):
    """Pixels of the two sizes are made of one fine grid's, exactly."""
    frame = np.random.default_rng(0).integers(256, size=(2, height, width), dtype=np.uint8)
    rows, columns = np.lcm(height, 64), np.lcm(width, 64)
    fine = frame.repeat(rows // height, 1).repeat(columns // width, 2).astype(float)
    mean = fine.reshape(2, 64, rows // 64, 64, columns // 64).mean((2, 4))
    assert abs(area_average(frame, 64) - mean).max() <= 0.5 + 1e-9


def test_clips_follow_each_other_within_their_run():
    assert list(windows(5, 16, 4)) == [5, 9, 13]
    assert list(windows(5, 15, 4)) == [5, 9]
    assert not windows(5, 7, 4)
