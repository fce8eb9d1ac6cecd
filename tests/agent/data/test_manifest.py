"""Manifests of every kind: written and read back, split, and invalid."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.data.manifest import (
    EPISODES_PER_SHARD,
    Manifest,
    MazeManifest,
    RecordedManifest,
    VideoManifest,
    read_manifest,
)
from agent.data.readers.reader import SPLITS, Clip
from envs.camera import Camera
from envs.layout import Layout
from envs.videos import BouncingBalls, Mazes, MovingBall, MovingMNIST

# beartype, which checks annotations while the tests run, looks at random items of containers.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)
DIGEST = "0" * 64

share = st.floats(0, 1)
name = st.text(max_size=20)
versions = st.dictionaries(name, name, max_size=3)
video = st.one_of(
    st.builds(MovingBall, recolour=share, size=st.integers(12, 64)),
    st.builds(BouncingBalls, noise=share, size=st.integers(10, 64)),
    st.builds(MovingMNIST, moving=st.integers(1, 3), digits=st.just("idx-0123456789ab")),
    st.builds(Mazes, jitter=share),
)
seed, episodes, length = st.integers(0, 2**40), st.integers(1, 1000), st.integers(2, 300)
camera = st.builds(Camera, size=st.integers(1, 64), yaw_degrees=share, position=share)
layout = st.builds(Layout.random, st.integers(0, 50))
clips = st.tuples(*(st.lists(st.builds(Clip, name, st.integers(1, 9)), max_size=120) for _ in SPLITS))
recorded = st.builds(
    RecordedManifest,
    st.sampled_from(["kth", "dml-mazes"]),
    st.dictionaries(name, st.one_of(name, st.lists(name, max_size=2), st.none(), st.integers()), max_size=2),
    length,
    clips.map(lambda each: {split: tuple(some) for split, some in zip(SPLITS, each, strict=True)}),
    name,
    st.lists(name, max_size=2).map(tuple),
    versions,
)
whole = st.one_of(
    st.builds(MazeManifest, layout, seed, camera, episodes, versions),
    st.builds(VideoManifest, video, length, seed, episodes, versions),
    recorded,
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Of any kind, with any number of its shards written."""
    manifest: Manifest = draw(whole)
    for _ in range(draw(st.integers(0, manifest.shards))):
        manifest = manifest.with_shard(DIGEST)
    return manifest


@PROPERTY
@given(manifests())
def test_what_is_written_is_read_back(manifest):
    with TemporaryDirectory() as folder:
        manifest.write(Path(folder))
        assert read_manifest(Path(folder)) == manifest
        assert type(read_manifest(Path(folder))) is type(manifest)


@PROPERTY
@given(manifests())
def test_splits_part_the_written_episodes(manifest):
    assert [episode for split in SPLITS for episode in manifest.split(split)] == list(range(manifest.episodes_written))
    assert sum(manifest.episodes_in(shard) for shard in range(manifest.shards)) == manifest.episodes
    assert manifest.episodes_written <= EPISODES_PER_SHARD * len(manifest.checksums)


MAZE = MazeManifest(Layout.paper(), 7, Camera(), 30, {"numpy": "2"}, (DIGEST,))


def test_a_maze_manifest_of_version_0_1_0_is_read():
    """One without a kind."""
    content = {
        "format": 1,
        "episode_length": 100,
        "layout": {"name": "paper", "rows": list(Layout.paper().rows)},
        "seed": 7,
        "camera": {"size": 32, "fov_degrees": 90.0, "yaw_degrees": 3.0, "position": 0.04},
        "episodes": 30,
        "versions": {"numpy": "2"},
        "checksums": [DIGEST],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_text(json.dumps(content, indent=2) + "\n")
        assert read_manifest(Path(folder)) == MAZE
        before = path.read_text()
        MAZE.write(Path(folder))
        assert path.read_text().startswith(before.rstrip("}\n"))  # and its checksum


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"kind": "film"}, {"episode_length": 50}, {"seed": None, "colour": "red"}, {"layout": {}}]
)
def test_another_content_is_named(tmp_path, change):
    MAZE.write(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"manifest.json.*format 1.*--overwrite") as error:
        read_manifest(tmp_path)
    assert "\n" not in str(error.value)


def test_an_altered_setting_is_seen(tmp_path):
    MAZE.write(tmp_path)
    path = tmp_path / "manifest.json"
    for old, new in (('"seed": 7', '"seed": 8'), ('"fov_degrees": 90.0', '"fov_degrees": 60.0'), ('"paper"', '"mine"')):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=r"manifest\.json .*SHA-256.*--overwrite"):
            read_manifest(tmp_path)
        path.write_text(text)


def test_a_changed_setting_is_found_in_the_settings():
    assert MAZE.settings != replace(MAZE, camera=Camera(size=8)).settings
    video = VideoManifest(MovingBall(), 10, 0, 5, {})
    assert video.settings != replace(video, video=MovingBall(recolour=0.1)).settings
