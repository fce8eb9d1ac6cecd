"""`jumpy speed`: the numbers have the promised names, and the table shows what there is."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.training.trainer import Trainer
from experiments import cli
from experiments.common import hardware
from experiments.demo import DemoConfig
from experiments.speed import demo as speed_demo
from experiments.speed import gpu
from experiments.speed import train as speed_train
from experiments.speed.gpu import SpeedGpuConfig, speed_gpu
from experiments.speed.plan import SpeedPlanConfig, speed_plan
from experiments.speed.table import SpeedConfig, speed
from experiments.speed.train import SpeedTrainConfig, load_plain_loss
from planners.tree import TreeSearch
from tests.support.tiny import random_batch
from world_models.interface import Batch, Losses

KEYS = {"step_s", "plain_step_s", "ratio", "gradient_error", "peak_share", "peak_rss_gb"}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_is_measured_against_the_plain_loops(tmp_path, monkeypatch, precision, capsys):
    monkeypatch.setattr(speed_train, "GEMM", 64)
    path = tmp_path / "speed_train.json"
    models: tuple[str, ...] = ("hrssm", "rssm") if precision == "fp32" else ("hrssm",)
    speed_train.speed_train(
        SpeedTrainConfig(models, rounds=1, batch_size=2, device="cpu", precision=precision, json=path)
    )
    result, shown = read(path), capsys.readouterr().out
    for model in models:
        assert f"{model}.quick.precision" in shown
        row = result[model]["quick"]
        assert row.keys() >= KEYS
        assert row["ratio"] == pytest.approx(row["plain_step_s"] / row["step_s"])
        assert 0 < row["gradient_error"] <= (1e-5 if precision == "fp32" else 0.03)
        assert row["loading_share"] > 0
    assert result["about"]["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_what_was_measured_is_kept_when_a_batch_does_not_fit(tmp_path, monkeypatch):
    def measure(training, *_):
        if training.model == "dlh":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return {"step_s": 1.0}

    monkeypatch.setattr(speed_train, "_measure", measure)
    path = tmp_path / "speed_train.json"
    with pytest.raises(ValueError, match=r"dlh quick does not fit.*--batch-size"):
        speed_train.speed_train(SpeedTrainConfig(("rssm", "dlh"), device="cpu", json=path))
    assert read(path)["rssm"] == {"quick": {"step_s": 1.0}}


def test_a_parameter_that_no_gradient_reaches_has_no_error():
    class Levels(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.used, self.blocked = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
            self.factor = factor

        def loss(self, batch: Batch, step: int) -> Losses:
            return Losses({"a": (self.factor * self.used + 0 * self.blocked).sum()}, {"a": 1.0}, {})

    batch = random_batch(1, 1)
    assert speed_train._gradient_error(Levels(1.5), Levels(1.0), batch) == pytest.approx(0.5)


def test_a_model_without_plain_loops_is_named():
    assert callable(load_plain_loss("rssm"))
    assert callable(load_plain_loss("dlh"))
    with pytest.raises(ValueError, match="mine has no plain loops"):
        load_plain_loss("mine")


def test_planning_has_the_promised_names(tmp_path):
    path = tmp_path / "speed_plan.json"
    threads = torch.get_num_threads()
    speed_plan(SpeedPlanConfig(planner=TreeSearch(depth=2), repeats=1, device="cpu", json=path))
    result = read(path)
    assert 0 < result["decision_batch1_ms"] < result["decision_batch64_ms"] * 64
    assert result["benchmark_5000_s"] is None  # needs a trained run
    assert torch.get_num_threads() == threads


def test_demo_reports_minutes_and_reward(tmp_path, monkeypatch):
    def pretend(config):
        config.out.mkdir()
        minutes = {"collect": 0.5, "train": 2.0, "benchmark": 1.0, "total": 3.5}
        (config.out / "demo.json").write_text(json.dumps({"minutes": minutes, "cpu_minutes": minutes, "finished": []}))
        return {"device": "cpu", "agents": {"hrssm": {"reward_over_ceiling": 0.97}}}

    monkeypatch.setattr(speed_demo, "demo", pretend)
    path = tmp_path / "speed_demo.json"
    speed_demo.speed_demo(speed_demo.SpeedDemoConfig(DemoConfig(tmp_path / "demo"), path))
    result = read(path)
    assert result["minutes"] == {"collect": 0.5, "train": 2.0, "benchmark": 1.0, "total": 3.5}
    assert result["reward_over_ceiling"] == 0.97


def test_table_shows_what_was_measured_and_guesses_nothing(tmp_path, capsys):
    row = dict.fromkeys(KEYS, 0.5) | {"ratio": 2.25, "loading_share": 0.01, "frames_per_s": 1000, "precision": "bf16"}
    about = {"machine": "a machine", "threads": 2, "commit": "abc1234", "versions": {"torch": "2.13.0"}}
    (tmp_path / "speed_train.json").write_text(json.dumps({"hrssm": {"quick": row}, "about": about}))
    assert cli.main(["speed", "--results", str(tmp_path)]) == 0
    lines = (tmp_path / "speed.md").read_text().splitlines()
    assert "| training step, hrssm, quick, CPU, bf16 | 2.25 × (0.500 s, plain 0.500 s) | 3 × the plain loop |" in lines
    assert "| training step, hrssm, paper, one GPU | not measured | 10 × the plain loop |" in lines
    assert "| exhaustive tree, depth 5, one episode | not measured | 5 ms |" in lines
    assert "- train: a machine, 2 threads, commit abc1234, torch 2.13.0" in lines
    assert "2.25 ×" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"nowhere is not a folder.*--results"):
        speed(SpeedConfig(tmp_path / "nowhere"))
    (tmp_path / "speed_plan.json").write_text("{")
    with pytest.raises(ValueError, match=r"speed_plan\.json is damaged.*measure it again"):
        speed(SpeedConfig(tmp_path))


@pytest.mark.parametrize(("busy", "own", "load"), [(5, 2, 1.5), (2, 2, 0), (1.9, 2, 0), (None, 2, None)])
def test_foreign_load_leaves_out_our_own_work(monkeypatch, busy, own, load):
    """In two seconds all processes together used `busy` seconds of processor time, this one and its children `own`."""
    used = {"_busy_seconds": busy, "own_seconds": own}
    for name, seconds in used.items():
        clock = iter((None, None) if seconds is None else (100.0, 100.0 + seconds))
        monkeypatch.setattr(hardware, name, lambda clock=clock: next(clock))
    wall = iter((50.0, 52.0))
    monkeypatch.setattr(hardware.time, "perf_counter", lambda: next(wall))
    assert hardware.foreign_load()() == load


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not say what other processes use")
def test_another_process_is_foreign_load():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        foreign = hardware.foreign_load()
        time.sleep(0.3)
        load = foreign()
        other.kill()
    assert load is not None and load > 0.2


def test_a_dry_run_on_the_cpu_measures_every_row_of_a_gpu(tmp_path, capsys):
    """Of models with plain loops and without; the graph is the one thing that a CPU does not have."""
    models = ("hrssm", "lmc-memory")
    config = SpeedGpuConfig(tmp_path, 10.0, models, ("quick",), 1, batch_size=1, depth=1, device="cpu")
    speed_gpu(config)
    result, shown = read(tmp_path / "speed_gpu.json"), (tmp_path / "speed_gpu.md").read_text()
    for model in models:
        assert result["step"][model]["quick"]["step_s"] > 0
        plain = result["plain"][model]["quick"]
        assert "no plain loops" in plain["reason"] if model == "lmc-memory" else plain["plain_step_s"] > 0
        assert f"| {model}, quick | " in shown
    assert result["plan"]["hrssm"]["quick"]["decision_batch64_ms"] > 0
    assert result["load"]["hrssm"]["quick"]["device_batch_ms"] > 0
    assert "not measured" in shown and shown in capsys.readouterr().out


def test_a_row_that_fails_and_a_row_without_time_end_nothing(tmp_path, monkeypatch):
    def update(self):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 TiB")

    monkeypatch.setattr(Trainer, "update", update)
    monkeypatch.setattr(gpu, "median_decision", lambda *_: pytest.fail("there was no time for it"))
    monkeypatch.setattr(gpu, "_loads", lambda *_: time.sleep(9))
    config = SpeedGpuConfig(tmp_path, 0.05, ("hrssm",), ("quick",), batch_size=1, device="cpu")
    clock = iter([0.0, 1.0, *[100.0] * 50])
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(clock))
    speed_gpu(config)
    result = read(tmp_path / "speed_gpu.json")
    assert "out of memory" in result["step"]["hrssm"]["quick"]["reason"]
    assert result["plan"]["hrssm"]["quick"] == {"reason": "no time was left"}
    assert "no time was left" in (tmp_path / "speed_gpu.md").read_text()


def test_a_gpu_that_is_not_there_is_one_line(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert cli.main(["speed", "gpu", "--out", str(tmp_path / "out")]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
