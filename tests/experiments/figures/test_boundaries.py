"""Figure 3 of Kim et al. 2019: measured from a run and its videos, rendered from the numbers alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.boundary_scores import match
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.train import train
from envs.videos import BouncingBalls
from experiments import cli
from experiments.common.trained_runs import load_trained
from experiments.figures.boundaries import ROWS, measure_boundaries
from world_models.hrssm.hrssm import HRSSM


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, others with a lambda, and a run."""
    folder = tmp_path_factory.mktemp("world")
    make_videos(VideosConfig(folder / "balls", BouncingBalls(), sequences=30, length=40))
    make_videos(VideosConfig(folder / "lambda", BouncingBalls(recolour=0.1), sequences=30, length=40))
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=2)
    config = TrainConfig(folder / "balls", folder / "run", variant="vta", steps=1, batch_size=2, evaluation=evaluation)
    train(config)
    return folder


def test_is_measured_then_rendered_without_the_run(world, tmp_path, monkeypatch):
    monkeypatch.chdir(world)
    figure = ["figure", "vta-3", "--numbers", str(tmp_path)]
    assert cli.main([*figure, "--measure", "--runs", "run", "--data", "balls"]) == 0
    picture = (tmp_path / "vta-3.png").read_bytes()
    (tmp_path / "vta-3.png").unlink()
    monkeypatch.chdir(tmp_path)  # neither run nor data here
    assert cli.main(figure) == 0
    assert (tmp_path / "vta-3.png").read_bytes() == picture
    facts = json.loads((tmp_path / "vta-3.json").read_text())
    assert facts["dataset"] == facts["runs"][0]["dataset"] == "bouncing-balls"
    assert facts["sequences"] == 6
    assert "--data balls" in facts["command"]


def test_bars_and_changes_are_at_the_same_frame(world, monkeypatch):
    """With the true boundaries for q(m), every bar but the window's first is a change."""
    replay = Replay.open(world / "balls")
    chosen = np.array(replay.split("test"))
    change = replay.slices(chosen, np.zeros_like(chosen), 40)["change"]
    ends = torch.from_numpy(np.roll(change, -1, axis=1)).float()
    monkeypatch.setattr(HRSSM, "segment", lambda _, x, a: ends[: len(x), : x.shape[1]])
    numbers = measure_boundaries([load_trained(world / "run")], (world / "balls",))
    np.testing.assert_array_equal(numbers.arrays["start"][:, 1:] > 0.5, numbers.arrays["change"][:, 1:] > 0)
    assert numbers.arrays["change"][:, 1:].any()
    assert len(numbers.arrays["frames"]) == ROWS
    assert numbers.facts["scores"]["boundary_f1_exact"] == 1
    true = change[:, 2:] > 0
    by_chance = match(true, np.roll(true, 1, axis=0), 1).f1  # against another sequence's changes
    assert numbers.facts["scores"]["boundary_f1_chance"] == pytest.approx(by_chance)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("lambda", "lambda.*recolour 0.1.*recolour 0.0.*--data"),
        ("run", "not a data set"),
    ],
)
def test_other_data_raises(world, monkeypatch, data, message):
    monkeypatch.chdir(world)
    with pytest.raises(ValueError, match=message):
        measure_boundaries([load_trained("run")], (Path(data),))
