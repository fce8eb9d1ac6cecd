"""A data set of ten episodes and a finished run on it."""

import shutil
from pathlib import Path

import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.training.train import train
from tests.support.maze_runs import tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten episodes."""
    folder = tmp_path_factory.mktemp("data") / "paper"
    collect(CollectConfig(folder, steps=1000))
    return folder


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 steps in one piece, with one thread."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(tiny(data, out, evaluate_every=15))
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """The run, to be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))
