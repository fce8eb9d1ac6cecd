"""Layouts that were never used to develop, at the smallest size."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agent.training.checkpoint import read_checkpoint
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from experiments import cli
from experiments.common import stage_timer
from experiments.common.numbers import read_numbers
from experiments.navigation import unseen as module
from experiments.navigation.unseen import UnseenConfig, unseen
from experiments.navigation.unseen_numbers import median
from planners.merging import Merging
from tests.support.holder import held
from world_models.hrssm.hrssm import RECIPES

QUICK = ("quick", "ours")


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Iterator[None]:
    """Three training steps of two windows, a minute per stage, without evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_timer, "time", SimpleNamespace(perf_counter=count(step=60).__next__))
        patch.setitem(RECIPES, QUICK, replace(RECIPES[QUICK], steps=3, batch_size=2))
        patch.setattr("agent.training.trainer.evaluate", lambda *_: {})
        patch.setattr("agent.training.trainer.log_pictures", lambda *_: None)
        yield


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Rounding depends on the number of threads, which drawing frames changes."""
    torch.set_num_threads(1)


def configured(folder: Path, *layouts: str) -> UnseenConfig:
    return UnseenConfig(
        out=folder / "out",
        layouts=layouts,
        frames=1000,
        points=2,
        episodes=2,
        depth=1,
        device="cpu",
        numbers=folder / "numbers",
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> UnseenConfig:
    """Two layouts, measured by a call each."""
    torch.set_num_threads(1)
    config = configured(tmp_path_factory.mktemp("unseen"), "random-1")
    unseen(config)
    torch.set_num_threads(1)
    unseen(replace(config, layouts=("random-2",)))
    return config


def points(config: UnseenConfig, layout: str) -> list[dict[str, object]]:
    """A layout's points without their times."""
    found = json.loads((config.out / layout / "unseen.json").read_text())["points"]
    return [{name: value for name, value in point.items() if "minutes" not in name} for point in found]


def test_two_calls_make_one_figure(finished: UnseenConfig) -> None:
    numbers = read_numbers(finished.numbers, "unseen", ("json", "csv"))
    assert [(row["layout"], row["step"]) for row in numbers.rows] == [
        (layout, step) for layout in ("random-1", "random-2") for step in ("1", "3")
    ]
    for first, second in (numbers.rows[:2], numbers.rows[2:]):
        assert 0 < float(first["minutes"]) < float(second["minutes"])
        assert float(first["low"]) <= float(first["reward_over_ceiling"]) <= float(first["high"])
    within = numbers.facts["within"]
    last = [float(row["reward_over_ceiling"]) for row in numbers.rows[1::2]]
    assert list(within["reward_over_ceiling"].values()) == pytest.approx(last, abs=1e-4)  # far below 10 minutes
    assert within["median"] == pytest.approx(sum(last) / 2, abs=1e-4)
    assert numbers.facts["layouts"]["random-1"]["ceiling"]["reward_over_ceiling"] == 1


def test_dlh_is_measured_by_the_recipe_that_is_given_and_named_in_the_command(tmp_path: Path) -> None:
    config = replace(configured(tmp_path, "random-1"), model="dlh", steps=2, batch_size=3)
    settings = unseen(config)["settings"]
    assert (settings["--model"], settings["--steps"], settings["--batch-size"]) == ("dlh", 2, 3)
    assert (tmp_path / "out" / "random-1" / "dlh" / CHECKPOINT).exists()
    command = json.loads((tmp_path / "numbers" / "unseen.json").read_text())["command"]
    assert "--steps 2" in command and "--model dlh --batch-size 3" in command
    with pytest.raises(ValueError, match="--model"):
        unseen(replace(config, model="hrssm"))


def test_planner_and_options_are_those_that_are_given(tmp_path: Path) -> None:
    config = replace(configured(tmp_path, "random-1"), planner="merging", depth=None, options=("horizon=9", "n_max=3"))
    settings = unseen(replace(config, points=1, deadline=20.0))["settings"]
    assert settings["--depth"] == Merging().depth
    model, _ = load_model(tmp_path / "out" / "random-1" / "hrssm")
    assert (model.config.options.horizon, model.config.options.n_max) == (9, 3)
    benchmark = json.loads((tmp_path / "out" / "random-1" / "step-3" / "summary.json").read_text())
    assert benchmark["agents"]["hrssm"]["planner"]["kind"] == "merging"
    numbers = json.loads((tmp_path / "numbers" / "unseen.json").read_text())
    assert "--options horizon=9 n_max=3" in numbers["command"] and "--deadline 20.0" in numbers["command"]
    assert numbers["within"]["minutes"] == 20


