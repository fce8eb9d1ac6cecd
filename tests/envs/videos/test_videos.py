"""Videos: what is drawn and true of it, the data set on disk, models without actions and goals, and what is refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.batch import to_batch
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.manifest import VideoManifest
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig, boundary_scores
from agent.training.runs import load_model
from agent.training.train import train
from envs.videos import DATASETS, PALETTE, Balls, Video
from experiments import cli
from tests.support.tiny import PATCH, Oracle
from world_models.registry import MODELS, build_model

CPU = torch.device("cpu")


def balls(name: str) -> Balls:
    video = DATASETS[name]
    assert isinstance(video, Balls)
    return video


BOUNCING, MOVING = balls("bouncing-balls"), balls("moving-ball")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def draw(video: Video, sequences: int, length: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    return video.generate(np.random.default_rng(seed), sequences, length)


# ------------------------------------------------------------------------ what is drawn


@pytest.mark.parametrize("name", DATASETS)
def test_arrays_have_the_types_and_shapes_of_the_fields(name):
    video = DATASETS[name]
    arrays = draw(video, 3, 7)
    assert {key: (array.dtype, array.shape[2:]) for key, array in arrays.items()} == video.fields
    assert all(array.shape[:2] == (3, 7) for array in arrays.values())


def test_the_seed_alone_decides():
    one, same, other = (draw(BOUNCING, 2, 30, seed) for seed in (5, 5, 6))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert (array != other[name]).any(), name


def test_bounces_agree_with_the_positions():
    """The path from a frame to the next is straight, up to noise, but where a wall reflected the ball."""
    video = replace(BOUNCING, noise=0.0)
    arrays = draw(video, 50)
    position, bounce = arrays["position"].astype(float), arrays["bounce"]
    low, high = video.radius, video.size - video.radius
    assert ((position >= low - 1e-4) & (position <= high + 1e-4)).all()
    velocity = np.diff(position, axis=1)
    straight = np.all(
        np.abs(np.diff(velocity, axis=1)) < 1e-4, axis=-1
    )  # at t + 1, from t to t + 2: no wall on the way
    np.testing.assert_array_equal(straight, (bounce[:, 1:-1] == 0) & (bounce[:, 2:] == 0))
    goes_on = position[:, 1:-1] + velocity[:, :-1]  # where frame t + 1 would be without a wall, from the step before
    free = bounce[:, 1:-1] == 0
    beyond = np.any((goes_on < low) | (goes_on > high), axis=-1)
    np.testing.assert_array_equal(beyond[free], bounce[:, 2:][free] == 1)
    assert 0.06 < bounce[:, 1:].mean() < 0.1
    assert (bounce[:, 0] == 0).all()


def test_colours_change_at_bounces_and_the_first_frame_that_shows_it_is_marked():
    arrays = draw(MOVING, 30)
    colour = shown(arrays)
    changed = (colour[:, 1:] != colour[:, :-1]).any(-1)
    np.testing.assert_array_equal(changed, arrays["change"][:, 1:] == 1)
    np.testing.assert_array_equal(arrays["change"], arrays["bounce"][..., 0])
    assert (arrays["change"][:, 0] == 0).all()
    assert {tuple(one) for one in colour.reshape(-1, 3)} == {tuple(one) for one in PALETTE}


def shown(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Colour of the pixel at the only ball's centre, (N, T, 3)."""
    x, y = np.floor(arrays["position"][:, :, 0]).astype(int).transpose(2, 0, 1)
    n, t = np.indices(x.shape)
    return arrays["observation"][n, t, y, x]


def test_change_points_are_those_of_either_ball():
    arrays = draw(BOUNCING, 50)
    np.testing.assert_array_equal(arrays["change"] > 0, arrays["bounce"].any(-1))
    both = arrays["bounce"].all(-1).mean()
    assert 0 < both < arrays["change"].mean() < 0.2


