"""A sweep loses nothing when its workers are killed."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.data.collect import CollectConfig, collect
from tests.support.processes import linux
from tests.support.sweeps import write_list

pytestmark = [pytest.mark.cluster, linux]


@pytest.mark.parametrize(("engine", "kills"), [("local", (1, 3)), ("ray", (1,))])
def test_every_point_has_its_row_when_workers_are_killed(tmp_path: Path, engine: str, kills: tuple[int, ...]) -> None:
    collect(CollectConfig(tmp_path / "maze", steps=1000))
    grid = "[grid]\nlearning-rate = [1e-3, 2e-3, 3e-3]\ndecay = [0.0, 0.5]\n"
    path = write_list(tmp_path / "list.toml", tmp_path / "maze", grid)
    words = f"{path} --out {tmp_path / 'out'} --processes 2 --engine {engine}".split()
    command = [sys.executable, "-m", "experiments.cli", "sweep", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for finished in kills:
            while len(list((tmp_path / "out").glob("*/seed-0/benchmark/summary.json"))) < finished:
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            os.kill(_worker(process.pid, engine), signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    with (tmp_path / "out/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["point"] for row in rows}) == 6
    assert {row["steps"] for row in rows} == {"3"}


def _worker(parent: int, engine: str) -> int:
    """A process that computes a piece: of the pool, or of Ray."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                above = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if engine == "local" and above == parent and b"spawn_main" in command:
                return int(entry.name)
            if engine == "ray" and command.startswith(b"ray::_compute") and _below(above, parent):
                return int(entry.name)
        time.sleep(0.02)
    raise AssertionError("no worker")


def _below(pid: int, ancestor: int) -> bool:
    """Whether a process descends from another one."""
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False
