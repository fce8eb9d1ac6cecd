"""Layouts: the paper's map, the random family, crops, and error messages."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.layout import HALLWAY, JUNCTION, Layout
from envs.palette import GREY, HALLWAY_COLOURS

EXPECTED_OF_SEED_7 = (
    "##########################",
    "#D#####B....T......T....B#",
    "#.#####.####.######.####.#",
    "#.#####.####.######.####.#",
    "#.#####.####.######.####.#",
    "#.#####.####.######.####.#",
    "#B.....T####T......T####D#",
    "#######.####.######.######",
    "#######.####.######.######",
    "#######.####.######.######",
    "#######.####.######.######",
    "#D#####T....X......X....D#",
    "#.#####.####.######.######",
    "#.#####.####.######.######",
    "#.#####.####.######.######",
    "#.#####.####.######.######",
    "#B.....T....T......T....D#",
    "##########################",
)


def runs(rows):
    """Lengths of the hallways of a map, found in its text alone: runs of . and D along rows and columns."""
    columns = ["".join(column) for column in zip(*rows, strict=True)]
    lines = [*rows, *columns]
    found = [len(run) for line in lines for run in re.findall(r"[.D]{2,}", line)]
    return found


def test_the_paper_map_has_the_published_counts():
    layout = Layout.paper()
    assert layout.shape == (18, 26)
    assert layout.hallways == 28 == len(runs(layout.rows))
    assert (layout.cells == JUNCTION).sum() == 18
    assert np.argwhere(layout.dead_end).tolist() == [[1, 1], [16, 24]]


def test_hallways_are_numbered_in_reading_order_and_keep_their_colour():
    layout = Layout.paper()
    assert layout.hallway[1, [1, 7, 11, 13]].tolist() == [0, 1, 1, 2]
    assert (layout.hallway[1:6, 1] == 0).all()
    assert layout.hallway[6, 1] == -1
    assert (layout.hallway >= 0).tolist() == (layout.cells == HALLWAY).tolist()
    assert (layout.picture[3, 1] == HALLWAY_COLOURS[0]).all()
    assert (layout.picture[6, 1] == GREY).all()
    assert (layout.picture[0] == 0).all()


def test_crop_has_north_up_west_left_and_channels_in_rgb_order():
    crops = Layout.paper().crops
    # Around x=0, y=0 only the south-east corner is free: x=1, y=1 of hallway 0, which is yellow (no blue).
    expected = np.zeros((3, 3, 3), np.uint8)
    expected[2, 2] = (255, 255, 0)
    assert (crops[0, 0] == expected).all()
    # Around x=25, y=1 the western column is free from its middle down: a bend and below it hallway 7.
    expected[2, 2] = 0
    expected[1, 0], expected[2, 0] = GREY, HALLWAY_COLOURS[7]
    assert (crops[1, 25] == expected).all()


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_layouts_keep_the_rules_of_the_family(first):
    maps = [Layout.random(seed).rows for seed in range(first, first + 50)]
    assert len(set(maps)) == 50
    for rows in maps:
        assert [len(row) for row in rows] == [26] * 18
        lengths = runs(rows)
        assert 18 <= len(lengths) <= 36
        assert set(lengths) <= {4, 5, 6}
        text = "".join(rows)
        assert text.count("D") >= 1
        assert text.count("T") + text.count("X") >= 6


@given(st.integers(0, 2**63))
def test_random_layouts_are_connected_and_have_a_dead_end(seed):
    layout = Layout.random(seed)
    assert set(runs(layout.rows)) <= {4, 5, 6}
    assert layout.dead_end.any()
    free = {(int(y), int(x)) for y, x in np.argwhere(layout.free)}
    reached, frontier = set(), {min(free)}
    while frontier:
        reached |= frontier
        frontier = {(y + j, x + i) for y, x in frontier for j, i in ((0, 1), (1, 0), (0, -1), (-1, 0))} & free - reached
    assert reached == free


def test_the_seed_alone_decides_a_random_layout():
    # Written down when the generator was made: a new NumPy or another platform must draw the same map.
    assert Layout.random(7).rows == EXPECTED_OF_SEED_7


def test_parse_knows_layouts_by_name_and_no_others():
    assert Layout.parse("paper") == Layout.paper()
    assert Layout.parse("random-7") == Layout.random(7)
    for name in ("", "Paper", "random", "random-", "random-x", "random--1", "random-1.5"):
        with pytest.raises(ValueError, match=rf"layout '{re.escape(name)}'.*'paper'.*'random-7'"):
            Layout.parse(name)


def changed(x, y, character):
    """The rows of the paper's map with one cell replaced."""
    rows = [list(row) for row in Layout.paper().rows]
    rows[y][x] = character
    return tuple("".join(row) for row in rows)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (("####", "#.#"), r"one length.*\[4, 3\]"),
        (("####", "#o.#", "####"), "characters.*got 'o'"),
        (changed(1, 0, "."), "outermost cells"),
        (changed(6, 6, "T"), "x=6, y=6.*'T'.*'X'"),
        (("####", "#BB#", "#BB#", "####"), "junctions must not touch.*x=1, y=1"),
        (("#####", "#D.D#", "#####"), "4 to 6 cells.*x=1, y=1 has 3"),
        (("######", "#D..D#", "######", "#D..D#", "######"), "connected.*x=1, y=3"),
        (("###", "###", "###"), "1 to 36 hallways.*got 0"),
    ],
)
def test_a_map_outside_the_family_is_an_error_that_names_the_rule(rows, rule):
    with pytest.raises(ValueError, match=f"layout 'mine'.*{rule}"):
        replace(Layout.paper(), name="mine", rows=rows)


def test_layouts_cannot_be_changed_by_accident():
    layout = Layout.paper()
    with pytest.raises(ValueError, match="read-only"):
        layout.crops[0] = 0
