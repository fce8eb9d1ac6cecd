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
EARLY = 30
"""predicted frames, from the first on, in which what comes can best be known: they have a column of their own"""
Row = dict[str, Any]
Scores = dict[str, np.ndarray]
"""The values of one video by metric, one per predicted frame."""
Means = dict[str, np.ndarray]
"""Their means over the frames by metric, one per video."""


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


def video_means(best: list[Scores]) -> Means:
    """The means over the predicted frames of each video."""
    return {name: np.array([video[name].mean() for video in best]) for name in best[0]}


def prediction_rows(predictor: TrainedRun, means: Means) -> list[Row]:
    """The rows of Table 1, with 95 % intervals over videos, and the number of a model's parameters."""
    model = predictor.training["model"]
    known = PREDICTION.get(predictor.training.get("dataset", ""), {}).get(model, {})
    bootstrap = PairedBootstrap(means)
    found = []
    for name in HIGHER_IS_BETTER:
        estimate = bootstrap.mean(name) if name in means else None
        row = predictor_row(predictor, model, name, estimate, known.get(name))
        found.append(row if estimate else row | {"value": NOT_AVAILABLE})
    if parameters := sum(parameter.numel() for parameter in predictor.model.parameters()):
        published = Published(PARAMETERS[model]) if model in PARAMETERS else None
        found.append(predictor_row(predictor, model, "parameters", None, published) | {"value": parameters})
    return found


def paired_rows(row: Row, other: Row, means: Means, others: Means) -> list[Row]:
    """Differences between two models on the videos that both predicted, with 95 % intervals of the paired differences.

    Args:
        row: any row of the first model; the result's `trained_minutes` is how much longer it was trained.
        other: any row of the second.
        means: of the first model's videos.
        others: of the second model's, in the same order.
    """
    minutes = row["trained_minutes"], other["trained_minutes"]
    more = None if None in minutes else minutes[0] - minutes[1]
    found = []
    for name in HIGHER_IS_BETTER:
        if name in means and name in others:
            both = min(len(means[name]), len(others[name]))
            models = f"{row['model']}{DIFFERENCE}{other['model']}"
            pairs = PairedBootstrap({"one": means[name][:both], "other": others[name][:both]})
            difference = pairs.difference("one", "other")
            found.append(result_row(models, row["dataset"], name, difference, trained_minutes=more))
    return found
