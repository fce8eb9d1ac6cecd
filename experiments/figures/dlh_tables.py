"""Rows of the tables of Zakharov et al. 2022, our numbers and the paper's side by side.

A row has `model`, `dataset`, `metric`, `value`, `ci95` (95 % bootstrap interval over test videos), `published`,
`trained_minutes` and `device`; null where nobody measured it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.data.replay import Replay
from experiments.common.bootstrap import Estimate
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.video import level_metrics
from experiments.video.metric_files import paired_rows, read_best, read_prediction
from experiments.video.published import CHANCES, LEVEL_KL, LEVELS, PARAMETERS, PREDICTION, Published
from experiments.video.rows import Row, predictor_row, result_row

# ---------------------------------------------------------------- Table 1


def measure_prediction(predictions: tuple[Path, ...]) -> Numbers:
    """Gather what `jumpy predict` measured, with the paper's other rows, and how much better DLH is than each.

    Raises:
        ValueError: if a folder holds no finished prediction, or two are of the same model and data set.
    """
    rows, runs, folders = list[Row](), list[dict[str, Any]](), dict[tuple[str, str], Path]()
    found = {folder: read_prediction(folder) for folder in predictions}
    for folder, result in found.items():
        which = result["rows"][0]["model"], result["rows"][0]["dataset"]
        if which in folders:
            raise ValueError(
                f"{folders[which]} and {folder} are both of {' on '.join(which)}: give one --predictions folder for "
                "each model and data set"
            )
        folders[which] = folder
        how = {name: result[name] for name in ("command", "commit", "sequences", "context", "samples")}
        rows += result["rows"]
        runs += [run | {"prediction": how} for run in result["runs"]]
    for dataset, models in PREDICTION.items():
        for model, metrics in models.items():
            if (model, dataset) not in folders:
                known = metrics | {"parameters": Published(PARAMETERS[model])}
                rows += [result_row(model, dataset, metric, None, number) for metric, number in known.items()]
    best = {folder: read_best(folder, result["sequences"]) for folder, result in found.items()}
    for (model, dataset), other in folders.items():
        if model != "dlh" and (own := folders.get(("dlh", dataset))):
            both = min(len(best[own]), len(best[other]))
            ours, theirs = (found[folder]["rows"][0] for folder in (own, other))
            rows += paired_rows(ours, theirs, best[own][:both], best[other][:both])
    return Numbers({"rows": rows, "runs": runs})


# ---------------------------------------------------------------- Tables 2, 3 and 5

Measurements = list[tuple[str, Estimate, Published | None]]


def measure_levels(runs: list[TrainedRun], data: tuple[Path, ...], sequences: int | None, seed: int) -> Numbers:
    """Table 2: levels used and divergences of runs with different numbers of levels."""
    return _of_runs(_by_setting(runs, "levels", _levels_of), data, sequences, seed, _level_measurements)


def measure_chances(runs: list[TrainedRun], data: tuple[Path, ...], sequences: int | None, seed: int) -> Numbers:
    """Table 3: how surely changes are foreseen, by runs of two levels with different lambda."""
    for run in runs:
        if _levels_of(run) != 2:
            raise ValueError(f"{run.name} has {_levels_of(run)} levels: give --runs of 2 levels, as in the paper")
    return _of_runs(_by_setting(runs, "λ", _recolour), data, sequences, seed, _chance_measurements)


def measure_level_kl(runs: list[TrainedRun], data: tuple[Path, ...], sequences: int | None, seed: int) -> Numbers:
    """Table 5: each level's divergence, of runs with different numbers of levels."""
    return _of_runs(_by_setting(runs, "levels", _levels_of), data, sequences, seed, _kl_measurements)


def _by_setting(runs: list[TrainedRun], what: str, setting: Callable[[TrainedRun], float]) -> list[TrainedRun]:
    """Runs of Moving Ball in the order of a setting, in which all must differ."""
    seen = dict[float, TrainedRun]()
    for run in runs:
        if run.training["dataset"] != "moving-ball":
            raise ValueError(f"{run.name} was trained on {run.training['dataset']}: give --runs of moving-ball")
        if (value := setting(run)) in seen:
            raise ValueError(f"{seen[value].name} and {run.name} both have {what} {value:g}: give one run for each")
        seen[value] = run
    return [run for _, run in sorted(seen.items())]


def _of_runs(
    runs: list[TrainedRun],
    data: tuple[Path, ...],
    sequences: int | None,
    seed: int,
    measurements: Callable[[TrainedRun, level_metrics.Columns], Measurements],
) -> Numbers:
    """The rows of several runs."""
    replays = [Replay.open(path) for path in data]
    pairs = [(run, run.data_of(replays)) for run in runs]
    rows, facts = list[Row](), list[dict[str, Any]]()
    for run, replay in pairs:
        columns = level_metrics.measure(run, replay, sequences, seed)
        label = f"dlh, {_levels_of(run)} levels"
        rows += [predictor_row(run, label, *measurement) for measurement in measurements(run, columns)]
        facts.append(run.facts | {"data": str(replay.folder), "sequences": len(columns["true"])})
    return Numbers({"rows": rows, "runs": facts})


def _levels_of(run: TrainedRun) -> int:
    return run.model.config.options.levels


def _recolour(run: TrainedRun) -> float:
    """Lambda: the chance that a colour changes without a bounce."""
    return run.training["video"]["recolour"]


def _level_measurements(run: TrainedRun, columns: level_metrics.Columns) -> Measurements:
    known = {} if _recolour(run) else LEVELS.get(_levels_of(run), {})
    found = level_metrics.level_numbers(columns) | level_metrics.change_numbers(columns)
    return [(metric, estimate, known.get(metric)) for metric, estimate in found.items()]


def _chance_measurements(run: TrainedRun, columns: level_metrics.Columns) -> Measurements:
    known = CHANCES.get(_recolour(run), {})
    found = level_metrics.chance_numbers(columns) | level_metrics.change_numbers(columns)
    return [(metric, estimate, known.get(metric)) for metric, estimate in found.items()]


def _kl_measurements(run: TrainedRun, columns: level_metrics.Columns) -> Measurements:
    known = () if _recolour(run) else LEVEL_KL.get(_levels_of(run), ())
    published = {f"kl_{level}": Published(value) for level, value in enumerate(known, 1)}
    return [(metric, each, published.get(metric)) for metric, each in level_metrics.kl_numbers(columns).items()]
