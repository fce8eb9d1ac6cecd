"""Gymnasium's own vectors around our ids, and its tools, with nothing in between."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.play import PlayableGame

import envs  # noqa: F401  registers the ids

IDS = ["JumpyMaze-v0", "JumpyMazeRandom-v0", "JumpyMazeGoal-v0", "JumpyMazePassages-v0"]


@pytest.mark.parametrize("name", IDS)
def test_ids_step_in_each_of_its_vectors_alike(name):
    modes = ["sync", "async", *(["vector_entry_point"] if gymnasium.spec(name).vector_entry_point else [])]
    vectors = [gymnasium.make_vec(name, num_envs=2, vectorization_mode=mode) for mode in modes]
    shown = [vector.reset(seed=5)[0]["observation"].copy() for vector in vectors]
    totals = []
    for vector in vectors:
        steps = [vector.step(np.zeros(2, np.int64)) for _ in range(4)]
        totals.append([(*step[1], *step[2], *step[3]) for step in steps])
        vector.close()
    assert all((frame == shown[0]).all() for frame in shown) and all(total == totals[0] for total in totals)


def test_its_statistics_and_its_player_find_what_they_ask_for():
    vector = gymnasium.make_vec("JumpyMaze-v0", num_envs=2, max_steps=3)
    counted = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    counted.reset(seed=0)
    info = [counted.step(np.ones(2, np.int64))[-1] for _ in range(3)][-1]
    assert info["episode"]["l"].tolist() == [3, 3]
    maze = gymnasium.make("JumpyMaze-v0", render_mode="rgb_array")
    maze.reset(seed=0)
    game = PlayableGame(maze)
    assert game.relevant_keys == {"w", "a", "d"}
