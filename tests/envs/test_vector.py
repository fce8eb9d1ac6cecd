"""HallwayMazeVector: equal to the last bit to single mazes in Gymnasium's own vector environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.layout import Layout
from envs.maze import JumpyMaze
from envs.vector import HallwayMazeVector

NUMBER, LIFE = 17, 25  # enough frames for the renderer's threads; short lives, so that many episodes end


def both(mode):
    """The vector environment and Gymnasium's around single mazes."""
    singles = SyncVectorEnv([lambda: JumpyMaze(max_steps=LIFE)] * NUMBER, autoreset_mode=mode)
    return HallwayMazeVector(NUMBER, autoreset_mode=mode, max_steps=LIFE), singles


def assert_equal(ours, theirs, rows=slice(None)):
    """Two dictionaries of arrays are equal in value and type in some rows."""
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype, name
        assert (ours[name][rows] == expected[rows]).all(), name


def assert_step_equal(ours, theirs):
    """Everything that a step returned is equal."""
    *ours, our_info = ours
    *theirs, their_info = theirs
    assert_equal(ours[0], theirs[0])
    for our, their in zip(ours[1:], theirs[1:], strict=True):
        assert our.dtype == their.dtype and (our == their).all()
    if "final_info" in their_info:
        over = their_info["_final_info"]
        assert_equal(our_info.pop("final_info"), their_info.pop("final_info"), over)
        for our, their in zip(our_info.pop("final_obs"), their_info.pop("final_obs"), strict=True):
            assert (our is None) == (their is None)
            if our is not None:
                assert_equal(our, their)
    assert_equal(our_info, their_info)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_vector_equals_single_mazes_to_the_last_bit(mode):
    ours, theirs = both(mode)
    seeds = [*range(100, 100 + NUMBER)]
    (observation, info), (their_observation, their_info) = ours.reset(seed=seeds), theirs.reset(seed=seeds)
    assert_equal(observation, their_observation)
    assert_equal(info, their_info)
    rng = np.random.default_rng(0)
    ends, entered = 0, 0
    for step in range(80):
        legal = (rng.random((NUMBER, 3)) * info["action_mask"]).argmax(axis=1)
        action = np.where(rng.random(NUMBER) < 0.1, rng.integers(3, size=NUMBER), legal)  # some are illegal
        result = ours.step(action)
        assert_step_equal(result, theirs.step(action))
        _, _, terminated, truncated, info = result
        over = terminated | truncated
        ends, entered = ends + over.sum(), entered + terminated.sum()
        if mode is AutoresetMode.DISABLED and over.any():
            observation, info = ours.reset(options={"reset_mask": over})
            their_observation, their_info = theirs.reset(options={"reset_mask": over})
            assert_equal(observation, their_observation)
            assert_equal(info, their_info, over)
        if step == 60:  # a reset in the middle of episodes continues the same random streams
            assert_equal(ours.reset()[0], theirs.reset()[0])
    assert ends >= 2 * NUMBER and entered >= 5


def test_one_seed_stands_for_a_row_of_them():
    ours = HallwayMazeVector(3)
    by_number, by_list = ours.reset(seed=7)[1], ours.reset(seed=[7, 8, 9])[1]
    assert_equal(by_number, by_list)
    singles = [JumpyMaze().reset(seed=seed)[1]["pose"] for seed in (7, 8, 9)]
    assert (by_list["pose"] == singles).all()


def test_unseeded_environments_differ():
    pose = HallwayMazeVector(30).reset()[1]["pose"]
    assert len(np.unique(pose, axis=0)) > 10


def test_what_a_step_returned_is_never_changed_later():
    ours = HallwayMazeVector(NUMBER, max_steps=5)
    observation, info = ours.reset(seed=0)
    kept = [observation["observation"], observation["desired_goal"], info["pose"], info["goal_cell"], info["success"]]
    copies = [array.copy() for array in kept]
    for _ in range(8):
        ours.step(np.zeros(NUMBER, dtype=np.int64))
    assert all((array == copy).all() for array, copy in zip(kept, copies, strict=True))


def test_gymnasium_makes_the_vector_environment():
    made = gymnasium.make_vec("JumpyMaze-v0", num_envs=4, vectorization_mode="vector_entry_point", layout="random-7")
    assert isinstance(made, HallwayMazeVector)
    assert made.layout == Layout.random(7)
    assert made.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = made.reset(seed=0)
    assert observation in made.observation_space
    observation, *_ = made.step(made.action_space.sample())
    assert observation in made.observation_space


def test_a_random_maze_has_a_vector_of_its_own_with_gymnasiums_limit():
    made = gymnasium.make_vec("JumpyMazeRandom-v0", num_envs=2, layout_seed=7, max_episode_steps=3)
    assert isinstance(made, HallwayMazeVector) and made.layout == Layout.random(7)
    assert made.spec is not None and made.spec.max_episode_steps == 3
    made.reset(seed=0, options={"start": np.array([12, 6, 1]), "goal": (1, 1)} if made.layout.free[6, 12] else None)
    ends = [made.step([1, 1])[3].tolist() for _ in range(4)]
    assert ends == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]


