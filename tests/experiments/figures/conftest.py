"""Runs and figures shared by several tests."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from agent.data.collect import CollectConfig, collect
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.train import train
from experiments.figures import commands


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Figure]]:
    """Figures by their files' names, caught where they are saved."""
    caught: dict[str, Figure] = {}
    save = commands.save_png

    def catch(figure: Figure, path: Path) -> None:
        caught[path.stem] = figure
        save(figure, path)

    monkeypatch.setattr(commands, "save_png", catch)
    yield caught


@pytest.fixture(scope="session")
def maze_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two steps, hrssm and rssm, with an evaluation after each, and their data."""
    folder = tmp_path_factory.mktemp("runs")
    collect(CollectConfig(folder / "data", steps=1000))
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=1)
    config = TrainConfig(data=folder / "data", out=folder, steps=2, batch_size=2, evaluate_every=1, device="cpu")
    config = replace(config, evaluation=evaluation)
    train(replace(config, out=folder / "hrssm", model="hrssm"))
    train(replace(config, out=folder / "rssm", model="rssm"))
    return folder
