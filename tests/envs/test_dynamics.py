"""Dynamics: the four rules of legal actions, passages, shortest paths, starts and goals."""

from collections import deque

import numpy as np
import pytest

from envs.dynamics import (
    ARRIVED,
    EAST,
    FORWARD,
    LEFT,
    NORTH,
    RIGHT,
    SOUTH,
    TURNED,
    WEST,
    Dynamics,
)
from envs.layout import JUNCTION, Layout

# Read off the paper's map by hand: place, pose (x, y, heading, mode), legal forward / left / right, is it a passage?
RULES = [
    ("hallway, down", (1, 3, SOUTH, ARRIVED), (1, 0, 0), False),
    ("hallway, up", (1, 3, NORTH, ARRIVED), (1, 0, 0), False),
    ("hallway, last cell before a junction", (5, 6, EAST, ARRIVED), (1, 0, 0), False),
    ("dead end x=1 y=1, facing its wall", (1, 1, NORTH, ARRIVED), (0, 1, 1), True),
    ("dead end, turned left once", (1, 1, WEST, TURNED), (0, 1, 0), False),
    ("dead end, turned right once", (1, 1, EAST, TURNED), (0, 0, 1), False),
    ("dead end, turned twice", (1, 1, SOUTH, TURNED), (1, 0, 0), False),
    ("dead end, a start that faces out", (1, 1, SOUTH, ARRIVED), (1, 0, 0), False),
    ("dead end x=24 y=16, facing its wall", (24, 16, EAST, ARRIVED), (0, 1, 1), True),
    ("dead end x=24 y=16, turned left once", (24, 16, NORTH, TURNED), (0, 1, 0), False),
    ("dead end x=24 y=16, turned right once", (24, 16, SOUTH, TURNED), (0, 0, 1), False),
    ("bend x=6 y=1, from the south", (6, 1, NORTH, ARRIVED), (0, 0, 1), True),
    ("bend x=6 y=1, from the east", (6, 1, WEST, ARRIVED), (0, 1, 0), True),
    ("bend x=6 y=1, turned to the east", (6, 1, EAST, TURNED), (1, 0, 0), False),
    ("bend x=24 y=11, from the north", (24, 11, SOUTH, ARRIVED), (0, 0, 1), True),
    ("T x=12 y=1, from the west", (12, 1, EAST, ARRIVED), (1, 0, 1), True),
    ("T x=12 y=1, from the east", (12, 1, WEST, ARRIVED), (1, 1, 0), True),
    ("T x=12 y=1, from the south", (12, 1, NORTH, ARRIVED), (0, 1, 1), True),
    ("T x=1 y=6, from the north", (1, 6, SOUTH, ARRIVED), (1, 1, 0), True),
    ("T x=1 y=6, turned to the east", (1, 6, EAST, TURNED), (1, 0, 0), False),
    ("T x=12 y=6, from the north", (12, 6, SOUTH, ARRIVED), (0, 1, 1), True),
    ("X x=6 y=6, from the west", (6, 6, EAST, ARRIVED), (1, 1, 1), True),
    ("X x=6 y=6, from the south", (6, 6, NORTH, ARRIVED), (1, 1, 1), True),
    ("X x=6 y=6, turned to the south", (6, 6, SOUTH, TURNED), (1, 0, 0), False),
]
IMPOSSIBLE = [
    ("in a wall", (0, 0, EAST, ARRIVED)),
    ("across a hallway", (1, 3, EAST, ARRIVED)),
    ("turned in a hallway", (1, 3, SOUTH, TURNED)),
    ("arrived from a wall", (6, 1, SOUTH, ARRIVED)),
    ("turned to a wall", (6, 1, NORTH, TURNED)),
]


def rows(*poses):
    return np.array(poses, dtype=np.int16)


@pytest.fixture(scope="module")
def paper():
    return Dynamics.of(Layout.paper())


@pytest.mark.parametrize(("place", "pose", "legal", "passage"), RULES)
def test_legal_actions_and_passages_follow_the_table(paper, place, pose, legal, passage):
    assert paper.action_mask(rows(pose))[0].tolist() == [*legal]
    assert bool(paper.passage(rows(pose))[0]) is passage


@pytest.mark.parametrize(("place", "pose"), IMPOSSIBLE)
def test_poses_that_cannot_occur_have_no_action_and_no_path(paper, place, pose):
    assert paper.action_mask(rows(pose)).sum() == 0
    with pytest.raises(ValueError, match=r"pose that can occur.*goal \[24, 16\]"):
        paper.distance(rows(pose), rows((24, 16)))


def test_actions_move_and_turn_as_named(paper):
    steps = [  # from x=6 y=1, a bend reached from the south
        ((6, 1, NORTH, ARRIVED), RIGHT, (6, 1, EAST, TURNED)),
        ((6, 1, EAST, TURNED), FORWARD, (7, 1, EAST, ARRIVED)),
        ((6, 1, WEST, ARRIVED), LEFT, (6, 1, SOUTH, TURNED)),
        ((6, 1, SOUTH, TURNED), FORWARD, (6, 2, SOUTH, ARRIVED)),
        ((5, 6, WEST, ARRIVED), FORWARD, (4, 6, WEST, ARRIVED)),
        ((1, 2, NORTH, ARRIVED), FORWARD, (1, 1, NORTH, ARRIVED)),
        ((1, 1, WEST, TURNED), LEFT, (1, 1, SOUTH, TURNED)),
    ]
    before, action, after = zip(*steps, strict=True)
    pose, illegal = paper.step(rows(*before), np.array(action))
    assert pose.tolist() == [[*expected] for expected in after]
    assert not illegal.any()