def test_what_gymnasium_asks_of_a_vector_equals_its_own():
    ours = HallwayMazeVector(3, render_mode="rgb_array", goal_frame=True, max_steps=9)
    theirs = SyncVectorEnv([lambda: JumpyMaze(render_mode="rgb_array", goal_frame=True, max_steps=9)] * 3)
    options = {"start": (12, 6, 1)}
    assert_equal(ours.reset(seed=4, options=options)[1], theirs.reset(seed=4, options=options)[1])
    assert ours.np_random_seed == theirs.np_random_seed == (4, 5, 6)
    assert [one and one.random() for one in ours.np_random] == [one.random() for one in theirs.np_random]
    for our, their in zip(ours.render() or (), theirs.render(), strict=True):
        assert (our == their).all()
    for name in ("layout", "render_mode", "action_space", "observation_space", "get_keys_to_action", "action_masks"):
        for our, their in zip(ours.call(name), theirs.call(name), strict=True):
            assert np.all(our == their), name
    assert (ours.action_masks() == np.stack(theirs.call("action_masks"))).all()
    for vector in (ours, theirs):
        vector.set_attr("tag", ["a", "b", "c"])
        assert vector.get_attr("tag") == ("a", "b", "c")
        vector.set_attr("tag", 5)
        assert vector.get_attr("tag") == (5, 5, 5)
    with pytest.raises(ValueError, match=r"one value or 3.*got 2"):
        ours.set_attr("tag", [1, 2])
    with pytest.raises(ValueError, match="'layout' belongs to all"):
        ours.set_attr("layout", "random-7")


def test_a_vector_that_nobody_registered_has_no_specification():
    assert HallwayMazeVector(2).spec is None and "num_envs=2" in repr(HallwayMazeVector(2))


def test_each_maze_of_a_vector_can_have_its_own_start_and_goal():
    ours = HallwayMazeVector(2)
    info = ours.reset(seed=0, options={"start": [(12, 6, 1), (1, 1, 1)], "goal": (24, 1)})[1]
    assert info["pose"].tolist() == [[12, 6, 1, 0], [1, 1, 1, 0]] and info["goal_cell"].tolist() == [[24, 1]] * 2
    before = ours.step([0, 0])[-1]["pose"]
    with pytest.raises(ValueError, match="different places"):
        ours.reset(options={"goal": [(1, 1), (12, 6)], "start": [(12, 6, 1), (12, 6, 1)]})
    assert (ours.step([1, 1])[-1]["pose"][:, :2] == before[:, :2]).all()


def test_what_a_user_can_get_wrong_is_named():
    ours = HallwayMazeVector(3, autoreset_mode=AutoresetMode.DISABLED, max_steps=1)
    forward = np.zeros(3, dtype=np.int64)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\) before the first step"):
        ours.step(forward)
    with pytest.raises(gymnasium.error.ResetNeeded, match="first reset"):
        ours.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(ValueError, match=r"seeds.*3 mazes.*got 2"):
        ours.reset(seed=[1, 2])
    for mask in (np.zeros(3, bool), np.ones(2, bool), np.ones(3, int)):
        with pytest.raises(ValueError, match=r"reset_mask.*bool.*\(3,\)"):
            ours.reset(options={"reset_mask": mask})
    ours.reset(seed=0)
    ours.step(forward)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0, 1, 2\].*reset_mask"):
        ours.step(forward)
    ours.reset(options={"reset_mask": np.array([False, True, False])})
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0, 2\].*reset_mask"):
        ours.step(forward)
    with pytest.raises(ValueError, match=r"number of environments.*got 0"):
        HallwayMazeVector(0)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_what_are_no_actions_is_refused_and_changes_nothing(mode):
    refused = [([0, 0], r"shape \(3,\), got the shape \(2,\)"), (np.zeros((3, 1), int), r"got the shape \(3, 1\)")]
    refused += [(0, r"got the shape \(\)"), ([0.0] * 3, r"got \[0.0, 0.0, 0.0\]"), ("x", "got 'x'"), (None, "got None")]
    ours, same = (HallwayMazeVector(3, autoreset_mode=mode, max_steps=2) for _ in range(2))
    for one in (ours, same):
        one.reset(seed=0)
    for step in range(6):
        ignored = mode is AutoresetMode.NEXT_STEP and step % 3 == 2  # as all mazes reset in this step
        for actions, message in refused if ignored else [*refused, ([0, 5, 0], "got 5 for maze 1")]:
            with pytest.raises(ValueError, match=rf"^an action must be 0 .*{message}$"):
                ours.step(actions)
        result, expected = ours.step([0, 0, 0]), same.step(np.zeros(3, int))
        assert_step_equal(result, expected)
        if mode is AutoresetMode.DISABLED and step % 2:
            for one in (ours, same):
                one.reset(options={"reset_mask": np.ones(3, bool)})
