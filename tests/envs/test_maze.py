"""JumpyMaze: Gymnasium's contract, rewards, ends, seeds, pictures, and error messages."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence

from envs.camera import Camera
from envs.dynamics import EAST, LEFT, Dynamics
from envs.layout import Layout
from envs.maze import JumpyMaze
from envs.palette import HALLWAY_COLOURS
from envs.top_view import RED, WHITE, draw_top_view


@pytest.fixture(scope="module")
def maze():
    return JumpyMaze()


@pytest.mark.parametrize(
    "made",
    [
        {"id": "JumpyMaze-v0"},
        {"id": "JumpyMazeRandom-v0", "layout_seed": 3},
        {"id": "JumpyMaze-v0", "max_steps": 7},
        {"id": "JumpyMaze-v0", "goal_frame": True},
    ],
)
def test_gymnasium_checks_the_registered_environments_without_a_warning(made):
    check_env(gymnasium.make(**made, render_mode="rgb_array").unwrapped)


def start_in_a_hallway(maze, least_actions=10):
    """Reset to the first episode that starts where turning is illegal and the goal is not near."""
    for seed in range(100_000, 100_100):
        observation, info = maze.reset(seed=seed)
        if info["action_mask"].tolist() == [1, 0, 0] and info["shortest_path"] >= least_actions:
            return observation, info
    raise AssertionError("no such start")


def walk(maze, info):
    """Follow the shortest path to the episode's end; returns the last step."""
    dynamics = Dynamics.of(maze.layout)
    while True:
        action = dynamics.shortest_action(info["pose"][None], info["goal_cell"][None])[0]
        _, reward, terminated, truncated, info = maze.step(action)
        assert not info["illegal_action"]
        if terminated or truncated:
            return reward, terminated, truncated, info
        assert reward == 0 and not info["success"]


@pytest.mark.parametrize("wasted", ["none", "some", "up to the last step", "one too many"])
def test_reward_is_100_minus_the_actions_taken_even_at_the_last_step(maze, wasted):
    _, info = start_in_a_hallway(maze)
    shortest = info["shortest_path"]
    waste = {"none": 0, "some": 5, "up to the last step": 100 - shortest, "one too many": 101 - shortest}[wasted]
    for _ in range(waste):
        pose = info["pose"]
        _, reward, terminated, truncated, info = maze.step(LEFT)
        assert info["illegal_action"] and (info["pose"] == pose).all()
        assert (reward, terminated, truncated) == (0, False, False)
    reward, terminated, truncated, info = walk(maze, info)
    entered = wasted != "one too many"
    assert (terminated, truncated, info["success"]) == (entered, not entered, entered)
    assert reward == (100 - shortest - waste if entered else 0)
    assert info["shortest_path"] == (0 if entered else 1)


def test_the_crops_are_those_of_the_agent_and_of_the_goal(maze):
    observation, info = start_in_a_hallway(maze)
    (x, y), (goal_x, goal_y) = info["pose"][:2], info["goal_cell"]
    padded = np.pad(maze.layout.picture, ((1, 1), (1, 1), (0, 0)))
    assert (observation["achieved_goal"] == padded[y : y + 3, x : x + 3]).all()
    assert (observation["desired_goal"] == padded[goal_y : goal_y + 3, goal_x : goal_x + 3]).all()
    assert (observation["achieved_goal"][1, 1] == maze.layout.tones[maze.layout.hallway[y, x], 0]).all()


def trajectory(maze, seed, steps=30):
    """All that an episode of random legal actions shows."""
    observation, info = maze.reset(seed=seed)
    rng = np.random.default_rng(0)
    seen = [observation["observation"]]
    poses = [info["pose"]]
    for _ in range(steps):
        observation, _, terminated, truncated, info = maze.step(rng.choice(np.flatnonzero(info["action_mask"])))
        seen.append(observation["observation"])
        poses.append(info["pose"])
        if terminated or truncated:
            break
    return np.stack(seen), np.stack(poses)


def test_a_seed_decides_an_episode_and_other_seeds_give_others(maze):
    frames, poses = trajectory(maze, seed=5)
    again_frames, again_poses = trajectory(JumpyMaze(), seed=5)
    assert (frames == again_frames).all() and (poses == again_poses).all()
    starts = {tuple(maze.reset(seed=seed)[1]["pose"].tolist()) for seed in range(20)}
    assert len(starts) > 10


def test_resets_without_a_seed_start_new_episodes_in_the_same_order(maze):
    def episodes():
        infos = [maze.reset(seed=9)[1]] + [maze.reset()[1] for _ in range(4)]
        return [(*info["pose"].tolist(), *info["goal_cell"].tolist()) for info in infos]

    first = episodes()
    assert len(set(first)) == 5
    assert episodes() == first


