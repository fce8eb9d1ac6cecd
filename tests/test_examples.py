"""The examples run: what is one's own appears in training, benchmark and plots by its one entry."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import gymnasium
import pytest

from experiments.cli import main
from planners.interface import Planner
from planners.registry import PLANNERS
from world_models.interface import ModelConfig, Plannable, Trainable
from world_models.registry import MODELS

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_own_world_model_is_trained_and_benchmarked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = example("own_world_model")
    monkeypatch.setitem(MODELS, "own", own.SPEC)  # the entry goes when the test ends
    model = own.Recurrent(ModelConfig(own.SPEC.sizes["quick"], own.SPEC.variants["plain"]))
    assert isinstance(model, Trainable)
    assert isinstance(model, Plannable)
    agents = own.main(tmp_path, frames=1000, steps=2, episodes=2)["agents"]
    assert list(agents) == ["random", "own", "hrssm", "shortest-path"]
    assert (agents["own"]["model"], agents["own"]["planner"]["kind"]) == ("own", "shooting")
    assert agents["own"]["budget"] == agents["hrssm"]["budget"]
    assert (tmp_path / "benchmark" / "rewards.png").is_file()


def test_an_own_environment_is_collected_trained_and_benchmarked_by_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES / "own_environment.py", tmp_path)
    monkeypatch.chdir(tmp_path)  # where the module is found
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    monkeypatch.setitem(sys.modules, "own_environment", None)  # so that it goes when the test ends
    del sys.modules["own_environment"]
    commands = (
        "collect --env own_environment:Corridors-v0 --steps 600 --length 60 --out data",
        "train --data data --model rssm --steps 2 --batch-size 2 --out run",
        "benchmark --agents rssm=run --episodes 4 --batch 2 --out benchmark --budget 30",
        "predict --run run --data data --out predicted --sequences 1 --samples 2",
        "report benchmark",
        "inspect benchmark",
    )
    for command in commands:
        words = command.replace(" --budget 30", " standard --budget 30").split()
        assert main(words) == 0, (command, capsys.readouterr().err)
    agents = json.loads(Path("benchmark/summary.json").read_text())["agents"]
    assert list(agents) == ["random", "rssm", "shortest-path"]
    assert agents["shortest-path"]["success"] == 1 and agents["random"]["reward_over_ceiling"] < 1
    assert Path("benchmark/seen.png").is_file() and not Path("benchmark/routes.png").exists()
    assert "of the ceiling" in capsys.readouterr().out
    assert main(["view", "--agents", "rssm=run", "--no-browser"]) == 2
    assert "only mazes" in capsys.readouterr().err


def test_an_own_planner_is_benchmarked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = example("own_planner")
    monkeypatch.setitem(PLANNERS, "beam", own.BeamSearch)
    assert isinstance(own.BeamSearch(), Planner)
    tree, beam = (summary["agents"]["hrssm"] for summary in own.main(tmp_path, episodes=2))
    assert (tree["planner"]["kind"], beam["planner"]["kind"]) == ("tree", "beam")
    assert 0 < beam["transitions_per_decision"] <= beam["budget"] == own.BeamSearch().budget
