"""Rows of frames as one image."""

import numpy as np

from agent.training.image_grid import GAP, START_COLOUR, stack, strip


def test_strip_lays_frames_side_by_side():
    frames = np.random.default_rng(0).integers(0, 200, (3, 6, 4, 3)).astype(np.uint8)
    picture = strip(frames)
    assert picture.shape == (6 + 2 * GAP, 3 * (4 + GAP) + GAP, 3)
    for number in range(3):
        left = GAP + number * (4 + GAP)
        assert np.array_equal(picture[GAP:-GAP, left : left + 4], frames[number])
        picture[GAP:-GAP, left : left + 4] = 255
    assert (picture == 255).all()  # the rest is white


def test_strip_frames_the_starts_in_red():
    frames = np.zeros((4, 6, 4, 3), np.uint8)
    picture = strip(frames, np.array([1.0, 0.0, 1.0, 1.0]))
    for number, red in enumerate([True, False, True, True]):
        left = GAP + number * (4 + GAP)
        above = picture[:GAP, left : left + 4]
        assert (above == (START_COLOUR if red else 255)).all()
        assert (picture[-GAP:, left : left + 4] == above).all()
        assert not picture[GAP:-GAP, left : left + 4].any()  # the frame itself is untouched
    gap = picture[GAP:-GAP, 4 + GAP : 4 + 2 * GAP]  # between the first and the second frame
    assert (gap == START_COLOUR).all()


def test_stack_pads_to_the_widest_strip():
    picture = stack([np.zeros((5, 7, 3), np.uint8), np.zeros((6, 9, 3), np.uint8)])
    assert picture.shape == (5 + 3 + 6 + 3, 9, 3)
    assert not picture[:5, :7].any()
    assert (picture[:5, 7:] == 255).all()
    assert (picture[5:8] == 255).all()
    assert not picture[8:14].any()