def test_every_frame_has_its_own_jitter_unless_it_is_switched_off():
    steady = JumpyMaze(camera=Camera(yaw_degrees=0.0, position=0.0))
    for maze, equal in ((JumpyMaze(), False), (steady, True)):
        before, _ = start_in_a_hallway(maze)
        after, *_, info = maze.step(LEFT)  # illegal: the same pose once more
        assert info["illegal_action"]
        assert (before["observation"] == after["observation"]).all() == equal


def test_the_same_start_looks_different_in_another_episode(maze):
    seen: dict[tuple[int, ...], np.ndarray] = {}
    same, repeated = 0, 0
    for _ in range(150):
        observation, info = maze.reset()
        start, frame = tuple(info["pose"].tolist()), observation["observation"]
        repeated += start in seen
        same += start in seen and (seen[start] == frame).all()
        seen[start] = frame
    assert repeated > 10 and same < repeated / 3  # some frames are of one colour


def test_an_unseeded_episode_can_be_repeated_from_its_seed(maze):
    unseeded = JumpyMaze()
    frame = unseeded.reset()[0]["observation"]
    assert (maze.reset(seed=unseeded.np_random_seed)[0]["observation"] == frame).all()


def test_a_random_layout_depends_only_on_its_seed():
    maze = gymnasium.make("JumpyMazeRandom-v0", layout_seed=7)
    for _ in range(3):
        maze.reset()
        assert maze.get_wrapper_attr("layout") == Layout.random(7)
    assert JumpyMaze(layout="random-7").layout == Layout.random(7)


def test_camera_size_is_the_observations_size():
    maze = JumpyMaze(camera=Camera(size=16))
    observation, _ = maze.reset(seed=0)
    assert observation["observation"].shape == (16, 16, 3)
    assert observation in maze.observation_space


@pytest.mark.parametrize("options", [{"camera": Camera(size=16, yaw_degrees=0.0)}, {"layout": Layout.random(7)}])
def test_a_specification_in_json_makes_the_same_environment(options):
    made = gymnasium.make("JumpyMaze-v0", **options)
    assert made.spec is not None
    again = gymnasium.make(EnvSpec.from_json(made.spec.to_json()))
    frame, same = made.reset(seed=3)[0]["observation"], again.reset(seed=3)[0]["observation"]
    assert frame.shape == same.shape and (frame == same).all()
    assert made.get_wrapper_attr("layout") == again.get_wrapper_attr("layout")


def test_start_and_goal_can_be_chosen(maze):
    _, info = maze.reset(seed=0, options={"start": (12, 6, 1), "goal": (1, 1)})
    assert info["pose"].tolist() == [12, 6, 1, 0] and info["goal_cell"].tolist() == [1, 1]
    _, info = maze.reset(seed=0, options={"goal": (1, 1)})
    assert info["goal_cell"].tolist() == [1, 1] and info["shortest_path"] > 0
    starts = {tuple(maze.reset(options={"goal": [1, 1]})[1]["pose"][:2].tolist()) for _ in range(300)}
    assert len(starts) > 100 and (1, 1) not in starts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": (0, 0, 0)}, r"start must be a free cell.*x=0, y=0"),
        ({"goal": (30, 1)}, r"goal must be a free cell.*x=30, y=1"),
        ({"start": (8, 1, 1)}, r"heading among \[0, 2\].*got 1"),
        ({"start": (8, 1, 0), "goal": (8, 1)}, r"different places.*\[8, 1\]"),
        ({"start": (3, 1)}, r"'start'.*3 whole numbers"),
        ({"goal": (1.0, 1.0)}, r"'goal'.*2 whole numbers"),
        ({"begin": (3, 1, 0)}, r"unknown reset options \['begin'\]"),
    ],
)
def test_impossible_starts_and_goals_are_refused_and_change_nothing(maze, options, message):
    expected = [maze.reset(seed=0), maze.step(0), maze.step(0)]
    again = [maze.reset(seed=0), maze.step(0)]
    with pytest.raises(ValueError, match=message):
        maze.reset(seed=5, options=options)
    assert data_equivalence([*again, maze.step(0)], expected)


def test_the_goals_frame_is_what_is_seen_there():
    maze = JumpyMaze(goal_frame=True, camera=Camera(yaw_degrees=0.0, position=0.0))
    _, info = maze.reset(seed=0, options={"start": (12, 6, 1), "goal": (1, 1)})
    first = Dynamics.of(maze.layout).arrivals(np.array([1, 1]))[0]
    seen = maze.reset(options={"start": first[:3], "goal": (12, 6)})[0]["observation"]
    assert (info["goal"] == seen).all()
    assert (maze.step(0)[-1]["goal"] == maze.step(0)[-1]["goal"]).all()


def test_action_masks_and_keys_are_those_of_the_actions(maze):
    for seed in range(100_000, 100_020):
        _, info = maze.reset(seed=seed)
        assert maze.action_masks().dtype == bool and (maze.action_masks() == info["action_mask"]).all()
    assert {**maze.get_keys_to_action()} == {"w": 0, "a": 1, "d": 2}


