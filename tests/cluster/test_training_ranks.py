"""Trainings on several ranks: every option that looks across rows, resuming, a rank that dies."""

import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.training.checkpoint import read_checkpoint
from agent.training.evaluate import EvaluationConfig
from agent.training.ranks import Ranks
from agent.training.runs import CHECKPOINT
from agent.training.train import train
from tests.support.maze_runs import step_of, tiny
from tests.support.ranked_steps import CASES, MODELS, largest_error, step
from tests.support.ranks import TORCHRUN, maze_and_videos, torchrun

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maze_and_videos(tmp_path_factory.mktemp("ranks"))


def options(data: Path, out: Path, *more: str) -> list[str]:
    """Arguments of a training, as those of `tiny`."""
    words = (
        f"--data {data / 'paper'} --out {out} --steps 6 --batch-size 4 --device cpu --log-every 2 --evaluate-every 2"
    )
    evaluation = "--evaluation.batches 1 --evaluation.batch-size 4 --evaluation.episodes 3"
    return ["experiments.cli", "train", *words.split(), *evaluation.split(), *more]


def test_every_case_takes_the_step_of_one_rank(data: Path, tmp_path: Path) -> None:
    """Those that tests/agent/training/test_ranks.py leaves out."""
    cases = [case for case in CASES if case not in MODELS]
    ended = torchrun("tests.support.ranked_steps", data, tmp_path, 8, *cases, ranks=4)
    assert ended.returncode == 0, ended.stderr
    for case in cases:
        found, meta = read_checkpoint(tmp_path / f"{case}.safetensors")
        assert meta == {"ranks": 4}
        error, name = largest_error(found, step(case, data, 8, Ranks()))
        # torch's batch norm, which one rank uses, rounds in another order than sums over ranks do
        assert error <= (1e-4 if case.endswith("-norm") else 1e-5), (case, name)


def alone(data: Path, out: Path, steps: int = 6, **changes: Any) -> None:
    """The same training in this process."""
    config = tiny(data / "paper", out, steps=steps, batch_size=4, log_every=2, evaluate_every=2, **changes)
    train(replace(config, evaluation=EvaluationConfig(batches=1, batch_size=4, episodes=3)))


def test_a_run_goes_on_with_two_ranks_then_without_then_with_two(data: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "pieces", tmp_path / "whole"
    ended = torchrun(*options(data, out, "--pause-after", "2"))
    assert ended.returncode == 0, ended.stderr
    alone(data, out, resume=True, pause_after=2)
    ended = torchrun(*options(data, out, "--resume"))
    assert ended.returncode == 0, ended.stderr
    assert step_of(out) == 6
    alone(data, whole)
    found, wanted = (read_checkpoint(run / CHECKPOINT) for run in (out, whole))
    assert found[1]["run"] == wanted[1]["run"]  # nothing of a run's definition says how many ranks there were
    assert sum("2 ranks" in device for device in found[1]["trained_seconds"]) == 1
    for name, value in wanted[0].items():
        torch.testing.assert_close(found[0][name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_a_rank_that_dies_is_named_in_one_line_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    out, long = tmp_path / "run", ["--steps", "5000", "--checkpoint-every", "1"]
    command = [*TORCHRUN, "2", "-m", *options(data, out, *long)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out / CHECKPOINT).exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(_rank(process.pid, 1), signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode
    (line,) = re.findall(r"jumpy: error: .*", errors)
    assert re.search(r"rank 1 .*of 2.* ended: .*--resume", line), line
    before = step_of(out)
    alone(data, out, steps=5000, resume=True, pause_after=1)
    assert step_of(out) == before + 1


def test_what_is_wrong_is_said_once(data: Path, tmp_path: Path) -> None:
    for change, message in (
        (("--batch-size", "5"), "--batch-size must be a multiple of the 2 ranks, got 5"),
        (("--resume",), "holds no run that --resume could continue"),
    ):
        ended = torchrun(*options(data, tmp_path / "new", *change))
        lines = re.findall(r"jumpy: error: .*", ended.stderr)
        assert len(lines) == 1 and message in lines[0], ended.stderr
        assert not (tmp_path / "new" / CHECKPOINT).exists()


def _rank(parent: int, rank: int) -> int:
    """The process of a rank among torchrun's children."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                words = (entry / "environ").read_bytes().split(b"\0")
                if f"RANK={rank}".encode() in words:
                    return int(entry.name)
        except OSError:
            continue
    raise AssertionError(f"rank {rank} does not run")
