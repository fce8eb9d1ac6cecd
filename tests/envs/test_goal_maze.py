"""JumpyMazeGoal: rewards and ends by how places look, and one call that rewards any pairs of goals."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.dynamics import Dynamics
from envs.goal_maze import JumpyMazeGoal, JumpyMazeGoalVector


@pytest.fixture(scope="module")
def maze():
    return JumpyMazeGoal()


def test_gymnasium_checks_it_without_a_warning():
    check_env(gymnasium.make("JumpyMazeGoal-v0", render_mode="rgb_array").unwrapped)


def test_no_episode_starts_where_it_looks_like_the_goal(maze):
    for seed in range(300):
        observation, info = maze.reset(seed=seed)
        assert (observation["achieved_goal"] != observation["desired_goal"]).any()
        assert not info["success"]


def test_an_episode_ends_in_the_first_cell_that_looks_like_the_goal_and_costs_its_steps(maze):
    dynamics, early = Dynamics.of(maze.layout), 0
    for seed in range(20):
        observation, info = maze.reset(seed=seed)
        total, steps, terminated = 0.0, 0, False
        while not terminated:
            action = dynamics.shortest_action(info["pose"][None], info["goal_cell"][None])[0]
            observation, reward, terminated, _, info = maze.step(action)
            expected = maze.compute_reward(observation["achieved_goal"], observation["desired_goal"], {})
            assert reward == expected == (0 if terminated else -1)
            total, steps = total + reward, steps + 1
        assert total == 1 - steps and info["success"]
        early += info["shortest_path"] > 0  # another cell of the goal's hallway
    assert early >= 3


def test_compute_reward_takes_any_batch(maze):
    rng = np.random.default_rng(0)
    achieved = rng.random((4, 5, 27), dtype=np.float32)
    desired = achieved.copy()
    desired[1, 2, 3] += 0.5
    reward = maze.compute_reward(achieved, desired, [{}] * 4)
    assert reward.shape == (4, 5) and reward[1, 2] == -1 and reward.sum() == -1


def test_the_vector_equals_single_mazes():
    many, singles = JumpyMazeGoalVector(3), [JumpyMazeGoal() for _ in range(3)]
    observation, _ = many.reset(seed=7)
    first = [maze.reset(seed=7 + row)[0] for row, maze in enumerate(singles)]
    for _ in range(5):
        assert all((observation[name][row] == one[name]).all() for row, one in enumerate(first) for name in one)
        observation, reward, *_ = many.step([0, 0, 0])
        results = [maze.step(0) for maze in singles]
        first = [result[0] for result in results]
        assert reward.tolist() == [result[1] for result in results]


def test_what_is_impossible_is_refused(maze):
    with pytest.raises(ValueError, match=r"36 pixels or more, got 32"):
        JumpyMazeGoal(camera={"size": 32})
    with pytest.raises(ValueError, match=r"look different.*\[8, 1\].*\[10, 1\]"):
        maze.reset(options={"start": (8, 1, 0), "goal": (10, 1)})  # the same hallway
