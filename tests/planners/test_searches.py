"""Merging search, MCTS and CEM where every imagination is right: against breadth-first search and exhaustive search."""

from functools import cache

import numpy as np
import pytest
import torch

from envs.layout import Layout
from planners.cem import CEM
from planners.interface import Planner, take
from planners.mcts import MCTS
from planners.merging import Merging
from planners.tree import TreeSearch
from tests.support.line import generator
from tests.support.passages import Passages, PassageState

LAYOUTS = ("paper", "random-3", "large-1")
NEVER = 2.0  # no cosine is that large
DEPTH = 5


@cache
def passages(layout: str) -> Passages:
    return Passages(Layout.parse(layout))


def decide(planner: Planner, layout: str, number: int = 16):
    """Decisions for random goals, the model, the roots and the goal hallways."""
    maze = passages(layout)
    state = maze.roots(number)
    goal = torch.from_numpy(np.random.default_rng(1).integers(0, maze.layout.hallways, number))
    plan = planner.plan(maze.functions, state, maze.goals(goal), maze.legal(state), generator())
    return plan, maze, state, goal


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "planner",
    [
        Merging(depth=DEPTH),
        Merging(depth=DEPTH, stop=NEVER),
        Merging(depth=DEPTH, merge_forced=False),
        MCTS(1000, depth=DEPTH),
        MCTS(1000, depth=DEPTH, stop=NEVER),
    ],
    ids=str,
)
def test_a_shortest_route_is_found_within_reach(planner: Planner, layout: str) -> None:
    plan, maze, state, goal = decide(planner, layout)
    within = 0
    for row, pose in enumerate(state.pose.tolist()):
        distance, first = maze.shortest(pose, int(goal[row]))
        if distance <= DEPTH:
            within += 1
            assert plan.score[row] == 1
            assert plan.arrival[row] == distance
            assert int(plan.action[row]) in first
        else:
            assert plan.score[row] == 0
    assert within >= 4


def test_cem_finds_a_shortest_route_among_enough_samples() -> None:
    plan, maze, state, goal = decide(CEM(horizon=4, transitions=6000), "paper")
    for row, pose in enumerate(state.pose.tolist()):
        distance, first = maze.shortest(pose, int(goal[row]))
        if distance <= 4:
            assert plan.arrival[row] == distance
            assert int(plan.action[row]) in first


@pytest.mark.parametrize("layout", LAYOUTS)
def test_merged_search_is_the_exhaustive_one_at_less_cost(layout: str) -> None:
    exhaustive, *_ = decide(TreeSearch(6), layout)
    merged, *_ = decide(Merging(depth=6, stop=NEVER), layout)
    assert torch.equal(merged.score, exhaustive.score)
    assert torch.equal(merged.arrival, exhaustive.arrival)
    assert (merged.transitions <= exhaustive.transitions).all()
    assert merged.transitions.sum() < exhaustive.transitions.sum()
    early, *_ = decide(Merging(depth=6), layout)
    for whole, cut in zip(exhaustive[:3], early[:3], strict=True):
        assert torch.equal(whole, cut)
    assert early.transitions.sum() < merged.transitions.sum()


def test_mcts_with_time_enough_is_the_exhaustive_search() -> None:
    exhaustive, *_ = decide(TreeSearch(4), "paper")
    everything, *_ = decide(MCTS(1000, depth=4, stop=NEVER), "paper")
    for one, other in zip(exhaustive, everything, strict=True):
        assert torch.equal(one, other)  # also the transitions: each once, then all is known
    assert (decide(MCTS(1000, depth=4), "paper")[0].transitions <= exhaustive.transitions).all()


@pytest.mark.parametrize("planner", [Merging(transitions=25), MCTS(25), CEM(transitions=25, horizon=6)], ids=str)
def test_a_batch_is_decided_like_its_episodes_one_by_one(planner: Planner) -> None:
    together, maze, state, goal = decide(planner, "paper", 12)
    assert (together.transitions <= 25).all()
    if isinstance(planner, CEM):
        return  # its samples depend on the batch
    for row in range(12):
        one = take(state, torch.tensor([row]))
        alone = planner.plan(maze.functions, one, maze.goals(goal[row : row + 1]), maze.legal(one), generator())
        for name, expected, value in zip(alone._fields, alone, together, strict=True):
            assert value[row].item() == expected.item(), name


