"""Rows of the tables of Zakharov et al. 2022, with our numbers and the paper's.

A row has `model`, `dataset`, `metric`, `value`, `ci95` (95 % bootstrap interval over test videos), `published`,
`trained_minutes` and `device`; null where there is no measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from agent.data.replay import Replay
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.video.level_metrics import estimates, measure
from experiments.video.metric_files import read_curves, read_prediction, read_videos
from experiments.video.published import CHANCES, LEVELS, PARAMETERS, PREDICTION, Published
from experiments.video.rows import EARLY, Row, paired_rows, predictor_row, result_row
from world_models.dlh.dlh import DLH

# ---------------------------------------------------------------- Table 1


def measure_prediction(predictions: tuple[Path, ...]) -> Numbers:
    """Gather what `jumpy predict` measured, with the paper's other rows and the differences of DLH from each model."""
    rows, runs = list[Row](), list[dict[str, Any]]()
    found = dict[tuple[str, str], tuple[Path, dict[str, Any]]]()
    for folder in predictions:
        result = read_prediction(folder)
        which = result["rows"][0]["model"], result["rows"][0]["dataset"]
        if which in found:
            raise ValueError(
                f"{found[which][0]} and {folder} are both of {' on '.join(which)}: give one --predictions folder for "
                "each model and data set"
            )
        found[which] = folder, result
        how = {name: result[name] for name in ("command", "commit", "sequences", "context", "samples")}
        rows += [*result["rows"], _early_row(folder, result)]
        runs += [run | {"prediction": how} for run in result["runs"]]
    for dataset, models in PREDICTION.items():
        for model, metrics in models.items():
            if (model, dataset) not in found:
                known = metrics | {"parameters": Published(PARAMETERS[model])}
                rows += [result_row(model, dataset, metric, None, number) for metric, number in known.items()]
    means = {which: read_videos(folder, result) for which, (folder, result) in found.items()}
    for model, dataset in found:
        pair = ("dlh", dataset), (model, dataset)
        if model != "dlh" and pair[0] in found:
            rows += paired_rows(*(found[which][1]["rows"][0] for which in pair), *(means[which] for which in pair))
    return Numbers({"rows": rows, "runs": runs})


def _early_row(folder: Path, result: dict[str, Any]) -> Row:
    """The SSIM of the first predicted frames, without an interval: the curves are means over videos."""
    steps = read_curves(folder, result)[:EARLY]
    mean = sum(float(step["ssim"]) for step in steps) / len(steps)
    model, dataset = (result["rows"][0][name] for name in ("model", "dataset"))
    return result_row(model, dataset, "ssim_early", None) | {"value": mean}


# ---------------------------------------------------------------- Tables 2, 3 and 5


def measure_levels(
    runs: list[TrainedRun],
    data: tuple[Path, ...],
    sequences: int | None,
    seed: int,
    by: Literal["levels", "λ"],
    names: Callable[[int], tuple[str, ...]],
) -> Numbers:
    """Statistics of the levels of runs on Moving Ball, in the order of a setting that differs between all of them.

    By λ, all runs have two levels, as in the paper. `names` are the metrics (`STATISTICS`) by the number of levels.
    """
    seen = dict[float, TrainedRun]()
    for run in runs:
        levels, recolour = _levels_and_recolour(run)
        if run.training["dataset"] != "moving-ball":
            raise ValueError(f"{run.name} was trained on {run.training['dataset']}: give --runs of moving-ball")
        if by == "λ" and levels != 2:
            raise ValueError(f"{run.name} has {levels} levels: give --runs of 2 levels, as in the paper")
        if (value := recolour if by == "λ" else levels) in seen:
            raise ValueError(f"{seen[value].name} and {run.name} both have {by} {value:g}: give one run for each")
        seen[value] = run
    replays = [Replay.open(path) for path in data]
    pairs = [(run, run.data_of(replays)) for _, run in sorted(seen.items())]
    rows, facts = list[Row](), list[dict[str, Any]]()
    for run, replay in pairs:
        columns, (levels, recolour) = measure(run, replay, sequences, seed), _levels_and_recolour(run)
        published = CHANCES.get(recolour, {})
        if by == "levels":  # published for videos without chance
            published = {} if recolour else LEVELS.get(levels, {})
        for name, estimate in estimates(columns, names(levels)).items():
            rows.append(predictor_row(run, f"dlh, {levels} levels", name, estimate, published.get(name)))
        facts.append(run.facts | {"data": str(replay.folder), "sequences": len(columns["true"])})
    return Numbers({"rows": rows, "runs": facts})


def _levels_and_recolour(run: TrainedRun) -> tuple[int, float]:
    """The number of levels, and lambda: the chance that a colour changes without a bounce."""
    return run.able(DLH).config.options.levels, run.training["video"]["recolour"]
