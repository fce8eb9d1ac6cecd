"""Rows of results about videos: our number next to the published one, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.trained_runs import TrainedRun, place_of
from experiments.video.metrics import HIGHER_IS_BETTER, NOT_AVAILABLE
from experiments.video.published import PARAMETERS, PREDICTION, Published

DIFFERENCE = " − "
"""between the names of two models that are compared"""
Row = dict[str, Any]
Scores = dict[str, np.ndarray]
"""The values of one video by metric, one per predicted frame."""


def dataset_label(predictor: TrainedRun) -> str:
    """The data set's name in results, with lambda where colours change by chance."""
    if "dataset" not in predictor.training:
        return place_of(predictor.training)
    name, chance = predictor.training["dataset"], predictor.training["video"].get("recolour")
    return f"{name}, λ = {chance:g}" if chance else name


def result_row(
    model: str,
    dataset: str,
    metric: str,
    estimate: Estimate | None,
    published: Published | None = None,
    trained_minutes: float | None = None,
    device: str | None = None,
) -> Row:
    """One row of a table; None for what was not measured or published."""
    row: Row = {"model": model, "dataset": dataset, "metric": metric, "value": None, "ci95": None}
    row |= estimate.to_json() if estimate else {}
    row |= {"published": published and published.value, "trained_minutes": trained_minutes, "device": device}
    return row | ({"published_deviation": published.deviation} if published and published.deviation else {})


def predictor_row(
    predictor: TrainedRun, model: str, metric: str, estimate: Estimate | None, published: Published | None
) -> Row:
    """A row about a predictor under the name `model`, with its training time."""
    seconds = predictor.seconds
    minutes, device = None if seconds is None else sum(seconds.values()) / 60, " + ".join(seconds or ()) or None
    return result_row(model, dataset_label(predictor), metric, estimate, published, minutes, device)


def prediction_rows(predictor: TrainedRun, best: list[Scores]) -> list[Row]:
    """The rows of Table 1, with 95 % intervals over videos, and the number of a model's parameters."""
    model = predictor.training["model"]
    known = PREDICTION.get(predictor.training.get("dataset", ""), {}).get(model, {})
    bootstrap = PairedBootstrap({name: _video_means(best, name) for name in best[0]})
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
    """Differences between two models on the videos that both predicted, with 95 % intervals of the paired differences.

    Args:
        row: any row of the first model; the result's `trained_minutes` is how much longer it was trained.
        other: any row of the second.
        best: values of the first model's videos.
        others: values of the second model's, in the same order.
    """
    both = min(len(best), len(others))
    minutes = row["trained_minutes"], other["trained_minutes"]
    more = None if None in minutes else minutes[0] - minutes[1]
    found = []
    for name in HIGHER_IS_BETTER:
        if name in best[0] and name in others[0]:
            means = {"one": _video_means(best[:both], name), "other": _video_means(others[:both], name)}
            models = f"{row['model']}{DIFFERENCE}{other['model']}"
            difference = PairedBootstrap(means).difference("one", "other")
            found.append(result_row(models, row["dataset"], name, difference, trained_minutes=more))
    return found


def _video_means(best: list[Scores], name: str) -> np.ndarray:
    return np.array([video[name].mean() for video in best])