def test_illegal_actions_leave_the_pose(paper):
    before = rows((1, 3, SOUTH, ARRIVED), (1, 1, NORTH, ARRIVED), (6, 6, SOUTH, TURNED), (1, 1, WEST, TURNED))
    pose, illegal = paper.step(before, np.array([LEFT, FORWARD, RIGHT, RIGHT]))
    assert (pose == before).all()
    assert illegal.all()


def test_random_play_never_gets_stuck_on_random_layouts():
    rng = np.random.default_rng(0)
    for seed in range(100):
        layout = Layout.random(seed)
        dynamics = Dynamics(layout)
        pose = np.stack([dynamics.start(rng) for _ in range(64)])
        for _ in range(60):
            mask = dynamics.action_mask(pose)
            assert mask.any(axis=1).all(), f"stuck in {layout.name}"
            pose, illegal = dynamics.step(pose, (rng.random(mask.shape) * mask).argmax(axis=1))
            assert not illegal.any()
            assert dynamics.action_mask(pose).any(axis=1).all()
            assert layout.free[pose[:, 1], pose[:, 0]].all()


def breadth_first(dynamics, start):
    """Fewest actions from a pose to each cell, by a search that knows only `action_mask` and `step`."""
    fewest: dict[tuple[int, int], int] = {}
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        pose, actions = queue.popleft()
        fewest.setdefault(pose[:2], actions)
        for action in np.flatnonzero(dynamics.action_mask(rows(pose))[0]):
            after = tuple(dynamics.step(rows(pose), np.array([action]))[0][0].tolist())
            if after not in seen:
                seen.add(after)
                queue.append((after, actions + 1))
    return fewest


@pytest.mark.parametrize("layout", ["paper", "random-3", "random-11"])
def test_distances_are_those_of_a_plain_search_and_reach_every_cell(layout):
    layout = Layout.parse(layout)
    dynamics = Dynamics.of(layout)
    goals = np.argwhere(layout.free)[:, ::-1].astype(np.int16)
    rng = np.random.default_rng(1)
    for start in [dynamics.start(rng) for _ in range(3)]:
        fewest = breadth_first(dynamics, tuple(start.tolist()))
        found = dynamics.distance(np.tile(start, (len(goals), 1)), goals)
        assert found.tolist() == [fewest[tuple(goal)] for goal in goals.tolist()]


def episodes(dynamics, number):
    rng = np.random.default_rng(2)
    starts, goals = zip(*(dynamics.start_and_goal(rng) for _ in range(number)), strict=True)
    return np.stack(starts), np.stack(goals)


def test_shortest_actions_walk_the_shortest_path_and_pass_at_most_seven_junctions(paper):
    pose, goal = episodes(paper, 4000)
    expected = paper.distance(pose, goal)
    walked, passages = np.zeros(len(pose), int), np.zeros(len(pose), int)
    while (going := (pose[:, :2] != goal).any(axis=1)).any():
        passages += paper.passage(pose) & going
        after, illegal = paper.step(pose, paper.shortest_action(pose, goal))
        assert not (illegal & going).any()
        pose = np.where(going[:, None], after, pose)
        walked += going
    assert (walked == expected).all()
    # docs/architecture.md: 93 % within 5 passages, 99 % within 6, all within 7
    assert (passages <= 5).mean() == pytest.approx(0.93, abs=0.01)
    assert (passages <= 6).mean() == pytest.approx(0.99, abs=0.005)
    assert passages.max() <= 7
    # exact over all starts and goals: 78.89; standard error here 0.15
    assert (100 - expected).mean() == pytest.approx(78.89, abs=0.5)


def test_random_play_has_the_published_floor_and_share_of_passages(paper):
    number = 4000
    pose, goal = episodes(paper, number)
    rng = np.random.default_rng(3)
    reward, solved, passages = np.zeros(number), np.zeros(number, bool), 0
    for k in range(1, 101):
        mask = paper.action_mask(pose)
        passages += paper.passage(pose).sum()
        pose, _ = paper.step(pose, (rng.random(mask.shape) * mask).argmax(axis=1))
        entered = (pose[:, :2] == goal).all(axis=1) & ~solved
        reward[entered], solved = 100 - k, solved | entered
    # docs/architecture.md: 26.0, 46 % and 16 %; standard errors 0.5 and 0.8 %
    assert reward.mean() == pytest.approx(26.0, abs=2)
    assert solved.mean() == pytest.approx(0.46, abs=0.03)
    assert passages / (100 * number) == pytest.approx(0.162, abs=0.002)


def test_starts_are_arrivals_in_every_free_cell_and_never_the_goal(paper):
    layout = Layout.paper()
    start, goal = episodes(paper, 8000)
    assert paper.action_mask(start).any(axis=1).all()
    assert (start[:, 3] == ARRIVED).all()
    assert (start[:, :2] != goal).any(axis=1).all()
    for cells in (start[:, :2], goal):
        visits = np.zeros(layout.shape, int)
        np.add.at(visits, (cells[:, 1], cells[:, 0]), 1)
        assert (visits[~layout.free] == 0).all()
        assert visits[layout.free].min() > 25  # 55.6 expected, standard deviation 7.4
    in_junction = start[layout.cells[start[:, 1], start[:, 0]] == JUNCTION]
    behind = layout.sides[in_junction[:, 1], in_junction[:, 0], (in_junction[:, 2] + 2) % 4]
    assert behind.all()
