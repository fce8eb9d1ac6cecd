"""Long work in stages: which have finished, and the minutes that each took, kept in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_json
from agent.training.runs import load_model
from experiments.common.hardware import own_seconds


@dataclass(frozen=True)
class Stages:
    """The stages of a work and the file that reports on them.

    The file's ``minutes`` (by the clock) and ``cpu_minutes`` (of the process and its children) hold each stage and the
    ``total``; ``finished`` names stages.
    """

    path: Path
    """the report, in a folder that exists"""
    names: tuple[str, ...]
    """the stages in their order"""

    def read(self) -> dict[str, Any]:
        """The report so far."""
        empty: dict[str, Any] = {"minutes": {}, "cpu_minutes": {}, "finished": []}
        return empty | (json.loads(self.path.read_text()) if self.path.exists() else {})

    @contextmanager
    def run(self, name: str, what: str) -> Iterator[None]:
        """Announce a stage and note the time it takes, also when it is cut off; a finished one is not counted again."""
        print(f"\n[{self.names.index(name) + 1}/{len(self.names)}] {name}: {what}", flush=True)
        report = self.read()
        began, cpu_began = time.perf_counter(), own_seconds()
        try:
            yield
        finally:
            if name not in report["finished"]:
                self._add(report["minutes"], name, time.perf_counter() - began)
                self._add(report["cpu_minutes"], name, own_seconds() - cpu_began)
                self._write(report)
        if name not in report["finished"]:
            self._write(report | {"finished": [*report["finished"], name]})

    def _add(self, minutes: dict[str, float], name: str, seconds: float) -> None:
        """Lengthen a stage and the total."""
        minutes[name] = minutes.get(name, 0.0) + seconds / 60
        minutes["total"] = sum(minutes.get(stage, 0.0) for stage in self.names)

    def _write(self, report: dict[str, Any]) -> None:
        write_json(self.path, report)


def check_reached(run: Path, step: int | None = None) -> None:
    """Stop as the signal asked that stopped a training, which ends it without an error.

    Args:
        run: the run's folder.
        step: where the training was to stop; its last step if None.

    Raises:
        KeyboardInterrupt: if it stopped before.
    """
    _, meta = load_model(run)
    if meta["step"] < (step or meta["run"]["recipe"]["steps"]):
        raise KeyboardInterrupt
