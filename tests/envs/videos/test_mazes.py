"""Videos of mazes: walks by the rules, frames of the raycaster, true passages, and mazes of their own for tests."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agent.data.make_videos import VideosConfig, make_videos
from envs.camera import camera_jitter
from envs.dynamics import ACTIONS, Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from envs.videos import Mazes

SMALL = Mazes(size=16)


def draw(video: Mazes, sequences: int, length: int, seed: int = 0, **options: Any) -> dict[str, np.ndarray]:
    return video.generate(np.random.default_rng(seed), sequences, length, **options)


@pytest.mark.parametrize("jitter", [1.0, 0.0, 2.0])
def test_frames_are_what_the_raycaster_shows_from_the_poses_kept(jitter):
    """Drawn again one by one, from nothing but the maze's number, the pose and the time."""
    arrays = draw(Mazes(jitter=jitter), 2, 40)
    for n, number in enumerate(arrays["maze"][:, 0]):
        view = Raycaster(Layout.random(int(number)), size=64)
        for t, pose in enumerate(arrays["pose"][n]):
            seed, episode, step = np.array([[number], [0], [t]], dtype=np.int64)
            moved = camera_jitter(seed, episode, step, yaw_degrees=3 * jitter, position=0.04 * jitter)
            np.testing.assert_array_equal(arrays["observation"][n, t], view.render(pose[None], moved)[0])


def test_walks_take_legal_actions_and_their_passages_are_the_change_points():
    arrays = draw(SMALL, 12, 100)
    assert (arrays["maze"] == arrays["maze"][:, :1]).all()
    passages = 0
    for pose, change, number in zip(arrays["pose"], arrays["change"], arrays["maze"][:, 0], strict=True):
        dynamics = Dynamics.of(Layout.random(int(number)))
        after = np.stack([dynamics.step(pose[:-1], np.full(99, action))[0] for action in range(ACTIONS)], 1)
        legal = dynamics.action_mask(pose[:-1]) == 1
        reached = (after == pose[1:, None]).all(-1) & legal
        assert reached.any(1).all()
        np.testing.assert_array_equal(change[1:] == 1, dynamics.passage(pose[:-1]))
        assert change[0] == 0
        passages += change.sum()
    assert 0.12 < passages / (12 * 99) < 0.21


def test_every_legal_action_is_taken():
    """At junctions of three ways, each way is as likely, up to chance."""
    arrays, turns = draw(replace(SMALL, size=1), 20, 500), []
    for pose, number in zip(arrays["pose"], arrays["maze"][:, 0], strict=True):
        mask = Dynamics(Layout.random(int(number))).action_mask(pose[:-1])
        turns += ((pose[1:, 2] - pose[:-1, 2]) % 4)[mask.all(1)].tolist()
    shares = np.bincount(turns, minlength=4) / len(turns)  # straight on, right, behind, left
    assert shares[2] == 0
    assert np.abs(shares[[0, 1, 3]] - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(turns))


def test_mazes_of_training_and_test_videos_are_apart():
    number = draw(replace(SMALL, size=1), 24, 2, train=15)["maze"][:, 0]
    np.testing.assert_array_equal(number % 2, np.arange(24) >= 15)
    assert number.min() >= 1_000_000
    assert len({Layout.random(int(one)).rows for one in number}) == 24


def test_data_set_on_disk_keeps_its_test_mazes_apart(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, Mazes(size=1), sequences=15, length=3, seed=4))
    for split, rest in ((replay.split("train"), 0), (replay.split("test"), 1)):
        chosen = np.array(split)
        assert (replay.slices(chosen, np.zeros_like(chosen), 3)["maze"] % 2 == rest).all()
    assert (len(replay.split("train")), len(replay.split("test"))) == (12, 3)


def test_fewer_or_shorter_videos_begin_with_the_same():
    many, few = draw(SMALL, 5, 30), draw(SMALL, 2, 20)
    for name in ("pose", "maze", "observation"):
        np.testing.assert_array_equal(many[name][:2, :20], few[name])
