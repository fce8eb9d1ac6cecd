"""Rows of results about videos: ours and the published number side by side, as JSON."""

from __future__ import annotations

from typing import Any

from experiments.common.bootstrap import Estimate
from experiments.common.trained_runs import TrainedRun
from experiments.video.floors import Baseline
from experiments.video.published import Published

Row = dict[str, Any]
UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))
Predictor = TrainedRun | Baseline


def dataset_label(predictor: Predictor) -> str:
    """The data set's name in results, with lambda where colours change by chance."""
    name, chance = predictor.training["dataset"], predictor.training["video"].get("recolour")
    return f"{name}, λ = {chance:g}" if chance else name


def predictor_row(
    predictor: Predictor, model: str, metric: str, estimate: Estimate | None, published: Published | None
) -> Row:
    """A row about a predictor, under the name `model`, with how long it was trained."""
    seconds = predictor.seconds
    minutes, device = None if seconds is None else sum(seconds.values()) / 60, " + ".join(seconds or ()) or None
    return result_row(model, dataset_label(predictor), metric, estimate, published, minutes, device)


def result_row(
    model: str,
    dataset: str,
    metric: str,
    estimate: Estimate | None,
    published: Published | None,
    trained_minutes: float | None = None,
    device: str | None = None,
) -> Row:
    """A row of a result; None for what nobody measured or published."""
    row = {"model": model, "dataset": dataset, "metric": metric, **(estimate or UNKNOWN).to_json()}
    row |= {"published": None if published is None else published.value}
    row |= {"trained_minutes": trained_minutes, "device": device}
    if published is not None and published.deviation is not None:
        row["published_deviation"] = published.deviation
    return row
