import json
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import pytest

from agent.data.manifest import EPISODE_LENGTH, Manifest, MazeManifest, read_manifest
from agent.data.replay import Replay
from agent.data.shards import write_shard
from envs.camera import Camera
from envs.layout import Layout

SIZE = 2


def numbered(first: int, episodes: int) -> dict[str, np.ndarray]:
    """Arrays whose every entry identifies its episode and step: pose = (episode, t, …), the rest their last byte."""
    episode, t = np.indices((episodes, EPISODE_LENGTH))
    number = (episode + first) * EPISODE_LENGTH + t
    arrays = {}
    for name, (dtype, shape) in manifest(episodes).fields.items():
        value = (number % 128).astype(dtype)
        arrays[name] = np.broadcast_to(value.reshape(*value.shape, *(1 for _ in shape)), (*value.shape, *shape)).copy()
    arrays["pose"][..., 0], arrays["pose"][..., 1] = episode + first, t
    return arrays


def manifest(episodes: int) -> MazeManifest:
    return MazeManifest(Layout.paper(), 7, Camera(size=SIZE), episodes, {"numpy": np.__version__})


def write(folder: Path, episodes: int, complete: int | None = None) -> None:
    """A data set of numbered episodes, all of it or its first `complete` shards."""
    written: Manifest = manifest(episodes)
    for shard in range(written.shards if complete is None else complete):
        checksum = write_shard(folder, shard, numbered(100 * shard, written.episodes_in(shard)))
        written = written.with_shard(checksum)
    written.write(folder)


def test_reads_back_what_was_written(tmp_path):
    write(tmp_path, episodes=130)
    replay = Replay.open(tmp_path)
    assert (replay.episodes, replay.frame_size, replay.layout) == (130, SIZE, Layout.paper())
    assert replay.manifest == read_manifest(tmp_path)
    assert (replay.manifest.origin["data_seed"], replay.manifest.versions) == (7, {"numpy": np.__version__})
    batch = replay.slices(np.array([0, 129, 99]), np.array([0, 70, 35]), 30)
    expected = numbered(0, 130)
    for name, array in expected.items():
        assert batch[name].dtype == array.dtype
        np.testing.assert_array_equal(
            batch[name], np.stack([array[0, 0:30], array[129, 70:100], array[99, 35:65]]), err_msg=name
        )


def test_samples_stay_inside_one_episode_of_their_split(tmp_path):
    write(tmp_path, episodes=120)
    replay = Replay.open(tmp_path)
    assert (replay.split("train"), replay.split("test")) == (range(96), range(96, 120))
    for split in ("train", "test"):
        pose = replay.sample(np.random.default_rng(0), 4000, 30, split)["pose"].astype(int)
        assert (pose[:, :, 0] == pose[:, :1, 0]).all()
        np.testing.assert_array_equal(pose[:, :, 1], pose[:, :1, 1] + np.arange(30))
        assert set(pose[:, 0, 0]) == set(replay.split(split))
        assert set(pose[:, 0, 1]) == set(range(71))  # starts 0 to 70: the last slice ends with step 99


def test_a_sample_is_decided_by_its_generator(tmp_path):
    write(tmp_path, episodes=10)
    replay = Replay.open(tmp_path)
    one, other = (replay.sample(np.random.default_rng(3), 8, 5) for _ in range(2))
    assert all((one[name] == other[name]).all() for name in one)


def test_a_cut_off_collection_opens_with_its_complete_shards(tmp_path):
    write(tmp_path, episodes=250, complete=2)
    replay = Replay.open(tmp_path)
    assert replay.episodes == 200
    assert replay.split("train") == range(160)
    with pytest.raises(ValueError, match="0 to 199, got 0 to 200"):
        replay.slices(np.array([0, 200]), np.array([0, 0]), 1)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("field", ["observation", "action"])
@pytest.mark.parametrize("damage", [truncate, flip_one_bit, Path.unlink], ids=["truncated", "altered", "missing"])
def test_a_damaged_shard_is_refused_by_name(tmp_path, damage, field):
    write(tmp_path, episodes=201)
    damage(tmp_path / "shard-00001" / f"{field}.npy")
    with pytest.raises(ValueError, match=r"shard-00001.*restore") as error:
        Replay.open(tmp_path)
    assert "\n" not in str(error.value)


def test_one_thread_reads_the_headers_of_arrays(tmp_path, monkeypatch):
    """Python 3.11's parser, which reads them, fails now and then where threads share it."""
    write(tmp_path, episodes=201)
    readers, load = set(), np.load

    def noted(*args: Any, **options: Any) -> Any:
        readers.add(get_ident())
        return load(*args, **options)

    monkeypatch.setattr(np, "load", noted)
    Replay.open(tmp_path)
    assert readers == {get_ident()}


def test_a_shard_of_other_shape_is_refused_even_unverified(tmp_path):
    write(tmp_path, episodes=100)
    write_shard(tmp_path, 0, numbered(0, 99))
    with pytest.raises(ValueError, match=r"observation.npy.*\(99, 100, 2, 2, 3\).*\(100,"):
        Replay.open(tmp_path, verify=False)


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no manifest.json.*jumpy collect"):
        Replay.open(tmp_path)


@pytest.mark.parametrize("change", [{"format": 99}, {"layout": None}, {"surprise": 1}])
def test_a_manifest_of_another_format_is_refused(tmp_path, change):
    write(tmp_path, episodes=1)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"manifest.json.*format 1.*--overwrite"):
        Replay.open(tmp_path)


@pytest.mark.parametrize(
    ("start", "length", "split", "rule"),
    [(71, 30, "train", "stay inside its episode"), (-1, 5, "train", "stay inside its episode")],
)
def test_a_slice_outside_its_episode_is_refused(tmp_path, start, length, split, rule):
    write(tmp_path, episodes=5)
    with pytest.raises(ValueError, match=rule):
        Replay.open(tmp_path).slices(np.array([0]), np.array([start]), length)


def test_impossible_samples_are_refused(tmp_path):
    write(tmp_path, episodes=1)
    replay, rng = Replay.open(tmp_path), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"1 to 100.*got 101"):
        replay.sample(rng, 1, 101, "test")
    with pytest.raises(ValueError, match=r"no episode to train.*1 in all"):
        replay.sample(rng, 1, 10, "train")
