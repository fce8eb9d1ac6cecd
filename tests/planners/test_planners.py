"""Planners with models whose every imagination is known."""

from collections import deque
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from envs.dynamics import Dynamics
from envs.layout import Layout
from planners.interface import ModelFunctions, choose, take
from planners.plan import plan
from planners.shooting import ShootingConfig, plan_shooting
from planners.tree import TreeConfig, full_tree, plan_tree
from tests.support.hrssm_models import build
from tests.support.tiny import FRAME, random_frames
from world_models.hrssm.hrssm import HRSSMState
from world_models.registry import build_model

PAPER = Layout.paper()
DYNAMICS = Dynamics.of(PAPER)
HALLWAYS = len(PAPER.colours)


class PassageState(NamedTuple):
    """The belief of a model that knows everything: a pose that waits for a passage, and the hallway just walked."""

    pose: Tensor
    hallway: Tensor


@cache
def walk(pose: tuple[int, ...], action: int) -> tuple[tuple[int, ...], int]:
    """Take a passage and all forced steps until the next one; also give the hallway that was walked."""
    present = np.array([pose], np.int16)
    present, illegal = DYNAMICS.step(present, np.array([action]))
    assert not illegal[0], (pose, action)
    hallway = -1
    while not DYNAMICS.passage(present)[0]:
        hallway = max(hallway, int(PAPER.hallway[present[0, 1], present[0, 0]]))
        forced = DYNAMICS.action_mask(present).argmax(1)
        present, _ = DYNAMICS.step(present, forced)
    return tuple(present[0].tolist()), hallway


@cache
def legal_actions(pose: tuple[int, ...]) -> list[int]:
    return np.flatnonzero(DYNAMICS.action_mask(np.array([pose], np.int16))[0]).tolist()


def imagine(state: PassageState, action: Tensor) -> PassageState:
    walked = [walk(tuple(pose), int(a)) for pose, a in zip(state.pose.tolist(), action, strict=True)]
    return PassageState(torch.tensor([pose for pose, _ in walked]), torch.tensor([hallway for _, hallway in walked]))


def legal(state: PassageState) -> Tensor:
    return torch.from_numpy(DYNAMICS.action_mask(state.pose.numpy().astype(np.int16)) == 1)


PERFECT = ModelFunctions(imagine, lambda state: F.one_hot(state.hallway, HALLWAYS).float(), legal)


def roots(number: int) -> PassageState:
    """Some of the 48 poses in which an episode has to choose."""
    y, x, heading = np.indices((*PAPER.cells.shape, 4)).reshape(3, -1)
    poses = np.stack([x, y, heading, np.zeros_like(x)], 1).astype(np.int16)
    poses = poses[DYNAMICS.passage(poses) & (DYNAMICS.action_mask(poses).sum(1) > 1)]
    assert len(poses) == 48
    chosen = np.random.default_rng(0).permutation(len(poses))[:number]
    return PassageState(torch.from_numpy(poses[chosen]).long(), torch.full((number,), -1))


def breadth_first(root: tuple[int, ...], goal: int) -> tuple[int, set[int]]:
    """Fewest passages until the goal hallway is walked, and the first actions of all ways that short."""
    reached: dict[tuple[int, ...], tuple[int, set[int]]] = {}
    queue: deque[tuple[tuple[int, ...], int, int | None]] = deque([(root, 0, None)])
    shortest, first_actions = 10**9, set()
    while queue:
        pose, depth, first = queue.popleft()
        if depth >= shortest:
            break
        for action in legal_actions(pose):
            following, hallway = walk(pose, action)
            begun = action if first is None else first
            if hallway == goal:
                shortest = depth + 1
                first_actions.add(begun)
            seen_depth, seen_first = reached.setdefault(following, (depth + 1, set()))
            if seen_depth == depth + 1 and begun not in seen_first:
                seen_first.add(begun)
                queue.append((following, depth + 1, begun))
    return shortest, first_actions


