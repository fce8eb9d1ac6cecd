"""Long jobs in stages: which are finished, and the minutes each took, kept in a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_json
from experiments.common.hardware import own_seconds
from experiments.common.json_files import damage_named, read_json


@dataclass(frozen=True)
class Stages:
    """The stages of a job and the file that reports on them.

    The file's ``minutes`` (wall time) and ``cpu_minutes`` (of the process and its children) contain each stage and the
    ``total``; ``finished`` lists the finished stages.
    """

    path: Path
    """the report, in an existing folder"""
    names: tuple[str, ...]
    """the stages in order"""

    def read(self) -> dict[str, Any]:
        """The report so far; ValueError if its file is damaged."""
        report: dict[str, Any] = {"minutes": {}, "cpu_minutes": {}, "finished": []}
        if self.path.exists():
            remedy = "begin again with --overwrite"
            report = read_json(self.path, remedy, minutes=dict, cpu_minutes=dict, finished=list)
            with damage_named(self.path, remedy):
                for kind in ("minutes", "cpu_minutes"):
                    sum(report[kind].values())
                    if not set(report["finished"]) <= set(report[kind]):
                        raise ValueError(f"a finished stage has no {kind}")
        return report

    @contextmanager
    def run(self, name: str, what: str) -> Iterator[None]:
        """Announce a stage and add the time it takes, even if it is cut off; finished stages add nothing."""
        print(f"\n[{self.names.index(name) + 1}/{len(self.names)}] {name}: {what}", flush=True)
        report = self.read()
        if name in report["finished"]:
            yield
            return
        clocks = {"minutes": time.perf_counter, "cpu_minutes": own_seconds}
        began = {kind: clock() for kind, clock in clocks.items()}
        try:
            yield
            report["finished"].append(name)
        finally:
            for kind, clock in clocks.items():
                spent = report[kind]
                spent[name] = spent.get(name, 0.0) + (clock() - began[kind]) / 60
                spent["total"] = sum(spent.get(stage, 0.0) for stage in self.names)
            write_json(self.path, report)