# ---------------------------------------------------------------- between decisions


def after(maze: Passages, state: PassageState, action: torch.Tensor) -> PassageState:
    """Where each episode has its next choice after an action."""
    state = maze.imagine(state, action)
    while (forced := maze.legal(state).sum(1) == 1).any():
        on = maze.imagine(take(state, forced.nonzero()[:, 0]), maze.legal(state)[forced].long().argmax(1))
        for field, value in zip(state, on, strict=True):
            field[forced] = value
    return state


def test_a_kept_graph_spares_what_was_imagined_before() -> None:
    maze, planner = passages("large-1"), Merging(stop=NEVER, depth=40)
    state = maze.roots(8)
    far = maze.goals(torch.full((8,), -1))  # a goal that no hallway is: everything is imagined
    plan, kept = planner.plan_on(maze.functions, state, far, maze.legal(state), generator(), [None] * 8)
    state = after(maze, state, plan.action)
    again, more = planner.plan_on(maze.functions, state, far, maze.legal(state), generator(), kept)
    fresh, _ = planner.plan_on(maze.functions, state, far, maze.legal(state), generator(), [None] * 8)
    assert (again.transitions == maze.legal(state).sum(1)).all()  # the root's own children, to recognise the place
    assert (fresh.transitions > 100).all()
    sizes = [[len(memory.graph.code) for memory in each if memory] for each in (more, kept)]
    assert sizes[0] == sizes[1] and len(sizes[0]) == 8
    goal = maze.goals(torch.arange(8) * 9)
    found, _ = planner.plan_on(maze.functions, state, goal, maze.legal(state), generator(), kept)
    expected = planner.plan(maze.functions, state, goal, maze.legal(state), generator())
    assert torch.equal(found.arrival, expected.arrival)
    assert torch.equal(found.score, expected.score)


def test_a_graph_is_forgotten_where_the_world_went_elsewhere() -> None:
    maze, planner = passages("paper"), Merging(stop=NEVER)
    state, elsewhere = maze.roots(6), maze.roots(6, seed=5)
    goal = maze.goals(torch.arange(6))
    plan, kept = planner.plan_on(maze.functions, state, goal, maze.legal(state), generator(), [None] * 6)
    went = after(maze, state, plan.action)
    other = (went.pose != elsewhere.pose).any(1)
    assert other.sum() > 3
    again, _ = planner.plan_on(maze.functions, elsewhere, goal, maze.legal(elsewhere), generator(), kept)
    fresh = planner.plan(maze.functions, elsewhere, goal, maze.legal(elsewhere), generator())
    for one, expected in zip(again, fresh, strict=True):
        assert torch.equal(one[other], expected[other])


def test_cem_goes_on_with_the_sequences_that_it_kept() -> None:
    maze, goal = passages("paper"), passages("paper").goals(torch.arange(8))
    state = maze.roots(8)
    plan, kept = CEM(horizon=6, transitions=6000).plan_on(
        maze.functions, state, goal, maze.legal(state), generator(), [None] * 8
    )
    reached = (plan.score == 1) & (plan.arrival >= 3)
    assert reached.sum() >= 2
    state = after(maze, state, plan.action)
    small = CEM(horizon=6, transitions=6)  # one sequence: the best of those kept
    again, _ = small.plan_on(maze.functions, state, goal, maze.legal(state), generator(), kept)
    assert (again.score[reached] == 1).all()
    assert (again.arrival < plan.arrival)[reached].all()
    assert (again.transitions == 6).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Merging(depth=0), "--depth.*got 0"),
        (lambda: Merging(transitions=2), "at least 3.*got 2"),
        (lambda: MCTS(0), "--simulations.*got 0"),
        (lambda: MCTS(depth=0), "--depth.*got 200 and 0"),
        (lambda: MCTS(discount=0.0), "--discount.*got 0"),
        (lambda: CEM(horizon=0), "--horizon.*got 0"),
        (lambda: CEM(elite_share=0.0), "--elite-share.*got 0"),
        (lambda: CEM(momentum=1.0), "--momentum.*got 1"),
    ],
)
def test_options_out_of_their_range_are_errors(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
