"""The whole job at the smallest size."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agent.system.signals import Interrupted
from agent.training.config import TrainConfig
from experiments import demo as module
from experiments.demo import DemoConfig, demo
from experiments.navigation.planning import Standard
from tests.support.processes import Marked, linux


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

    def stopped(config: TrainConfig) -> None:
        train(replace(config, pause_after=1))
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(module, "train", stopped)
    config = replace(finished, out=tmp_path / "demo")
    with pytest.raises(Interrupted):
        demo(config)
    assert json.loads((config.out / "demo.json").read_text())["finished"] == ["collect"]
    assert not (config.out / "benchmark").exists()


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("sys.exit(143)", Interrupted),
        ("import os; os.kill(os.getpid(), 9)", OSError),
        ("sys.exit('jumpy: error: no')", ValueError),
    ],
)
def test_every_end_of_the_second_training_ends_the_demo(
    finished: DemoConfig, monkeypatch: pytest.MonkeyPatch, program: str, error: type[BaseException]
) -> None:
    monkeypatch.setattr(module, "COMMAND", program)
    monkeypatch.setattr(module, "train", lambda config: None)
    with pytest.raises(error):
        module._train(finished)


def test_second_training_finds_our_packages_beside_folders_of_the_same_names(
    finished: DemoConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("agent", "envs", "experiments", "planners", "world_models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    config = replace(finished, out=finished.out.absolute())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "train", lambda config: None)
    module._train(config)


@linux
def test_second_training_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    options = "--frames 1000 --hrssm-steps 10000 --rssm-steps 10000 --device cpu --out"
    demo = Marked("-m", "experiments.cli", "demo", *options.split(), str(tmp_path / "demo"), folder=tmp_path)
    demo.wait_for(lambda: len(demo.family()) == 2)
    demo.end()
    assert demo.left() == []
