"""The files of `jumpy predict`: values of single videos, and the curves of Figure 9."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from agent.system.atomic_files import write_file
from experiments.common.array_files import read_arrays
from experiments.common.bootstrap import PairedBootstrap
from experiments.common.json_files import check_digest, damage_named, read_json
from experiments.common.numbers import csv_text, read_rows
from experiments.video.metrics import HIGHER_IS_BETTER, NOT_AVAILABLE
from experiments.video.rows import Means, Scores

SEQUENCES, CURVES, VIDEOS, ROW, FRAMES = "sequences", "curves.csv", "videos.csv", "row.json", "frames"
FILMS = {"mp4": "video.mp4", "gif": "video.gif"}
PRODUCTS = (SEQUENCES, CURVES, VIDEOS, ROW, FRAMES, *FILMS.values())
"""everything that `jumpy predict` writes, besides its settings"""
AGAIN = "run 'jumpy predict' again"


def curves(best: list[Scores]) -> str:
    """Means over videos at every predicted frame with the ends of their 95 % intervals, as CSV."""
    rows: list[dict[str, Any]] = [{"step": step} for step in range(1, len(best[0]["ssim"]) + 1)]
    for name in HIGHER_IS_BETTER:
        bootstrap = None
        if name in best[0]:
            values = np.stack([video[name] for video in best], 1)  # (T, N)
            bootstrap = PairedBootstrap({str(t): frame for t, frame in enumerate(values, 1)})
        for row in rows:
            ends = [NOT_AVAILABLE] * 3
            if bootstrap is not None:
                estimate = bootstrap.mean(str(row["step"]))
                ends = [f"{value:.6g}" for value in (estimate.value, estimate.low, estimate.high)]
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
    return csv_text(rows)


def videos_table(means: Means) -> str:
    """Each video's means over its predicted frames, as CSV."""
    count = len(next(iter(means.values())))
    return csv_text([{"video": n} | {name: f"{values[n]:.9g}" for name, values in means.items()} for n in range(count)])


def means_table(result: dict[str, Any]) -> str:
    """The means in `row.json` as text."""
    rows = result["rows"]
    videos = f"{result['sequences']} test videos after {result['context']} frames"
    samples = f"the best of {result['samples']} samples" if result["samples"] > 1 else "one sample"
    lines = [f"{rows[0]['model']}, {rows[0]['dataset']}: {videos}, {samples}; [95 % intervals]"]
    for row in rows[: len(HIGHER_IS_BETTER)]:
        value = row["value"] if row["ci95"] is None else "{:.4g} [{:.4g}, {:.4g}]".format(row["value"], *row["ci95"])
        paper = "" if row["published"] is None else f" (paper: {row['published']})"
        lines.append(f"  {row['metric']}  {value}{paper}")
    return "\n".join(lines)


def read_prediction(folder: Path) -> dict[str, Any]:
    """Read `row.json` in a folder of `jumpy predict`.

    Raises:
        ValueError: if the folder holds no finished prediction.
    """
    path, remedy = folder / ROW, f"{folder} holds no finished prediction: make it with 'jumpy predict'"
    counts = dict.fromkeys(("sequences", "context", "samples"), int)
    found = read_json(path, remedy, command=str, rows=list, runs=list, **counts)
    with damage_named(path, remedy):
        which = [
            found["commit"],
            *(row[name] for row in found["rows"] for name in ("dataset", "model", "metric", "value")),
        ]
        if len(which) < 2 or not all(isinstance(run, dict) for run in found["runs"]):
            raise ValueError("it has no rows, or no runs")
    return found


def read_videos(folder: Path, prediction: dict[str, Any]) -> Means:
    """Read what `videos_table` made, in a folder of `jumpy predict`.

    Raises:
        ValueError: if the file is missing, damaged or altered, or has another number of videos.
    """
    rows = _read_table(folder, VIDEOS, prediction)
    if len(rows) != prediction["sequences"]:
        raise ValueError(f"{folder / VIDEOS} has {len(rows)} of {prediction['sequences']} videos: {AGAIN}")
    with damage_named(folder / VIDEOS, AGAIN):
        return {name: np.array([float(row[name]) for row in rows]) for name in HIGHER_IS_BETTER if name in rows[0]}


def read_curves(folder: Path, prediction: dict[str, Any]) -> list[dict[str, str]]:
    """Read the rows that `curves` made, in a folder of `jumpy predict`.

    Raises:
        ValueError: if the file is missing, damaged or altered.
    """
    return _read_table(folder, CURVES, prediction)


def _read_table(folder: Path, name: str, prediction: dict[str, Any]) -> list[dict[str, str]]:
    """Read a CSV file whose digest `row.json` holds."""
    check_digest(folder / name, name, prediction, AGAIN)
    return read_rows(folder / name, AGAIN)


def write_scores(path: Path, scores: Scores) -> None:
    """Write a video's values, or its frames."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **scores)
    write_file(path, content.getvalue())


def read_best(out: Path, episodes: range) -> list[Scores]:
    """Read the values of test videos in a folder of `jumpy predict`.

    Raises:
        ValueError: if a file is damaged.
    """
    paths = (out / SEQUENCES / f"{number:05d}.npz" for number in episodes)
    return [read_arrays(path, "delete it, run the command again") for path in paths]