def test_tree_finds_what_breadth_first_search_finds():
    depth, number = 5, 48
    state = roots(number)
    goal = torch.from_numpy(np.random.default_rng(1).integers(0, HALLWAYS, number))
    decision = plan_tree(PERFECT, state, F.one_hot(goal, HALLWAYS).float(), legal(state), TreeConfig(depth))
    distances = []
    for row, pose in enumerate(state.pose.tolist()):
        distance, first = breadth_first(tuple(pose), int(goal[row]))
        distances.append(distance)
        if distance <= depth:
            assert decision.score[row] == 1
            assert decision.arrival[row] == distance
            assert int(decision.action[row]) in first
        else:
            assert decision.score[row] == 0
    assert {1, 2, 3, 4, 5} <= set(distances)
    assert max(distances) > depth  # some goals are out of reach


def paths(pose: tuple[int, ...], depth: int) -> int:
    """Legal passages within a depth, each prefix once."""
    if depth == 0:
        return 0
    return sum(1 + paths(walk(pose, action)[0], depth - 1) for action in legal_actions(pose))


def test_illegal_actions_are_pruned_and_transitions_counted_an_episode():
    state = roots(12)
    goal = F.one_hot(torch.zeros(12, dtype=torch.int64), HALLWAYS).float()
    decision = plan_tree(PERFECT, state, goal, legal(state), TreeConfig(4))  # `walk` refuses an illegal action
    assert decision.transitions.tolist() == [paths(tuple(pose), 4) for pose in state.pose.tolist()]
    assert len(decision.transitions.unique()) > 1
    assert decision.transitions.max() < full_tree(4)


def test_batch_decides_as_one_by_one():
    state, goal = roots(15), F.one_hot(torch.arange(15), HALLWAYS).float()
    together = plan_tree(PERFECT, state, goal, legal(state), TreeConfig(4))
    for row in range(15):
        rows = torch.tensor([row])
        alone = plan_tree(PERFECT, take(state, rows), goal[rows], legal(take(state, rows)), TreeConfig(4))
        for field in ("action", "score", "arrival", "transitions"):
            assert getattr(alone, field).item() == getattr(together, field)[row].item(), field


# ------------------------------------------------------------------------ a line of integers


class Place(NamedTuple):
    """A belief about where on a line one is."""

    x: Tensor


class Line:
    """Actions 0, 1, 2 go right, left and nowhere on the line -20 to 20; counts what is imagined."""

    def __init__(self, allowed: tuple[bool, bool, bool] = (True, True, True)) -> None:
        self.allowed = torch.tensor(allowed)
        self.taken: list[Tensor] = []

    def functions(self) -> ModelFunctions:
        return ModelFunctions(self.imagine, self.feature, self.legal)

    def imagine(self, state: Place, action: Tensor) -> Place:
        self.taken.append(action)
        return Place(state.x + torch.tensor([1, -1, 0])[action])

    def feature(self, state: Place) -> Tensor:
        return F.one_hot(state.x + 20, 41).float()

    def legal(self, state: Place) -> Tensor:
        return self.allowed.expand(len(state.x), 3)


def goals(*x: int) -> Tensor:
    return F.one_hot(torch.tensor(x) + 20, 41).float()


ANY = torch.ones(2, 3, dtype=torch.bool)
START = Place(torch.zeros(2, dtype=torch.int64))


def test_full_tree_of_depth_six():
    assert full_tree(6) == 3 + 9 + 27 + 81 + 243 + 729 == 1092


def test_full_tree_costs_exactly_its_transitions():
    line = Line()
    decision = plan_tree(line.functions(), START, goals(3, -2), ANY, TreeConfig(4))
    assert decision.transitions.tolist() == [full_tree(4)] * 2 == [120, 120]
    assert [len(level.action) for level in decision.tree] == [6, 18, 54, 162]
    assert sum(map(len, line.taken)) == 240  # every prefix once
    assert decision.action.tolist() == [0, 1]
    assert decision.arrival.tolist() == [3, 2]


