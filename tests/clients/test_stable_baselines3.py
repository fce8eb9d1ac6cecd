"""Stable-Baselines3 by id: masked PPO in the maze, DQN with hindsight replay in the maze of goals."""

import gymnasium
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env

import envs  # noqa: F401  registers the ids


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_its_checker_takes_the_maze_of_goals():
    check_env(gymnasium.make("JumpyMazeGoal-v0").unwrapped)


def test_masked_ppo_only_takes_legal_actions():
    vector = make_vec_env("JumpyMazeGoal-v0", n_envs=2)
    model = MaskablePPO("MultiInputPolicy", vector, n_steps=16, batch_size=16, n_epochs=1, seed=0)
    model.learn(32)
    observation = vector.reset()
    for _ in range(20):
        masks = np.stack(vector.env_method("action_masks"))
        action, _ = model.predict(observation, action_masks=masks)
        observation, _, _, infos = vector.step(action)
        assert not any(info["illegal_action"] for info in infos)


def test_dqn_learns_from_hindsight():
    maze = gymnasium.make("JumpyMazeGoal-v0")
    options = {"n_sampled_goal": 4, "goal_selection_strategy": "future"}
    model = DQN(
        "MultiInputPolicy",
        maze,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs=options,
        buffer_size=1000,
        learning_starts=120,
        batch_size=32,
        seed=0,
    )
    model.learn(220)
    assert model.replay_buffer is not None
    rewards = model.replay_buffer.sample(200).rewards
    assert set(rewards.unique().tolist()) == {-1.0, 0.0}  # some relabelled goals are reached
