import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from agent.data.collect import CollectConfig, collect, random_navigation
from agent.data.manifest import MazeManifest, read_manifest
from envs.camera import Camera, camera_jitter
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from tests.support.files import content

SMALL = Camera(size=8)


def test_actions_are_legal_uniform_and_lead_to_the_next_pose():
    layout = Layout.paper()
    data = random_navigation(layout, episodes=300, seed=1, camera=SMALL)
    dynamics = Dynamics.of(layout)
    pose, action, mask = data["pose"], data["action"], data["action_mask"]
    assert (mask == dynamics.action_mask(pose.reshape(-1, 4)).reshape(mask.shape)).all()
    assert (np.take_along_axis(mask, action[..., None].astype(int), axis=2) == 1).all()
    following, illegal = dynamics.step(pose[:, :-1].reshape(-1, 4), action[:, :-1].reshape(-1))
    assert not illegal.any()
    np.testing.assert_array_equal(following.reshape(300, 99, 4), pose[:, 1:])
    crossing = action[mask.sum(axis=2) == 3]
    shares = np.bincount(crossing, minlength=3) / len(crossing)
    assert np.abs(shares - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(crossing))  # four standard errors


def test_frames_and_crops_show_the_pose():
    layout = Layout.random(3)
    data = random_navigation(layout, episodes=2, seed=5, camera=SMALL)
    pose = data["pose"][1, 40:41]
    np.testing.assert_array_equal(data["achieved_goal"][1, 40], layout.crops[pose[0, 1], pose[0, 0]])
    one = camera_jitter(np.array([5]), np.array([1]), np.array([40]), SMALL.yaw_degrees, SMALL.position)
    frame = Raycaster(layout, SMALL.size, SMALL.fov_degrees).render(pose, one)
    np.testing.assert_array_equal(data["observation"][1, 40], frame[0])


def test_an_episode_does_not_depend_on_how_many_are_collected():
    layout = Layout.paper()
    long, short = (random_navigation(layout, episodes, seed=2, camera=SMALL) for episodes in (130, 101))
    later = random_navigation(layout, 1, seed=2, camera=SMALL, first=100)
    for name in long:
        np.testing.assert_array_equal(long[name][:101], short[name])
        np.testing.assert_array_equal(long[name][100:101], later[name])
    other = random_navigation(layout, 1, seed=3, camera=SMALL)
    assert (other["pose"] != long["pose"][:1]).any()


def test_a_command_writes_the_bytes_that_it_always_wrote(tmp_path):
    """As version 0.1.0 wrote them (NumPy 2, x86-64)."""
    assert collect(CollectConfig(tmp_path, steps=100, seed=3)).manifest.checksums == (
        "1ea8127c4675ba8ecb181b71be22adc1aa72d0bf0ab7f9ba961daacc66ef5cce",
    )


def test_the_data_set_on_disk_is_the_one_in_memory(tmp_path):
    config = CollectConfig(tmp_path / "a" / "b", steps=12_000, layout="random-4", seed=9, camera=SMALL)
    replay = collect(config)
    assert replay.manifest == read_manifest(config.out)
    assert (replay.episodes, len(replay.manifest.checksums)) == (120, 2)
    assert isinstance(replay.manifest, MazeManifest)
    assert (replay.layout, replay.manifest.seed, replay.manifest.camera) == (Layout.random(4), 9, SMALL)
    everything = replay.slices(np.arange(120), np.zeros(120, dtype=np.int64), 100)
    memory = random_navigation(Layout.random(4), 120, seed=9, camera=SMALL)
    for name in memory:
        np.testing.assert_array_equal(everything[name], memory[name])


COLLECT = """
from pathlib import Path
from agent.data.collect import CollectConfig, collect
from envs.camera import Camera
collect(CollectConfig(Path({out!r}), steps=100_000, seed=3, camera=Camera(size=8)))
"""


def test_a_killed_collection_resumes_to_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    collect(CollectConfig(whole, steps=100_000, seed=3, camera=SMALL))
    process = subprocess.Popen([sys.executable, "-c", COLLECT.format(out=str(killed))], stderr=subprocess.DEVNULL)
    while not (killed / "shard-00002").exists():
        assert process.poll() is None, "the collection ended before it could be killed"
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    complete = len(read_manifest(killed).checksums)
    assert 2 <= complete < 10
    first_shard = (killed / "shard-00000" / "observation.npy").stat().st_mtime_ns
    collect(CollectConfig(killed, steps=100_000, seed=3, camera=SMALL))
    assert (killed / "shard-00000" / "observation.npy").stat().st_mtime_ns == first_shard
    assert content(killed) == content(whole)


def test_leftovers_of_a_killed_writer_are_cleared_away(tmp_path):
    config = CollectConfig(tmp_path, steps=100, camera=SMALL)
    collect(config)
    before = content(tmp_path)
    (tmp_path / "manifest.json").unlink()  # killed while the first data set was being replaced
    (tmp_path / ".shard-00000.partial").mkdir()
    (tmp_path / ".manifest.json.partial").write_text("{")
    collect(config)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "random-1"}, "--layout paper.*random-1"),
        ({"seed": 1}, "--seed 0.*1"),
        ({"steps": 200}, "--steps 100.*200"),
        ({"camera": Camera(size=16)}, "--camera.size 8.*16"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_touched(tmp_path, change, message):
    settings = {"out": tmp_path, "steps": 100, "camera": SMALL}
    collect(CollectConfig(**settings))
    before = content(tmp_path)
    with pytest.raises(ValueError, match=f"with {message}.*--overwrite"):
        collect(CollectConfig(**settings | change))
    assert content(tmp_path) == before
    collect(CollectConfig(**settings | change, overwrite=True))
    assert content(tmp_path) != before


def test_a_folder_of_other_files_is_refused_even_with_overwrite(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis.tex.*--out"):
        collect(CollectConfig(tmp_path, steps=100, camera=SMALL, overwrite=True))
    assert content(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_damaged_data_set_is_not_completed(tmp_path):
    collect(CollectConfig(tmp_path, steps=100, camera=SMALL))
    (tmp_path / "shard-00000" / "pose.npy").write_bytes(b"")
    with pytest.raises(ValueError, match="shard-00000"):
        collect(CollectConfig(tmp_path, steps=100, camera=SMALL))


@pytest.mark.parametrize("steps", [0, -100, 99, 150])
def test_steps_must_be_whole_episodes(tmp_path, steps):
    with pytest.raises(ValueError, match=rf"--steps.*multiple of 100.*got {steps}"):
        CollectConfig(tmp_path, steps=steps)