def test_median_of_curves_by_hand() -> None:
    one, other = (np.array([0.0, 4.0]), np.array([0.0, 4.0])), (np.array([1.0, 3.0]), np.array([3.0, 5.0]))
    x, y = median([one, other, one])
    assert x.tolist() == [1, 3]  # where all have begun and none has ended
    assert y.tolist() == [1, 3]


def test_minutes_leave_the_benchmarks_out(finished: UnseenConfig) -> None:
    folder = finished.out / "random-1"
    spent = json.loads((folder / "minutes.json").read_text())
    assert list(spent["minutes"]) == ["collect", "total", "train to step 1", "train to step 3"]
    for kind in ("minutes", "cpu_minutes"):
        last = json.loads((folder / "unseen.json").read_text())["points"][-1]
        assert last[kind] == pytest.approx(spent[kind]["total"])


def test_pieces_are_the_uninterrupted_training(finished: UnseenConfig, tmp_path: Path) -> None:
    folder = finished.out / "random-1"
    train(replace(finished.training(folder), out=tmp_path))
    (whole, meta), (pieces, its_meta) = (read_checkpoint(run / CHECKPOINT) for run in (tmp_path, folder / "hrssm"))
    seconds = [known.pop("trained_seconds") for known in (meta, its_meta)]
    assert all(len(devices) == 1 for devices in seconds)
    assert meta == its_meta
    assert whole.keys() == pieces.keys()
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_goes_on_where_it_stopped(finished: UnseenConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(tmp_path, "random-1")

    def killed(_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "benchmark", killed)
        unseen(config)

    def stopped(piece: TrainConfig) -> None:
        train(replace(piece, pause_after=1))
        raise KeyboardInterrupt  # as Ctrl-C at step 2

    report = config.out / "random-1" / "minutes.json"
    before = json.loads(report.read_text())
    assert before["finished"] == ["collect", "train to step 1"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "train", stopped)
        unseen(config)
    half = json.loads(report.read_text())
    assert half["finished"] == before["finished"]
    assert not config.numbers.exists()
    unseen(config)
    after = json.loads(report.read_text())["minutes"]
    assert all(after[name] == before["minutes"][name] for name in before["finished"])
    assert after["train to step 3"] > half["minutes"]["train to step 3"]
    assert points(config, "random-1") == points(finished, "random-1")
    with pytest.raises(ValueError, match=r"unseen\.json holds random-2.*--numbers"):
        unseen(replace(config, numbers=finished.numbers))
    files = set(config.out.glob("random-1/*"))
    unseen(replace(config, overwrite=True, points=1))
    assert files - set(config.out.glob("random-1/*")) == {config.out / "random-1" / "step-1"}
    assert len(points(config, "random-1")) == 1


def test_second_run_measures_nothing_again(finished: UnseenConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "train")
    monkeypatch.delattr(module, "benchmark")
    before = (finished.numbers / "unseen.csv").read_bytes()
    unseen(replace(finished, layouts=("random-1", "random-2")))
    assert (finished.numbers / "unseen.csv").read_bytes() == before


def test_other_work_is_refused(finished: UnseenConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"random-1 holds.*--episodes 2, asked for is 3.*--overwrite"):
        unseen(replace(finished, episodes=3))
    with pytest.raises(ValueError, match=r"numbers.unseen\.json holds.*--episodes 2, asked for is 3.*--numbers"):
        unseen(replace(finished, out=tmp_path / "new", episodes=3))
    with held(finished.out / "random-1") as holder, pytest.raises(ValueError, match=rf"{holder}: .*--layouts"):
        unseen(finished)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"out holds other files.*--out"):
        unseen(configured(tmp_path, "random-1"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--layouts paper", "--layouts must be unseen mazes, got paper: use random-SEED, large-SEED, huge-SEED"),
        (
            "--layouts random-07",
            "--layouts must be unseen mazes, got random-07: use random-SEED, large-SEED, huge-SEED",
        ),
        ("--layouts labyrinth", "--layouts must be unseen mazes, got labyrinth: use random-SEED"),
        ("--layouts random-1 random-1", "--layouts needs one or more different layouts"),
        ("--episodes 0", "--episodes must be at least 1, got 0"),
        ("--frames 150", "--frames must be a positive multiple of 100, got 150"),
        ("--points 4", "--points must be from 1 to the 3 steps of the training, got 4"),
        ("--points 1 --device abacus", "unknown device 'abacus'"),
        ("--points 1 --depth 0 --planner merging", "merging search needs a --depth of at least 1"),
        ("--points 1 --deadline 0", "--deadline must be more than 0"),
        ("--points 1 --options horizons=60", "unknown option 'horizons'"),
    ],
)
def test_wrong_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    assert cli.main(["unseen", "--out", str(tmp_path / "out"), *arguments.split()]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()
