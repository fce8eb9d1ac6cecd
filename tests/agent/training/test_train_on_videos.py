"""Models of videos, without actions and goals: trained, evaluated, resumed and loaded."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.batch import to_batch
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_scores
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import load_model
from agent.training.train import train
from envs.videos import DATASETS, BouncingBalls
from experiments import cli
from tests.support.tiny import PATCH, Oracle
from world_models.interface import ModelConfig
from world_models.registry import MODELS, build_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sequences of bouncing balls."""
    folder = tmp_path_factory.mktemp("videos") / "balls"
    make_videos(VideosConfig(folder, BouncingBalls(), sequences=40, length=40))
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
    spec = MODELS[kind]
    model: Any = spec.network(ModelConfig(PATCH, spec.variants["vta"], replay.frame_size, actions=0)).train(training)
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
    assert meta["run"]["video"] == asdict(BouncingBalls())
    assert not hasattr(loaded, "goals")
    x = torch.zeros(2, 5, 3, 32, 32)
    none, length = torch.zeros(2, 8, dtype=torch.long), torch.tensor([5, 2])
    frames, _ = loaded.generate(x, none[:, :4], length, none)
    assert frames.shape[2:] == (3, 32, 32)
    assert loaded.imagine(loaded.observe(x, none[:, :4], length), none[:, 0])[0].shape == (2, 8)


@pytest.mark.parametrize(("dataset", "model"), [("moving-mnist", "hrssm"), ("mazes", "rssm")])
def test_trains_on_digits_and_mazes(tmp_path, dataset, model):
    make_videos(VideosConfig(tmp_path / "data", DATASETS[dataset], sequences=10, length=32))
    train(tiny(tmp_path / "data", tmp_path / "run", model=model, steps=2))
    loaded, meta = load_model(tmp_path / "run")
    assert (meta["step"], meta["run"]["dataset"], loaded.config.frame_size) == (2, dataset, 64)
    assert meta["run"]["video"] == asdict(DATASETS[dataset])


def test_resuming_on_other_videos_is_refused(data, tmp_path):
    train(tiny(data, tmp_path / "run", pause_after=1))
    make_videos(VideosConfig(tmp_path / "lambda", BouncingBalls(recolour=0.1), sequences=40, length=40))
    with pytest.raises(ValueError, match=r"video.recolour 0.0.*0.1"):
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


@pytest.fixture(scope="module")
def world(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos that suit, and that do not, and a run on videos."""
    folder = tmp_path_factory.mktemp("world")
    good = VideosConfig(folder / "balls", BouncingBalls(), sequences=10, length=40)
    make_videos(good)
    make_videos(replace(good, out=folder / "short", length=20))
    make_videos(replace(good, out=folder / "odd", video=BouncingBalls(size=40)))
    make_videos(replace(good, out=folder / "few", sequences=1))
    train(tiny(data, folder / "run", pause_after=1))
    return folder


BAD_INPUT = {
    "train --data balls --out new": ("goals", "videos", "--variant vta"),
    "train --data short --out new --variant vta": ("20 frames", "30", "longer"),
    "train --data odd --out new --variant vta": ("40 pixels",),
    "train --data few --out new --variant vta": ("no episode to train", "1 in all"),
    "benchmark --out new --agents h=run": ("run was trained on videos", "jumpy collect"),
}


@pytest.mark.parametrize("arguments", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(world, capsys, monkeypatch, arguments):
    monkeypatch.chdir(world)
    assert cli.main(arguments.split()) == 2
    (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert [word for word in BAD_INPUT[arguments] if word not in line] == []
    assert not (world / "new" / "checkpoint.safetensors").exists()
