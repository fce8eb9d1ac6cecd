"""The whole job at the smallest size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import demo as module
from experiments.demo import DemoConfig, demo
from experiments.navigation.planning import Standard


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DemoConfig:
    config = DemoConfig(
        out=tmp_path_factory.mktemp("demo") / "demo",
        frames=1000,
        hrssm_steps=2,
        rssm_steps=1,
        episodes=2,
        planner=Standard(budget=3),
        device="cpu",
    )
    demo(config)
    return config


def test_whole_job(finished: DemoConfig) -> None:
    summary = json.loads((finished.out / "benchmark" / "summary.json").read_text())
    assert list(summary["agents"]) == ["random", "hrssm", "rssm", "shortest-path"]
    assert [summary["agents"][name]["trained_steps"] for name in ("hrssm", "rssm")] == [2, 1]
    assert (finished.out / "benchmark" / "rewards.png").exists()
    minutes = json.loads((finished.out / "demo.json").read_text())["minutes"]
    assert set(minutes) == {"collect", "train", "benchmark", "total"}
    assert minutes["total"] == pytest.approx(sum(minutes[stage] for stage in ("collect", "train", "benchmark")))


def test_second_run_reuses_everything(finished: DemoConfig) -> None:
    before = {path: path.read_bytes() for path in finished.out.rglob("*.json")}
    before |= {path: path.read_bytes() for path in finished.out.rglob("*.csv")}
    demo(finished)
    assert before == {path: path.read_bytes() for path in before}


def test_other_options_are_refused(finished: DemoConfig) -> None:
    with pytest.raises(ValueError, match="was collected with --steps 1000, asked for is 2000"):
        demo(replace(finished, frames=2000))


def test_stopped_training_stops_the_demo(finished: DemoConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = module.train
    monkeypatch.setattr(module, "train", lambda config: train(replace(config, pause_after=1)))
    config = replace(finished, out=tmp_path / "demo")
    with pytest.raises(KeyboardInterrupt):
        demo(config)
    assert json.loads((config.out / "demo.json").read_text())["finished"] == ["collect"]
    assert not (config.out / "benchmark").exists()