@pytest.mark.parametrize("size", [1, 2, 4])  # of 2, 6 and 18 states; 4 divides neither 6 nor 18
def test_blocks_change_nothing(monkeypatch, size):
    start, goal, mask = (
        Place(torch.tensor([0, 4])),
        goals(3, 2),
        torch.tensor([[True, False, True], [True, True, True]]),
    )
    whole = plan_tree(Line().functions(), start, goal, mask, TreeConfig(4))
    line = Line()
    monkeypatch.setattr("planners.tree.BLOCK", size)
    blocks = plan_tree(line.functions(), start, goal, mask, TreeConfig(4))
    assert max(map(len, line.taken)) <= 3 * size
    for expected, level in zip([whole[:4], *whole.tree], [blocks[:4], *blocks.tree], strict=True):
        assert all(map(torch.equal, level, expected))


def test_every_branch_remembers_its_root_and_episode():
    decision = plan_tree(Line().functions(), START, goals(3, -2), ANY, TreeConfig(3))
    for depth, level in enumerate(decision.tree):
        above = decision.tree[depth - 1] if depth else None
        for row in range(len(level.action)):
            parent = int(level.parent[row])
            root, episode = (
                (level.action[row], parent) if above is None else (above.root[parent], above.episode[parent])
            )
            assert level.root[row] == root
            assert level.episode[row] == episode


@pytest.mark.parametrize("config", [TreeConfig(3), ShootingConfig(horizon=3, transitions=300)])
def test_root_mask_is_kept(config):
    # The goal of both lies to the right; the first episode may only go left or stay, the second only left.
    mask = torch.tensor([[False, True, True], [False, True, False]])
    line = Line()
    decision = plan(line.functions(), START, goals(2, 2), mask, config, torch.Generator().manual_seed(0))
    assert decision.action.tolist() == [2, 1]
    assert 0 not in line.taken[0]
    assert all((level.root != 0).all() for level in decision.tree)
    if isinstance(config, TreeConfig):
        assert decision.transitions.tolist() == [2 + 6 + 18, 1 + 3 + 9]


@pytest.mark.parametrize("config", [TreeConfig(4), ShootingConfig(horizon=4, transitions=400)])
def test_only_actions_that_the_model_expects_to_be_legal_are_imagined(config):
    line = Line(allowed=(False, True, True))
    decision = plan(line.functions(), START, goals(1, -4), ANY, config, torch.Generator().manual_seed(0))
    assert all(0 not in taken for taken in line.taken[1:])
    assert decision.action.tolist() == [0, 1]
    assert decision.score.tolist() == [1, 1]


@pytest.mark.parametrize("config", [TreeConfig(2), ShootingConfig(horizon=2, transitions=20)])
def test_episode_without_a_legal_action_is_refused(config):
    mask = torch.tensor([[True, True, True], [False, False, False]])
    with pytest.raises(ValueError, match="no legal action at the root: every row of root_mask needs a True"):
        plan(Line().functions(), START, goals(1, 1), mask, config, torch.Generator())


def test_earliest_arrival_wins_within_epsilon():
    # (depth, action): action 0 scores 0.90 at once, 1 scores 0.92 at depth 2, 2 scores 0.93 at depth 3
    best = torch.full((1, 3, 3), -torch.inf)
    best[0] = torch.tensor([[0.90, 0.1, 0.2], [0.3, 0.92, 0.4], [0.2, 0.5, 0.93]])
    for epsilon, choice in ((0.05, (0, 0.90, 1)), (0.015, (1, 0.92, 2)), (0.0, (2, 0.93, 3))):
        action, score, arrival = choose(best, epsilon)
        assert (action.item(), score.item(), arrival.item()) == (choice[0], pytest.approx(choice[1]), choice[2])


def test_of_equal_arrivals_the_higher_score_wins():
    best = torch.tensor([[[0.90, 0.93, 0.91]], [[-torch.inf, -torch.inf, 0.2]]])
    action, score, arrival = choose(best, 0.05)
    assert action.tolist() == [1, 2]
    assert score.tolist() == pytest.approx([0.93, 0.2])
    assert arrival.tolist() == [1, 1]


# ------------------------------------------------------------------------ branches of world models


