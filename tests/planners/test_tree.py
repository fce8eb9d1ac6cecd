"""The exhaustive search, against a breadth-first search in the maze and counts by hand."""

from collections import deque
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from envs.dynamics import Dynamics
from envs.layout import Layout
from planners.interface import ModelFunctions, Plan, take
from planners.tree import TreeSearch, full_tree
from tests.support.hrssm_models import build
from tests.support.line import ANY, START, Line, generator, goals, start
from world_models.hrssm.hrssm import HRSSMState

PAPER = Layout.paper()
DYNAMICS = Dynamics.of(PAPER)
HALLWAYS = PAPER.hallways
NO_DRAWS = generator()


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


def test_tree_finds_what_breadth_first_search_finds() -> None:
    depth, number = 5, 48
    state = roots(number)
    goal = torch.from_numpy(np.random.default_rng(1).integers(0, HALLWAYS, number))
    decision = TreeSearch(depth).plan(PERFECT, state, F.one_hot(goal, HALLWAYS).float(), legal(state), NO_DRAWS)
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


def test_illegal_actions_are_pruned_and_transitions_counted_per_episode() -> None:
    state = roots(12)
    goal = F.one_hot(torch.zeros(12, dtype=torch.int64), HALLWAYS).float()
    decision = TreeSearch(4).plan(PERFECT, state, goal, legal(state), NO_DRAWS)  # `walk` asserts legal actions
    assert decision.transitions.tolist() == [paths(tuple(pose), 4) for pose in state.pose.tolist()]
    assert len(decision.transitions.unique()) > 1
    assert decision.transitions.max() < full_tree(4)


def test_a_batch_is_decided_like_its_episodes_one_by_one() -> None:
    state, goal = roots(15), F.one_hot(torch.arange(15), HALLWAYS).float()
    together = TreeSearch(4).plan(PERFECT, state, goal, legal(state), NO_DRAWS)
    for row in range(15):
        one = torch.tensor([row])
        alone = TreeSearch(4).plan(PERFECT, take(state, one), goal[one], legal(take(state, one)), NO_DRAWS)
        for name, expected, value in zip(Plan._fields, alone, together, strict=True):
            assert value[row].item() == expected.item(), name


# ------------------------------------------------------------------------ a line of integers


def test_budgets_are_full_trees() -> None:
    assert full_tree(6) == 3 + 9 + 27 + 81 + 243 + 729 == 1092
    depths = [TreeSearch().with_budget(transitions).depth for transitions in (3, 11, 12, 38, 39, 1091, 1092)]
    assert depths == [1, 1, 2, 2, 3, 5, 6]
    assert TreeSearch(depth=2, tie_tolerance=0.1).with_budget(1092) == TreeSearch(depth=6, tie_tolerance=0.1)
    with pytest.raises(ValueError, match=r"at least 3.*got 2"):
        TreeSearch().with_budget(2)


def test_a_full_tree_costs_exactly_its_transitions() -> None:
    line = Line()
    decision = TreeSearch(4).plan(line.functions(), START, goals(3, -2), ANY, NO_DRAWS)
    assert decision.transitions.tolist() == [full_tree(4)] * 2 == [120, 120]
    assert [len(taken) for taken in line.taken] == [6, 18, 54, 162]  # every prefix once
    assert decision.action.tolist() == [0, 1]
    assert decision.arrival.tolist() == [3, 2]


@pytest.mark.parametrize("size", [1, 2, 4])  # of 2, 6 and 18 states; 4 divides neither 6 nor 18
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    roots, goal, mask = start(0, 4), goals(3, 2), torch.tensor([[True, False, True], [True, True, True]])
    whole, blocks = Line(), Line()
    expected = TreeSearch(4).plan(whole.functions(), roots, goal, mask, NO_DRAWS)
    monkeypatch.setattr("planners.tree.BLOCK", size)
    decision = TreeSearch(4).plan(blocks.functions(), roots, goal, mask, NO_DRAWS)
    assert max(map(len, blocks.taken)) <= 3 * size
    assert torch.equal(torch.cat(blocks.taken), torch.cat(whole.taken))
    assert all(map(torch.equal, decision, expected))


@pytest.mark.parametrize("widest", [1, 4, 7])
def test_a_wide_frontier_is_searched_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch, widest: int) -> None:
    roots, goal, mask = start(0, 4), goals(3, 2), torch.tensor([[True, False, True], [True, True, True]])
    whole, parts = Line(), Line()
    expected = TreeSearch(5).plan(whole.functions(), roots, goal, mask, NO_DRAWS)
    monkeypatch.setattr("planners.tree.FRONTIER", widest)
    decision = TreeSearch(5).plan(parts.functions(), roots, goal, mask, NO_DRAWS)
    assert max(map(len, parts.taken)) <= 3 * max(widest, len(mask))
    assert sum(map(len, parts.taken)) == sum(map(len, whole.taken))
    assert all(map(torch.equal, decision, expected))


def test_the_root_mask_is_kept() -> None:
    # The goal of both lies to the right; the first episode may only go left or stay, the second only left.
    mask, line = torch.tensor([[False, True, True], [False, True, False]]), Line()
    decision = TreeSearch(3).plan(line.functions(), START, goals(2, 2), mask, NO_DRAWS)
    assert decision.action.tolist() == [2, 1]
    assert 0 not in line.taken[0]
    assert decision.transitions.tolist() == [2 + 6 + 18, 1 + 3 + 9]


def test_only_actions_that_the_model_expects_to_be_legal_are_imagined() -> None:
    line = Line(allowed=(False, True, True))
    decision = TreeSearch(4).plan(line.functions(), START, goals(1, -4), ANY, NO_DRAWS)
    assert all(0 not in taken for taken in line.taken[1:])
    assert decision.action.tolist() == [0, 1]
    assert decision.score.tolist() == [1, 1]


def test_hrssm_computes_the_recurrent_product_of_siblings_once() -> None:
    model = build()
    rows: list[int] = []
    model.z_rnn.recur.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    root, goal = HRSSMState(torch.zeros(2, 3), torch.randn(2, 12)), torch.randn(2, 15)
    TreeSearch(3).plan(ModelFunctions.of(model), root, goal, ANY, NO_DRAWS)
    assert rows == [2, 6, 18]  # not 6, 18, 54


def test_an_empty_search_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"--depth.*got 0"):
        TreeSearch(depth=0)
