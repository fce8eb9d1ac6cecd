"""WorldModelPolicy: over Passages it earns what `navigate` earns, whatever holds the environments."""

import gymnasium
import numpy as np
import pytest

from agent.acting.agents import WorldModelAgent
from agent.acting.navigate import navigate
from agent.acting.policy import WorldModelPolicy
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from planners.merging import Merging
from planners.tree import TreeSearch
from world_models.interface import Plannable

SEEDS = range(100_000, 100_008)


@pytest.fixture(scope="module")
def model():
    return load_trained("pretrained/hrssm-ours").able(Plannable)


def rewards(policy, frames=5):
    """The total rewards of the first episode of each seed, and the policy's decisions."""
    passages = gymnasium.make_vec("JumpyMazePassages-v0", num_envs=len(SEEDS), frames=frames)
    observation, info = passages.reset(seed=SEEDS.start)
    total, running = np.zeros(len(SEEDS)), np.ones(len(SEEDS), bool)
    while running.any():
        observation, reward, terminated, truncated, info = passages.step(policy.get_action(info | observation))
        total += reward * running
        running &= ~(terminated | truncated)
    return total


@pytest.mark.parametrize("planner", [TreeSearch(depth=4), Merging(transitions=60)], ids=["tree", "merging"])
def test_the_policy_earns_what_navigate_does(model, planner):
    expected = navigate(WorldModelAgent(model, planner), Layout.paper(), SEEDS)["reward"]
    assert (rewards(WorldModelPolicy(model, planner)) == expected).all() and (expected > 0).sum() > 5


def test_a_longer_context_is_cut_to_what_the_model_reads(model):
    policy = WorldModelPolicy(model, TreeSearch(depth=3))
    assert (rewards(policy, frames=8) == rewards(policy)).all()


def test_what_is_missing_is_named(model):
    policy = WorldModelPolicy(model, TreeSearch(depth=1))
    maze = gymnasium.make_vec("JumpyMaze-v0", num_envs=2)
    observation, info = maze.reset(seed=0)
    with pytest.raises(ValueError, match=r"frames.*walked is missing.*JumpyMazePassages-v0"):
        policy.get_action(info | observation)
    with pytest.raises(ValueError, match=r"reads 5 frames, Passages shows 2.*frames=5"):
        rewards(policy, frames=2)