@pytest.mark.parametrize("recolour", [0.1, 0.3])
def test_colours_also_change_by_chance_with_probability_lambda(recolour):
    arrays = draw(replace(MOVING, recolour=recolour), 100)
    change, bounce = arrays["change"][:, 1:], arrays["bounce"][:, 1:, 0]
    assert (change[bounce > 0] == 1).all()
    by_chance = change[bounce == 0]
    assert abs(by_chance.mean() - recolour) < 4 * np.sqrt(recolour * (1 - recolour) / by_chance.size)


def test_every_other_colour_is_as_likely():
    colour = shown(draw(MOVING, 300))
    before, after = colour[:, :-1].reshape(-1, 3), colour[:, 1:].reshape(-1, 3)
    red = (before == PALETTE[0]).all(-1) & (after != PALETTE[0]).any(-1)
    shares = [(after[red] == other).all(-1).mean() for other in PALETTE[1:]]
    assert np.abs(np.array(shares) - 0.2).max() < 4 * np.sqrt(0.16 / red.sum())


def test_edges_are_smooth_and_the_whole_ball_is_in_the_frame():
    """The covered area is the ball's, wherever it is: pi r², which a ball with jagged edges misses."""
    video = replace(MOVING, radius=4.0)
    arrays = draw(video, 20)
    brightest = arrays["observation"].max(-1).astype(float)
    area = (brightest / brightest.max((2, 3), keepdims=True)).sum((2, 3))
    assert np.abs(area - np.pi * 16).max() < 1.5
    assert np.abs(area.mean() - np.pi * 16) < 0.3


def test_a_later_ball_is_drawn_on_top():
    arrays = draw(BOUNCING, 200)
    meet = np.linalg.norm(np.diff(arrays["position"], axis=2)[:, :, 0], axis=-1) < 1
    assert meet.any()
    top = shown({**arrays, "position": arrays["position"][:, :, 1:]})[meet]
    assert (top[:, None] == PALETTE).all(-1).any(-1).all()  # a pure colour: nothing shines through


# ------------------------------------------------------------------------ the data set on disk


def test_data_set_on_disk(tmp_path):
    replay = make_videos(VideosConfig(tmp_path / "balls", sequences=130, length=40, seed=3))
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
    longer = make_videos(VideosConfig(tmp_path / "more", sequences=150, length=40, seed=3))
    again = longer.slices(np.arange(130), np.zeros(130, dtype=np.int64), 40)
    assert all((again[name] == whole[name]).all() for name in whole)  # a longer data set begins with the same sequences


DRAW = """
import hashlib, numpy as np
from envs.videos import DATASETS
for name, video in DATASETS.items():
    arrays = video.generate(np.random.default_rng(3), 2, 20, 1)
    print(name, hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest())
"""


def test_another_process_draws_the_same():
    told = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True).stdout.split()
    for name, digest in zip(told[::2], told[1::2], strict=True):
        arrays = DATASETS[name].generate(np.random.default_rng(3), 2, 20, 1)
        assert hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest() == digest, name
    assert told[::2] == list(DATASETS)


MAKE = """
from pathlib import Path
from agent.data.make_videos import VideosConfig, make_videos
make_videos(VideosConfig(Path({out!r}), sequences=1500, length=20, seed=3))
"""


def test_killed_generation_resumes_to_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    config = VideosConfig(whole, sequences=1500, length=20, seed=3)
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
    make_videos(VideosConfig(tmp_path, sequences=5, length=10))
    path = tmp_path / "shard-00000" / "change.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(ValueError, match="shard-00000 is damaged"):
        Replay.open(tmp_path)