@pytest.mark.parametrize("name", ["hrssm", "rssm", "dlh"])
def test_a_branch_is_what_is_imagined_from_copies_of_its_parent(name):
    torch.manual_seed(0)
    model: Any = build_model(name, "quick", "ours", FRAME)
    functions = ModelFunctions.of(model)
    x, a = random_frames(4, 5)
    state = functions.imagine(model.observe(x, a[:, :4], torch.full((4,), 5)), a[:, 4])
    parent, action = torch.tensor([0, 0, 0, 1, 3, 3]), torch.tensor([0, 1, 2, 1, 0, 2])  # nothing goes on from row 2
    branched = functions.branch(state, parent, action)
    assert type(branched) is type(state)
    for field, expected in zip(branched, functions.imagine(take(state, parent), action), strict=True):
        torch.testing.assert_close(field, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(functions.feature(branched)[0], functions.feature(branched)[1])  # actions do matter


def test_hrssm_computes_the_recurrent_product_of_siblings_once():
    model = build()
    rows: list[int] = []
    model.z_rnn.recur.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    root, goal = HRSSMState(torch.zeros(2, 3), torch.randn(2, 12)), torch.randn(2, 15)
    plan_tree(ModelFunctions.of(model), root, goal, ANY, TreeConfig(3))
    assert rows == [2, 6, 18]  # not 6, 18, 54


# ------------------------------------------------------------------------ shooting


@pytest.mark.parametrize(
    ("horizon", "budget", "spent"),
    [
        (7, 100, 98),  # 14 trajectories of 7
        (30, 1092, 1080),
        (6, 6, 6),
        (30, 5, 5),  # one trajectory, cut short
    ],
)
def test_shooting_keeps_its_budget(horizon, budget, spent):
    line = Line((False, False, True))
    config = ShootingConfig(horizon=horizon, transitions=budget)
    decision = plan_shooting(line.functions(), START, goals(1, 0), ANY, config, torch.Generator())
    assert decision.transitions.tolist() == [spent, spent]
    assert sum(map(len, line.taken)) == 2 * spent


def test_shooting_finds_the_goal_by_the_shortest_way_seen():
    config = ShootingConfig(horizon=6, transitions=6 * 1000)  # a way of 4 right steps is seen with 1 - (80/81)^1000
    decision = plan_shooting(Line().functions(), START, goals(4, -3), ANY, config, torch.Generator().manual_seed(0))
    assert decision.action.tolist() == [0, 1]
    assert decision.score.tolist() == [1, 1]
    assert decision.arrival.tolist() == [4, 3]


def test_shooting_is_decided_by_its_generator():
    def shoot(seed: int) -> list[Tensor]:
        torch.rand(1)  # the global generator plays no part
        config = ShootingConfig(horizon=5, transitions=50)
        generator = torch.Generator().manual_seed(seed)
        return [
            level.action for level in plan_shooting(Line().functions(), START, goals(4, 4), ANY, config, generator).tree
        ]

    assert all(map(torch.equal, shoot(3), shoot(3)))
    assert not all(map(torch.equal, shoot(3), shoot(4)))


def test_shooting_is_uniform_over_legal_actions():
    line = Line((True, False, True))
    config = ShootingConfig(horizon=2, transitions=4000)
    plan_shooting(line.functions(), START, goals(1, 1), ANY, config, torch.Generator().manual_seed(0))
    first, second = (torch.bincount(taken, minlength=3) / len(taken) for taken in line.taken)
    assert first.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)  # four standard errors of 4000 draws
    assert second.tolist() == pytest.approx([0.5, 0, 0.5], abs=0.032)


def test_planner_is_chosen_by_its_configuration():
    generator = torch.Generator().manual_seed(0)
    tree = plan(Line().functions(), START, goals(1, 1), ANY, TreeConfig(2), generator)
    assert tree.transitions.tolist() == [12, 12]
    shooting = plan(Line().functions(), START, goals(1, 1), ANY, ShootingConfig(2, 6), generator)
    assert shooting.transitions.tolist() == [6, 6]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (TreeConfig, {"depth": 0}, "depth of at least 1, got 0"),
        (ShootingConfig, {"horizon": 0}, "at least 1, got 0 and 1092"),
        (ShootingConfig, {"transitions": -3}, "at least 1, got 30 and -3"),
    ],
)
def test_empty_searches_are_refused(config, options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)
