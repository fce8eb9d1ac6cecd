"""The examples run: what is one's own appears in training, benchmark and plots by its one entry."""

import importlib.util
from pathlib import Path
from types import ModuleType

import gymnasium
import pytest

from planners.interface import Planner
from planners.registry import PLANNERS
from tests.support.ring import Ring
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


def test_an_own_environment_is_collected_trained_and_navigated(tmp_path: Path) -> None:
    gymnasium.register("Ring-v0", lambda **options: Ring(**options))
    try:
        own = example("own_environment")
        found = own.main(
            "Ring-v0", tmp_path, frames=600, length=60, steps=2, episodes=4, models=("rssm",), actions=(0, 1)
        )
    finally:
        del gymnasium.registry["Ring-v0"]
    assert set(found) == {"random", "rssm"}
    assert all(0 <= one["mean_reward"] < 100 and 0 <= one["success"] <= 1 for one in found.values())
    assert found["random"]["success"] > 0.5  # a ring of twelve places is small


def test_an_own_planner_is_benchmarked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = example("own_planner")
    monkeypatch.setitem(PLANNERS, "beam", own.BeamSearch)
    assert isinstance(own.BeamSearch(), Planner)
    tree, beam = (summary["agents"]["hrssm"] for summary in own.main(tmp_path, episodes=2))
    assert (tree["planner"]["kind"], beam["planner"]["kind"]) == ("tree", "beam")
    assert 0 < beam["transitions_per_decision"] <= beam["budget"] == own.BeamSearch().budget
