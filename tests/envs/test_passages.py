"""Passages: one decision a step, the context that a model is shown, and the rewards of the maze."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from envs.dynamics import Dynamics
from envs.maze import JumpyMaze
from envs.passages import Passages


def test_gymnasium_checks_it_and_makes_it_again_from_json():
    made = gymnasium.make("JumpyMazePassages-v0", frames=3, layout="random-7")
    check_env(made.unwrapped, skip_render_check=True)
    assert made.spec is not None
    again = gymnasium.make(EnvSpec.from_json(made.spec.to_json()))
    seen, same = made.reset(seed=1)[1], again.reset(seed=1)[1]
    assert seen["frames"].shape == (3, 32, 32, 3) and (seen["frames"] == same["frames"]).all()


def test_it_stops_at_every_choice_and_nowhere_else_and_shows_what_was_seen():
    decisions, maze = Passages(JumpyMaze(), frames=4), JumpyMaze()
    for seed in range(100_000, 100_010):
        observation, info = decisions.reset(seed=seed)
        plain, plain_info = maze.reset(seed=seed)
        frames, over, total, earned = [plain["observation"]], False, 0.0, 0.0
        actions: list[int] = []
        assert (info["pose"] == plain_info["pose"]).all() and info["walked"] == 0  # a reset never walks
        assert info["frame_count"] == 1 and (info["frames"][:3] == 0).all()
        while not over:
            action = Dynamics.of(maze.layout).shortest_action(info["pose"][None], info["goal_cell"][None])[0]
            observation, reward, terminated, truncated, info = decisions.step(action)
            total, over = total + reward, terminated or truncated
            for step in range(info["walked"]):
                taken = action if step == 0 else np.flatnonzero(plain_info["action_mask"])[0]
                plain, one, *_, plain_info = maze.step(taken)
                frames, actions, earned = [*frames, plain["observation"]], [*actions, taken], earned + one
                assert step + 1 == info["walked"] or plain_info["action_mask"].sum() == 1
            assert over or info["action_mask"].sum() > 1
            assert info["frame_count"] == min(len(frames), 4)
            assert (observation["observation"] == frames[-1]).all()
            for back in range(1, info["frame_count"] + 1):
                assert (info["frames"][-back] == frames[-back]).all()
            assert info["frame_actions"][1 - info["frame_count"] :].tolist() == actions[1 - info["frame_count"] :]
        assert total == earned > 0


def test_a_context_needs_a_frame():
    with pytest.raises(ValueError, match="frames=0"):
        Passages(JumpyMaze(), frames=0)