def test_help_tells_the_data_sets_own_defaults(capsys):
    assert cli.main(["videos", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    ball, digits, mazes = (DATASETS[name] for name in ("moving-ball", "moving-mnist", "mazes"))
    assert digits.default_sequences == mazes.default_sequences
    assert f"default: {ball.default_sequences} of balls, {digits.default_sequences} of digits and mazes" in told
    lengths = [video.default_length for video in (ball, digits, mazes)]
    assert "default: {} of balls, {} of digits, {} of mazes".format(*lengths) in told
    assert f"default: {ball.size} of balls, {digits.size} of digits and mazes" in told
    assert digits.size == mazes.size


# ------------------------------------------------------------------------ models without actions and goals


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sequences of bouncing balls."""
    folder = tmp_path_factory.mktemp("videos") / "balls"
    make_videos(VideosConfig(folder, sequences=40, length=40))
    return folder


def tiny(data: Path, out: Path, **changes: Any) -> TrainConfig:
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=4)
    options: dict[str, Any] = {"variant": "vta", "steps": 3, "batch_size": 2, "device": "cpu", "evaluation": evaluation}
    return TrainConfig(data=data, out=out, **options | changes)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["hrssm", "rssm"])
def test_every_parameter_gets_a_gradient(data, kind, training):
    torch.manual_seed(0)
    replay = Replay.open(data)
    network, config, variants = MODELS[kind]
    model = network(config(PATCH, variants["vta"], replay.frame_size, actions=0)).train(training)
    fields = replay.sample(np.random.default_rng(0), 8, model.window_length)
    losses = model.loss(to_batch(fields, CPU), 0)
    assert {"image", "kl_s"} <= set(losses.terms)
    assert not {"goal", "contrast", "legal"} & set(losses.terms)
    losses.total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert without == []


@pytest.mark.parametrize("model", ["hrssm", "rssm"])
def test_trains_evaluates_resumes_and_loads(data, tmp_path, model):
    config = tiny(data, tmp_path / "run", model=model, options=("l_max=10",) if model == "hrssm" else ())
    train(replace(config, pause_after=1))
    train(replace(config, resume=True))
    loaded, meta = load_model(config.out)
    assert meta["step"] == 3
    assert (meta["run"]["dataset"], loaded.config.actions) == ("bouncing-balls", 0)
    assert meta["run"]["video"] == vars(BOUNCING)
    assert not hasattr(loaded, "goals")
    x = torch.zeros(2, 5, 3, 32, 32)
    none, length = torch.zeros(2, 8, dtype=torch.long), torch.tensor([5, 2])
    frames, _ = loaded.generate(x, none[:, :4], length, none)
    assert frames.shape[2:] == (3, 32, 32)
    assert loaded.imagine(loaded.observe(x, none[:, :4], length), none[:, 0])[0].shape == (2, 8)


@pytest.mark.parametrize(("dataset", "model"), [("moving-mnist", "hrssm"), ("mazes", "rssm")])
def test_trains_on_digits_and_mazes(tmp_path, dataset, model):
    make_videos(VideosConfig(tmp_path / "data", dataset, sequences=10, length=32))
    train(tiny(tmp_path / "data", tmp_path / "run", model=model, steps=2))
    loaded, meta = load_model(tmp_path / "run")
    assert (meta["step"], meta["run"]["dataset"], loaded.config.frame_size) == (2, dataset, 64)
    assert meta["run"]["video"] == vars(DATASETS[dataset])


def test_resuming_on_other_videos_is_refused(data, tmp_path):
    train(tiny(data, tmp_path / "run", pause_after=1))
    make_videos(VideosConfig(tmp_path / "lambda", sequences=40, length=40, recolour=0.1))
    with pytest.raises(ValueError, match=r"video\.recolour 0\.0, asked for is 0\.1"):
        train(tiny(tmp_path / "lambda", tmp_path / "run", resume=True))


def test_a_subsequence_ends_one_frame_before_the_change(data):
    replay = Replay.open(data)
    change = replay.slices(np.arange(32, 40), np.zeros(8, dtype=np.int64), 40)["change"] > 0
    ends = np.roll(change, -1, axis=1)  # m_t = 1 where frame t + 1 is the first of another colour
    for unknown in (0, -1):  # neither the first frame nor the last counts
        ends[:, unknown] = True
    exact = boundary_scores(Oracle(ends), replay, CPU, 100)
    assert exact["boundary_f1_exact"] == exact["boundary_precision"] == exact["boundary_recall"] == 1
    assert boundary_scores(Oracle(change), replay, CPU, 100)["boundary_f1_exact"] < 0.5


def test_a_maze_model_is_as_it_was():
    """The width of the action's one-hot code is the only thing that `actions` changes."""
    model: Any = build_model("hrssm", "quick", "ours", 32)
    assert hasattr(model, "goals")
    video: Any = build_model("hrssm", "quick", "vta", 32, actions=0)
    assert model.z_rnn.project.in_features == video.z_rnn.project.in_features + 3


# ------------------------------------------------------------------------ what is refused


@pytest.fixture(scope="module")
def world(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos that suit, and that do not, and a run on videos."""
    folder = tmp_path_factory.mktemp("world")
    for name, change in (("short", {"length": 20}), ("odd", {"size": 40}), ("few", {"sequences": 1})):
        make_videos(replace(VideosConfig(folder / name, sequences=10, length=40), **change))  # type: ignore[arg-type]
    make_videos(VideosConfig(folder / "balls", sequences=40, length=40))
    train(tiny(data, folder / "run", pause_after=1))
    return folder


BAD_INPUT = [
    ("videos --out new --dataset juggling", "invalid choice 'juggling' for argument '--dataset'"),
    ("videos --out new --recolour 1.5", "--recolour (lambda) must lie in 0 to 1, got 1.5"),
    ("videos --out new --recolour often", "'often'"),
    ("videos --out new --sequences 0", "--sequences must be 1 or more, got 0"),
    ("videos --out new --length 1", "--length must be 2 or more, got 1"),
    ("videos --out new --seed -1", "--seed must be 0 or more, got -1"),
    (
        "videos --out new --dataset mazes --recolour 0",
        "--recolour 0.0 does not apply to mazes, only to bouncing-balls, ",
    ),
    (
        "videos --out new --digits mnist",
        "--digits mnist does not apply to bouncing-balls, only to moving-mnist: leave it",
    ),
    (
        "videos --out new --dataset moving-mnist --jitter 1",
        "does not apply to moving-mnist, only to mazes: leave it out",
    ),
    ("videos --out new --dataset mazes --jitter -1", "--jitter must be 0 (a steady camera) or more, got -1"),
    ("videos --out new --dataset mazes --size 0", "--size must be 1 or more, got 0"),
    (
        "videos --out new --dataset moving-mnist --size 32",
        "--size must leave a digit of 28 pixels and speed 4.2 room to bounce, at least 33 pixels, got 32",
    ),
    ("videos --out balls --dataset mazes", "was collected with --dataset bouncing-balls, asked for is mazes: choose"),
    (
        "videos --out new --size 8",
        "--size must leave a ball of radius 4 and speed 2 room to bounce, at least 10 pixels",
    ),
    (
        "videos --out balls --length 50 --sequences 40",
        "was collected with --length 40, asked for is 50: choose another --out, or --overwrite",
    ),
    ("collect --out balls", "was collected with --layout None, asked for is paper: choose another --out"),
    (
        "train --data balls --out new",
        "variant 'ours' of hrssm learns from goals and legal actions, videos have none: use",
    ),
    (
        "train --data short --out new --variant vta",
        "short has episodes of 20 frames, a training window has 30: make longer",
    ),
    ("train --data odd --out new --variant vta", "frames of 40 pixels cannot be encoded"),
    ("train --data few --out new --variant vta", "no episode to train on (1 in all)"),
    ("benchmark --out new --agents h=run", "run was trained on videos: give a run of maze data"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[arguments for arguments, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_status_2(world, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(world)
    assert cli.main(arguments.split()) == 2
    told = capsys.readouterr().err
    line = [row for row in told.splitlines() if row.startswith("jumpy: error: ")]
    assert len(line) == 1
    assert message in line[0]
    assert not (world / "new" / "checkpoint.safetensors").exists()
