"""What a planner tells of a decision is what it imagined, whichever planner it is."""

import pytest
import torch

from envs.layout import Layout
from planners.interface import take
from planners.recording import plan_recorded, rows_of
from planners.registry import PLANNERS
from tests.support.passages import Passages

GOALS = (0, 7, 20)


@pytest.fixture(scope="module")
def maze():
    return Passages(Layout.paper())


def decide(maze, planner, goal, recorded):
    state = maze.roots(1, seed=goal)
    inputs = (maze.functions, state, maze.goals(torch.tensor([goal])), maze.legal(state))
    generator = torch.Generator().manual_seed(0)
    return plan_recorded(planner, *inputs, generator) if recorded else planner.plan(*inputs, generator)


@pytest.mark.parametrize("kind", PLANNERS)
@pytest.mark.parametrize("goal", GOALS)
def test_recording_changes_nothing_and_keeps_every_transition(maze, kind, goal):
    planner = PLANNERS[kind]().with_budget(363)
    plain, (plan, tree) = decide(maze, planner, goal, False), decide(maze, planner, goal, True)
    assert all(torch.equal(one, other) for one, other in zip(plain, plan, strict=True))
    assert len(tree.parent) == int(plan.transitions[0])
    assert set(tree.depth.tolist()) == set(range(1, int(tree.depth.max()) + 1))


@pytest.mark.parametrize("kind", PLANNERS)
def test_each_node_is_its_parents_belief_one_action_later(maze, kind):
    _, tree = decide(maze, PLANNERS[kind]().with_budget(120), 7, True)
    below = tree.parent >= 0
    again = maze.imagine(take(tree.state, tree.parent[below]), tree.action[below])
    assert torch.equal(again.pose, tree.state.pose[below])
    assert torch.equal(tree.depth[below], tree.depth[tree.parent[below]] + 1)
    assert torch.equal(tree.legal, maze.legal(tree.state))
    assert torch.equal(tree.cosine, (tree.state.hallway == 7).float())


@pytest.mark.parametrize("kind", PLANNERS)
@pytest.mark.parametrize("goal", GOALS)
def test_the_chosen_trajectory_leads_to_the_arrival_that_decided(maze, kind, goal):
    plan, tree = decide(maze, PLANNERS[kind]().with_budget(363), goal, True)
    way = tree.trajectory(plan)
    assert len(way) == int(plan.arrival[0])
    assert tree.parent[way].tolist() == [-1, *way[:-1]]
    assert float(tree.cosine[way[-1]]) == float(plan.score[0])
    if kind != "merging":  # its way may lead through a place that stands for another one
        assert int(tree.action[way[0]]) == int(plan.action[0])
    assert torch.equal(rows_of(tree, way).hallway, tree.state.hallway[way])
