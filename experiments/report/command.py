"""`jumpy report`: a benchmark, or several on the same episodes, as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from agent.system.atomic_files import locked, write_file
from agent.system.threads import threads
from experiments.figures.benchmarks import read_benchmarks
from experiments.navigation.episode_files import SUMMARY, read_summary
from experiments.report.page import page

REPORT = "report.html"


@dataclass(frozen=True)
class ReportConfig:
    """Write a benchmark, or several on the same episodes, as one HTML file to mail, to print and to read offline."""

    dirs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished benchmarks."""
    out: Path | None = None
    """The file; default: report.html in the first folder."""
    worst: int = 10
    """Worst episodes of each trained agent that are shown with what was imagined; 0 for none."""
    overwrite: bool = False
    """Replace a file of another origin; a report of ours is always replaced."""

    def __post_init__(self) -> None:
        """Validate the folders and the number."""
        if not self.dirs:
            raise ValueError("a report needs at least one folder of a benchmark, got none: give the --out of one")
        if not 0 <= self.worst <= 100:
            raise ValueError(f"--worst must be from 0 to 100, got {self.worst}")


def report(config: ReportConfig) -> Path:
    """Write the report, print its path and return it.

    Raises:
        ValueError: if a folder holds no finished benchmark, or they do not belong together.
        OSError: if the file cannot be written.
    """
    out = config.out or config.dirs[0] / REPORT
    if out.exists() and not config.overwrite and MARK not in out.read_bytes()[:300]:
        raise ValueError(f"{out} is no report of ours: choose another --out, or --overwrite")
    benchmarks = read_benchmarks(config.dirs)
    summaries = {path.parent: read_summary(path.parent) for path in _found(config.dirs)}
    with threads(1):
        content = page(benchmarks, summaries, config.worst)
    with locked(out.parent):
        write_file(out, content.encode())
    print(f"report: {out} ({len(content.encode()) / 2**20:.1f} MB)")
    return out


def _found(folders: tuple[Path, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob(SUMMARY))


MARK = b'<meta name="generator" content="jumpy report">'
"""begins every report"""