def test_bad_arguments_are_errors():
    with pytest.raises(ValueError, match=r"layout 'maze'.*'paper'.*'random-<seed>'"):
        JumpyMaze(layout="maze")
    with pytest.raises(ValueError, match=r"view 'opengl'.*'raycast'.*'miniworld'"):
        JumpyMaze(view="opengl")
    with pytest.raises(ValueError, match=r"render mode 'human'.*'rgb_array'"):
        JumpyMaze(render_mode="human")
    with pytest.raises(ValueError, match="max_steps=0"):
        JumpyMaze(max_steps=0)
    with pytest.raises(ValueError, match=r"camera.*size.*fov_degrees.*'pixels'"):
        JumpyMaze(camera={"pixels": 16})
    with pytest.raises(ValueError, match=r"layout.*name and rows"):
        JumpyMaze(layout={"rows": ["###"]})


class Broken:
    """Cannot be converted."""

    def __array__(self, *_, **__):
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "action",
    [
        *(-1, 3, 10**30, 1.0, np.float32(0), np.nan, "x", b"1", None, {}, [], [0, 1], [[0]], [[0], [1, 2]], [None]),
        *(np.array([0, 1]), np.array([[0]]), np.array([0.0]), np.array([3]), np.zeros(0, int), Broken()),
    ],
    ids=lambda action: repr(action)[:20],
)
def test_what_is_no_action_is_refused_and_changes_nothing(maze, action):
    expected = [maze.reset(seed=0), maze.step(0), maze.reset(), maze.step(0)]
    again = [maze.reset(seed=0)]
    with pytest.raises(ValueError, match=r"^an action must be 0 \(forward\), 1 \(left\) or 2 \(right\), .*got .+$"):
        maze.step(action)
    again += [maze.step(0), maze.reset(), maze.step(0)]
    assert data_equivalence(again, expected)


@pytest.mark.parametrize("form", [np.array, lambda one: np.array([one]), np.uint64, np.int8])
def test_a_whole_number_in_an_array_is_that_action(maze, form):
    for action in range(3):
        maze.reset(seed=0)
        expected = maze.step(action)
        maze.reset(seed=0)
        assert data_equivalence(maze.step(form(action)), expected)


def test_a_step_outside_an_episode_asks_for_a_reset():
    maze = JumpyMaze(max_steps=1)
    for _ in range(2):
        with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\)"):
            maze.step(0)
        maze.reset(seed=0)
        maze.step(0)


def test_the_large_view_shows_the_present_frame():
    maze = JumpyMaze(render_mode="rgb_array")
    observation, _ = start_in_a_hallway(maze)
    large = maze.render()
    assert large is not None and large.shape == (512, 512, 3)
    shrunk = large.reshape(32, 16, 32, 16, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - observation["observation"]).mean() < 4  # of 255; another frame of the walk differs by 20


def test_render_without_a_mode_warns(maze):
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert maze.render() is None


def test_the_top_view_shows_map_agent_goal_and_path():
    layout = Layout.paper()
    plain = draw_top_view(layout, cell=20)
    assert plain.shape == (360, 520, 3)
    assert (plain[30, 30] == HALLWAY_COLOURS[0]).all()  # x=1, y=1

    path = np.array([[7, 6], [8, 6], [9, 6], [9, 6]])
    pose = np.array([9, 6, EAST, 0], dtype=np.int16)
    drawn = draw_top_view(layout, pose=pose, goal=np.array([12, 1]), path=path, cell=20)
    assert (drawn[130, 150] == WHITE).all()  # the path at x=7, y=6
    assert (drawn[130, 160] == WHITE).all()  # between x=7 and x=8
    assert (drawn[30, 250] == WHITE).all() and (drawn[30, 254] == RED).all()  # the goal's inner rings
    white = (drawn[120:140, 180:200] == WHITE).all(axis=-1)  # the agent's cell: broad at the back, pointed ahead
    assert white[:, 5].sum() > 8 > white[:, 14].sum() > 0
    untouched = (drawn == plain).all(axis=-1)
    assert untouched[200:].all()


def test_the_top_view_of_an_episode_follows_its_trail(maze):
    _, info = start_in_a_hallway(maze)
    before = maze.render_top_view()
    walk(maze, info)
    after = maze.render_top_view()
    assert before.shape == after.shape == (18 * 24, 26 * 24, 3)
    assert (before != after).any(axis=-1).sum() > 1000


def test_the_environment_needs_neither_torch_nor_opengl():
    script = (
        "import sys, gymnasium, envs; gymnasium.make('JumpyMaze-v0').reset(seed=0); "
        "heavy = {'torch', 'pyglet', 'miniworld', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_make_imports_the_module_before_the_colon():
    program = "import gymnasium; print(gymnasium.make('envs:JumpyMaze-v0').spec.id)"
    assert "JumpyMaze-v0" in subprocess.check_output([sys.executable, "-c", program], text=True)
