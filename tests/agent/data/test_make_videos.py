"""`jumpy videos`: the data set on disk, its command line, and invalid input."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.manifest import VideoManifest
from agent.data.replay import Replay
from envs.videos import DATASETS, BouncingBalls
from experiments import cli
from tests.support.files import content

BOUNCING = BouncingBalls()


def test_data_set_on_disk(tmp_path):
    replay = make_videos(VideosConfig(tmp_path / "balls", BOUNCING, sequences=130, length=40, seed=3))
    assert (replay.episodes, replay.episode_length, replay.frame_size) == (130, 40, 32)
    assert (replay.split("train"), replay.split("test")) == (range(104), range(104, 130))
    assert isinstance(replay.manifest, VideoManifest)
    assert replay.manifest.video == BOUNCING
    assert Replay.open(replay.folder).manifest == replay.manifest
    whole = replay.slices(np.arange(130), np.zeros(130, dtype=np.int64), 40)
    for shard, rows in ((0, slice(0, 100)), (1, slice(100, 130))):
        arrays = BOUNCING.generate(np.random.default_rng((3, shard)), 100, 40)
        for name, array in arrays.items():
            np.testing.assert_array_equal(whole[name][rows], array[: rows.stop - rows.start])
    longer = make_videos(VideosConfig(tmp_path / "more", BOUNCING, sequences=150, length=40, seed=3))
    again = longer.slices(np.arange(130), np.zeros(130, dtype=np.int64), 40)
    assert all((again[name] == whole[name]).all() for name in whole)  # a longer data set begins with the same sequences


CHECKSUMS = {
    "bouncing-balls": "863718d3be1bff9597a34a482903164f3064b551ae1f55af412ea1a02d5f3479",
    "moving-ball": "db2f5d9c3044f2806e47f0fb6f4d9fc50175d729a2b4e85462f5192a5175b390",
    "moving-mnist": "498c9e49e45548171cb326e0885795b8876cd692e4b1935b64f16d9aa90ce714",
    "mazes": "4a67cc44fa6950e8a0d1b7ac74de6617cbc429da742855be5a452a8868aa600b",
}
"""of the shard that each command writes below, as version 0.1.0 wrote it (NumPy 2, x86-64)"""


@pytest.mark.parametrize("name", DATASETS)
def test_a_command_writes_the_bytes_that_it_always_wrote(tmp_path, name):
    assert cli.main(["videos", name, *f"--out {tmp_path} --sequences 2 --length 3 --seed 3".split()]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["dataset"], manifest["checksums"]) == (name, [CHECKSUMS[name]])


MAKE = """
from pathlib import Path
from agent.data.make_videos import VideosConfig, make_videos
from envs.videos import BouncingBalls
make_videos(VideosConfig(Path({out!r}), BouncingBalls(), sequences=1500, length=20, seed=3))
"""


def test_killed_generation_resumes_to_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    config = VideosConfig(whole, BOUNCING, sequences=1500, length=20, seed=3)
    make_videos(config)
    process = subprocess.Popen([sys.executable, "-c", MAKE.format(out=str(killed))], stderr=subprocess.DEVNULL)
    while not (killed / "shard-00002").exists():
        assert process.poll() is None, "the videos were ready before the process could be killed"
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(json.loads((killed / "manifest.json").read_text())["checksums"]) < 15
    first = (killed / "shard-00000" / "observation.npy").stat().st_mtime_ns
    make_videos(replace(config, out=killed))
    assert (killed / "shard-00000" / "observation.npy").stat().st_mtime_ns == first
    assert content(killed) == content(whole)


def test_altered_shard_is_refused_by_name(tmp_path):
    make_videos(VideosConfig(tmp_path, BOUNCING, sequences=5, length=10))
    path = tmp_path / "shard-00000" / "change.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(ValueError, match="shard-00000"):
        Replay.open(tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_help_explains_every_option_with_the_data_sets_own_defaults(capsys, name):
    video = DATASETS[name]
    assert cli.main(["videos", name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for option in fields(video):
        assert f"--{option.name}" in shown
        assert f"(default: {getattr(video, option.name)})" in shown
    for default in (video.default_sequences, video.default_length):
        assert f"(default: {default})" in shown


def test_help_lists_the_data_sets(capsys):
    assert cli.main(["videos", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"jumpy videos {name} " in shown for name in DATASETS)


BAD_INPUT = {
    "videos": ("none was given", "bouncing-balls", "mazes"),
    "videos juggling --out new": ("'juggling'", "bouncing-balls", "mazes"),
    "videos moving-ball": ("--out", "jumpy videos moving-ball --help"),
    "videos moving-ball --out new --recolour 1.5": ("--recolour", "0 to 1", "got 1.5"),
    "videos moving-ball --out new --recolour often": ("'often'",),
    "videos moving-ball --out new --sequences 0": ("--sequences", "got 0"),
    "videos moving-ball --out new --length 1": ("--length", "got 1"),
    "videos moving-ball --out new --seed -1": ("--seed", "got -1"),
    "videos mazes --out new --recolour 0": ("--recolour", "jumpy videos mazes --help"),
    "videos moving-mnist --out new --jitter 1": ("--jitter",),
    "videos mazes --out new --jitter -1": ("--jitter", "got -1"),
    "videos mazes --out new --size 0": ("--size", "got 0"),
    "videos moving-mnist --out new --size 32": ("--size", "at least 33", "got 32"),
    "videos bouncing-balls --out new --size 8": ("--size", "at least 10", "got 8"),
    "videos mazes --out balls": ("bouncing-balls", "mazes", "--overwrite"),
    "videos bouncing-balls --out balls --sequences 10 --length 50": ("--length 40", "50", "--overwrite"),
    "collect --out balls": ("--layout None", "paper", "--overwrite"),
}


@pytest.mark.parametrize("arguments", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    if " balls" in arguments:
        make_videos(VideosConfig(Path("balls"), BOUNCING, sequences=10, length=40))
    capsys.readouterr()
    assert cli.main(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jumpy: error: ")
    assert [word for word in BAD_INPUT[arguments] if word not in line] == []
    assert not Path("new").exists()
