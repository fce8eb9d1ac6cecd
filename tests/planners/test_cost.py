"""GoalCost: what a solver of another library needs, by the shipped weights; twenty lines of CEM plan with it."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from agent.acting.agents import WorldModelAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from planners.cost import GoalCost
from planners.tree import TreeSearch

SEEDS = range(100_000, 100_010)


@pytest.fixture(scope="module")
def model():
    return load_trained("pretrained/hrssm-ours").model


@pytest.fixture(scope="module")
def shown():
    passages = gymnasium.make_vec("JumpyMazePassages-v0", num_envs=3)
    passages.reset(seed=100_000)
    observation, *_, info = passages.step([0, 0, 0])
    return {**info, **observation}


def one_hot(action):
    return F.one_hot(torch.tensor(action), 3).float()


def test_the_cost_is_that_of_the_models_own_beliefs(model, shown):
    cost = GoalCost(model, discount=0.9)
    candidates = one_hot([[[0, 1], [2, 0]]] * 3)
    found = cost.get_cost(shown, candidates)
    from world_models.blocks.images import to_float

    frames, actions, count, goal = (
        torch.from_numpy(shown[name]) for name in ("frames", "frame_actions", "frame_count", "desired_goal")
    )
    state = model.observe(to_float(frames), actions, count)
    best = torch.full((3, 2), -torch.inf)
    mask = torch.from_numpy(shown["action_mask"])
    for row, plan in enumerate(([0, 1], [2, 0])):
        now, legal, chance = state, mask.bool(), torch.ones(3)
        for depth, action in enumerate(plan):
            chance = chance * legal[:, action]
            now = model.imagine(now, torch.full((3,), action))
            cosine = F.cosine_similarity(model.feature(now), model.goal_feature(to_float(goal)))
            best[:, row] = best[:, row].maximum(chance * 0.9**depth * cosine - (1 - chance))
            legal = model.legal(now)
    torch.testing.assert_close(found, -best)


def test_an_axis_of_time_or_of_candidates_changes_nothing(model, shown):
    cost, candidates = GoalCost(model), one_hot([[[0, 1], [2, 0]]] * 3)
    expected = cost.get_cost(shown, candidates)
    with_time = {name: torch.from_numpy(np.asarray(value))[:, None] for name, value in shown.items()}
    expanded = {name: value[:, None].expand(-1, 2, *value.shape[1:]) for name, value in with_time.items()}
    for info in (with_time, expanded):
        torch.testing.assert_close(cost.criterion(info, candidates), expected)


def test_an_illegal_first_action_costs_most(model, shown):
    shown = shown | {"action_mask": np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]])}
    mask = shown["action_mask"]
    every = GoalCost(model).get_cost(shown, torch.eye(3)[None, :, None].expand(3, 3, 1, 3))
    assert (every[torch.from_numpy(mask == 0)] == 1).all() and (every[torch.from_numpy(mask == 1)] < 1).all()


def test_gradients_reach_probabilities(model, shown):
    chance = torch.full((3, 1, 2, 3), 1 / 3, requires_grad=True)
    GoalCost(model).get_cost(shown, chance).sum().backward()
    assert chance.grad is not None and (chance.grad.flatten(1) != 0).any(1).all()


def cem(cost, info, rng, horizon=5, samples=64, rounds=4, elites=8):
    """A categorical cross-entropy method, as small as one can be."""
    episodes = len(info["frames"])
    chance = torch.full((episodes, horizon, 3), 1 / 3)
    for _ in range(rounds):
        wanted = torch.multinomial(chance.flatten(0, 1), samples, True, generator=rng)
        plans = F.one_hot(wanted.view(episodes, horizon, samples).movedim(2, 1), 3).float()
        best = cost.get_cost(info, plans).topk(elites, 1, largest=False).indices
        chance = plans[torch.arange(episodes)[:, None], best].mean(1)
    return chance[:, 0].argmax(1).numpy()


def test_a_small_cem_over_it_plans_nearly_as_well_as_the_tree(model):
    cost, rng = GoalCost(model), torch.Generator().manual_seed(0)
    passages = gymnasium.make_vec("JumpyMazePassages-v0", num_envs=len(SEEDS))
    observation, info = passages.reset(seed=SEEDS.start)
    total, running = np.zeros(len(SEEDS)), np.ones(len(SEEDS), bool)
    with torch.inference_mode():
        while running.any():
            action = cem(cost, info | observation, rng)
            observation, reward, terminated, truncated, info = passages.step(action)
            total += reward * running
            running &= ~(terminated | truncated)
    tree = navigate(WorldModelAgent(model, TreeSearch(depth=5)), Layout.paper(), SEEDS)["reward"]
    assert total.mean() > 0.8 * tree.mean()


def test_what_cannot_be_a_cost_is_refused(model, shown):
    with pytest.raises(ValueError, match=r"discount.*above 0.*got 0"):
        GoalCost(model, discount=0.0)
    with pytest.raises(ValueError, match=r"a model that plans.*Linear"):
        GoalCost(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="reads desired_goal"):
        GoalCost(model).get_cost({"frames": shown["frames"]}, one_hot([[[0]]] * 3))
