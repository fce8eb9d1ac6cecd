"""What `jumpy predict` says: rows of Table 1 and curves of Figure 9 from the values of single videos; its files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from agent.system.atomic_files import write_file
from experiments.common.bootstrap import PairedBootstrap
from experiments.common.numbers import csv_text
from experiments.video.metrics import HIGHER_IS_BETTER, NOT_AVAILABLE
from experiments.video.published import PARAMETERS, PREDICTION, Published
from experiments.video.rows import Predictor, Row, predictor_row, result_row

SEQUENCES, CURVES, ROW = "sequences", "curves.csv", "row.json"
DIFFERENCE = " − "
"""between the names of two models that are compared"""
Scores = dict[str, np.ndarray]
"""A video's values by the name of the metric, one a predicted frame."""


def rows(predictor: Predictor, best: list[Scores]) -> list[Row]:
    """The rows of Table 1, with 95 % intervals over videos, and the number of parameters of a model that has some."""
    model = predictor.training["model"]
    known = PREDICTION.get(predictor.training["dataset"], {}).get(model, {})
    bootstrap = PairedBootstrap({name: np.array([video[name].mean() for video in best]) for name in best[0]})
    found = []
    for name in HIGHER_IS_BETTER:
        estimate = bootstrap.mean(name) if name in best[0] else None
        row = predictor_row(predictor, model, name, estimate, known.get(name))
        found.append(row if estimate else row | {"value": NOT_AVAILABLE})
    if parameters := sum(parameter.numel() for parameter in predictor.model.parameters()):
        published = Published(PARAMETERS[model]) if model in PARAMETERS else None
        found.append(predictor_row(predictor, model, "parameters", None, published) | {"value": parameters})
    return found


def paired_rows(row: Row, other: Row, best: list[Scores], others: list[Scores]) -> list[Row]:
    """Rows of what one model has more than another on the same videos, with 95 % intervals of the paired differences.

    Args:
        row: any row of the one; `trained_minutes` of the result is how much longer it was trained.
        other: any row of the other.
        best: values of the one's videos.
        others: values of the same videos by the other.
    """
    minutes = [each["trained_minutes"] for each in (row, other)]
    more = None if None in minutes else minutes[0] - minutes[1]
    found = []
    for name in HIGHER_IS_BETTER:
        if name in best[0] and name in others[0]:
            columns = {"one": best, "other": others}
            bootstrap = PairedBootstrap(
                {which: np.array([video[name].mean() for video in videos]) for which, videos in columns.items()}
            )
            difference = bootstrap.difference("one", "other")
            models = f"{row['model']}{DIFFERENCE}{other['model']}"
            found.append(result_row(models, row["dataset"], name, difference, None, trained_minutes=more))
    return found


def curves(best: list[Scores]) -> str:
    """Means over videos of every predicted frame, with the ends of their 95 % intervals, as CSV."""
    rows: list[dict[str, Any]] = [{"step": step} for step in range(1, len(best[0]["ssim"]) + 1)]
    for name in HIGHER_IS_BETTER:
        columns = [name, f"{name}_low", f"{name}_high"]
        if name not in best[0]:
            rows = [row | dict.fromkeys(columns, NOT_AVAILABLE) for row in rows]
            continue
        values = np.stack([video[name] for video in best], 1)  # (T, N)
        bootstrap = PairedBootstrap({str(t): frame for t, frame in enumerate(values)})
        for t, row in enumerate(rows):
            estimate = bootstrap.mean(str(t))
            cells = (f"{value:.6g}" for value in (estimate.value, estimate.low, estimate.high))
            row |= dict(zip(columns, cells, strict=True))
    return csv_text(rows)


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
    """What `row.json` in a folder of `jumpy predict` holds.

    Raises:
        ValueError: if the folder holds no finished prediction.
    """
    try:
        found = json.loads((folder / ROW).read_text())
        if found["rows"] and {"command", "commit", "sequences", "context", "samples", "runs"} <= set(found):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{folder} holds no finished prediction: make it with 'jumpy predict'")


def scores_file(out: Path, number: int) -> Path:
    """Where a video's values are kept."""
    return out / SEQUENCES / f"{number:05d}.npz"


def read_best(out: Path, videos: int) -> list[Scores]:
    """Read the values of the first test videos in a folder of `jumpy predict`.

    Raises:
        ValueError: if a file is damaged, or there are fewer.
    """
    files = sorted((out / SEQUENCES).glob("*.npz"))[:videos]
    if len(files) < videos:
        raise ValueError(f"{out} lacks {videos - len(files)} of its {videos} videos: make it anew with 'jumpy predict'")
    return [read_scores(path) for path in files]


def write_scores(path: Path, scores: Scores) -> None:
    """Keep a video's values."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **scores)
    write_file(path, content.getvalue())


def read_scores(path: Path) -> Scores:
    """Read a video's values.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except Exception as error:  # zip and numpy have each their own errors
        raise ValueError(f"{path} is damaged ({type(error).__name__}): delete it and call the command again") from error
