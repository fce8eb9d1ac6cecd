"""Layouts: the paper's map, the random family, crops, and error messages."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.dynamics import Dynamics
from envs.layout import HALLWAY, JUNCTION, Layout
from envs.palette import GREY, HALLWAY_COLOURS, TONES

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
    for name in ("", "Paper", "random", "random-", "random-x", "random--1", "random-1.5", "large", "huge-x", "/no/map"):
        with pytest.raises(ValueError, match=rf"layout '{re.escape(name)}'.*'paper'.*'huge-<seed>'.*'random-7'.*file"):
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
        (("###", "###", "###"), "1 to 702 hallways.*got 0"),
    ],
)
def test_a_map_outside_the_family_is_an_error_that_names_the_rule(rows, rule):
    with pytest.raises(ValueError, match=f"layout 'mine'.*{rule}"):
        replace(Layout.paper(), name="mine", rows=rows)


# ---------------------------------------------------------------- other sizes, and maps of one's own


@pytest.mark.parametrize(("family", "fewest", "most"), [("large", 67, 73), ("huge", 150, 162)])
def test_larger_families_keep_the_rules(family, fewest, most):
    for seed in range(5):
        layout = Layout.parse(f"{family}-{seed}")
        lengths = runs(layout.rows)
        assert fewest <= len(lengths) == layout.hallways <= most
        assert set(lengths) <= {4, 5, 6}
        assert layout.dead_end.any()
    assert layout.rows != Layout.parse(f"{family}-0").rows


@pytest.mark.parametrize("name", ["paper", "random-3", "large-1", "large-2", "huge-1", "huge-2"])
def test_a_crop_tells_which_hallway_or_junction_it_shows(name):
    layout = Layout.parse(name)
    place: dict = {}
    for y, x in np.argwhere(layout.free):
        here = int(layout.hallway[y, x]) if layout.hallway[y, x] >= 0 else (y, x)
        assert place.setdefault(layout.crops[y, x].tobytes(), here) == here


def test_the_tones_of_a_hallway_alternate_from_cell_to_cell():
    layout = Layout.parse("huge-1")
    assert layout.one_tone == 72 < layout.hallways
    for number in (0, 71, 72, layout.hallways - 1):
        cells = layout.picture[layout.hallway == number]
        assert (cells[0::2] == TONES[number, 0]).all()
        assert (cells[1::2] == TONES[number, 1]).all()
        assert (cells[0] != cells[1]).any() == (number >= 72)


def test_life_steps_let_the_shortest_path_reach_every_goal_and_keep_half_of_them():
    for name, steps in (("paper", 100), ("random-7", 100), ("large-1", 100), ("huge-1", 150)):
        dynamics = Dynamics.of(Layout.parse(name))
        rng = np.random.default_rng(0)
        pose, goal = map(np.stack, zip(*(dynamics.start_and_goal(rng) for _ in range(2000)), strict=True))
        distance = dynamics.distance(pose, goal)
        assert dynamics.life_steps == steps > 2 * dynamics.mean_distance
        assert distance.max() <= steps
        assert distance.mean() == pytest.approx(dynamics.mean_distance, rel=0.05)  # 2 % is a standard error or so
    assert Dynamics.of(Layout.paper()).mean_distance == pytest.approx(21.11, abs=0.005)  # as `test_dynamics` has it


def test_a_map_of_ones_own_is_read_from_a_text_file(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(Layout.random(7).rows) + "\n\n")
    layout = Layout.parse(str(path))
    assert (layout.name, layout.rows) == (str(path), Layout.random(7).rows)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"#####\n#D.D#\n#####\n", "4 to 6 cells.*x=1, y=1 has 3"),
        (b"####\n#.#\n", r"one length.*\[4, 3\]"),
        (b"", "one length"),
        (b"##\xff#", "#.DBTX.*byte 255"),
    ],
)
def test_a_file_with_a_broken_rule_is_an_error_that_names_it(content, rule, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"layout .*mine.txt.*{rule}"):
        Layout.parse(str(path))


def test_layouts_cannot_be_changed_by_accident():
    layout = Layout.paper()
    with pytest.raises(ValueError, match="read-only"):
        layout.crops[0] = 0
