"""The palette keeps every face apart from every other one, and the shades are Miniworld's."""

import numpy as np
import pytest

from envs import palette
from tests.support import palette_search


def test_shades_by_hand():
    # The light comes from (1, 3.5, 1): |.| = sqrt(14.25) = 3.774917, so N . L is 0.264906 for faces towards east and
    # south, 0.927173 for the floor and not positive for the others. 0.65 + 0.7 * 0.264906 = 0.835435.
    assert pytest.approx([0.835435, 0.835435, 0.65, 0.65], abs=1e-6) == palette.WALL_LIGHT
    assert pytest.approx(1.299021, abs=1e-6) == palette.FLOOR_LIGHT
    assert palette.CEILING_LIGHT == 0.65
    assert np.rint(palette.shaded(palette.GREY, palette.WALL_LIGHT[0])).tolist() == [120, 120, 120]
    assert np.rint(palette.shaded(palette.FLOOR, palette.FLOOR_LIGHT)).tolist() == [52, 52, 52]


def test_hallway_colours_are_far_apart_after_five_bit_quantisation():
    # sqrt(41) levels of 8: about 51 of 255 between any two shades of two hallways, grey, floor, ceiling and black.
    assert palette.HALLWAY_COLOURS.shape == (72, 3)
    assert palette_search.smallest_distance(palette.HALLWAY_COLOURS[:36]) ** 2 >= 41 - 1e-9
    # Those of larger mazes: sqrt(17) levels, about 33 of 255.
    assert palette_search.smallest_distance(palette.HALLWAY_COLOURS) ** 2 >= 17 - 1e-9


def test_two_tones_tell_702_hallways_apart_in_either_order():
    tones = palette.TONES
    assert tones.shape == (702, 2, 3)
    assert (tones[:72, 0] == tones[:72, 1]).all()
    assert len({frozenset(map(tuple, pair)) for pair in tones.tolist()}) == 702
    # The tones of one hallway are of the colours that are at least sqrt(41) levels apart.
    first = {tuple(colour) for colour in palette.HALLWAY_COLOURS[:36].tolist()}
    assert {tuple(colour) for pair in tones[72:].tolist() for colour in pair} <= first


def test_smallest_distance_by_hand():
    # 200 shades to 130 and 167.09, levels 16 and 20; 240 to 156 and 200.5, levels 19 and 25: |20 - 19| = 1 in red.
    reds = np.array([[200, 0, 0], [240, 0, 0]], np.uint8)
    assert palette_search.smallest_distance(reds) == 1.0


def test_surroundings_differ_from_each_other():
    levels = palette_search.fixed_levels()
    gaps = np.diff(np.sort(levels[:, 0]))
    assert (gaps >= 4).all()


def test_shades_stay_away_from_rounding_ties():
    for colours in (palette.HALLWAY_COLOURS, palette.GREY[None]):
        assert palette_search.safe_levels(np.unique(colours)).all()
    for colour, light in ((palette.FLOOR, palette.FLOOR_LIGHT), (palette.CEILING, palette.CEILING_LIGHT)):
        assert abs(palette.shaded(colour, light)[0] % 1 - 0.5) > 0.04


def test_search_gives_the_committed_palette():
    found = palette_search.search_palette(seed=4)
    np.testing.assert_array_equal(found, palette.HALLWAY_COLOURS[:36])
    more = palette_search.search_palette(seed=0, number=72, rounds=600, kept=found)
    np.testing.assert_array_equal(more, palette.HALLWAY_COLOURS)
