"""`jumpy table`: the tables of Zakharov et al. 2022 with the paper's numbers beside ours.

| file | content |
|---|---|
| `dlh-table-N.json` | `rows`, the `runs` behind them, and how they were made (command, versions, commit) |
| `dlh-table-N.md` | the same as a table, drawn from the JSON alone |

A row has `model`, `dataset`, `metric`, `value`, `ci95` (95 % bootstrap interval over test videos), `published`,
`trained_minutes` and `device`; null where nobody measured it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from agent.data.replay import Replay
from agent.system.atomic_files import write_file, write_json
from agent.system.device import choose_device
from agent.system.versions import commit, versions
from experiments.common.bootstrap import Estimate
from experiments.figures.markdown import markdown
from experiments.video import level_metrics as structure
from experiments.video.metric_files import ROW, Row, Scores, paired_rows, read_best
from experiments.video.published import CHANCES, LEVEL_KL, LEVELS, PARAMETERS, PREDICTION, Published
from experiments.video.runs import VideoRun, row

PREDICTIONS, RUNS = {"predictions": "DIR…"}, {"runs": "RUN…", "data": "DIR…"}


@dataclass(frozen=True)
class TableConfig:
    """Draw a table of results from its numbers; with --measure, make the numbers first."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Which table: dlh-1, dlh-2, dlh-3 or dlh-5."""
    measure: bool = False
    """Make the numbers from predictions or runs, as the options below say, and write them before drawing."""
    predictions: tuple[Path, ...] = ()
    """dlh-1: folders that 'jumpy predict' wrote (its --out), one a model and data set."""
    runs: tuple[Path, ...] = ()
    """dlh-2, dlh-5: DLH runs of different --options levels=N on Moving Ball; dlh-3: of 2 levels, with different
    lambda."""
    data: tuple[Path, ...] = ()
    """The data sets that these runs were trained on; their test splits count."""
    sequences: int | None = None
    """Test videos that runs are measured on, the first of them; default: all."""
    seed: int = 0
    """Of the samples behind divergences."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    results: Path = Path("experiments/results")
    """Folder of the tables."""
    overwrite: bool = False
    """Replace numbers that are already there."""

    def __post_init__(self) -> None:
        """Refuse counts that are not positive."""
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be at least 1, got {self.sequences}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")


class Result(NamedTuple):
    """What is measured."""

    rows: list[dict[str, Any]]
    runs: list[dict[str, Any]]


class Table(NamedTuple):
    """How a table comes about."""

    title: str
    measure: Callable[[TableConfig], Result]
    needs: dict[str, str]
    """the options that it is measured from, with what to give"""
    notes: str

    def remedy(self, name: str) -> str:
        """How to get the numbers."""
        return (
            f"make it with 'jumpy table {name} --measure{''.join(f' --{o} {what}' for o, what in self.needs.items())}'"
        )


def table(config: TableConfig) -> list[Path]:
    """Draw a table.

    Returns:
        Its files.

    Raises:
        ValueError: for an unknown name, missing numbers, or sources that the table cannot be measured from.
        OSError: if a file cannot be written.
    """
    if config.name not in TABLES:
        raise ValueError(f"unknown table {config.name!r}: use one of {', '.join(TABLES)}")
    if config.measure:
        _measure(config)
    elif given := _given(config):
        raise ValueError(f"--{given[0]} is what numbers are measured from: add --measure")
    path, chosen = _path(config), TABLES[config.name]
    if not path.is_file():
        raise ValueError(f"{path} is missing: {chosen.remedy(config.name)}")
    try:
        drawn = markdown(chosen.title, json.loads(path.read_text()), chosen.notes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{path} is damaged ({type(error).__name__}): {chosen.remedy(config.name)} --overwrite"
        raise ValueError(told) from error
    write_file(path.with_suffix(".md"), drawn.encode())
    print(f"{drawn}\n{path}\n{path.with_suffix('.md')}")
    return [path, path.with_suffix(".md")]


def _path(config: TableConfig) -> Path:
    model, number = config.name.split("-")
    return config.results / f"{model}-table-{number}.json"


def _given(config: TableConfig) -> list[str]:
    return [name for name in ("predictions", "runs", "data") if getattr(config, name)]


def _measure(config: TableConfig) -> None:
    """Make a table's numbers and write them."""
    chosen, path = TABLES[config.name], _path(config)
    if wrong := [name for name in _given(config) if name not in chosen.needs]:
        raise ValueError(f"{config.name} is not measured from --{wrong[0]}: {chosen.remedy(config.name)}")
    if missing := [name for name in chosen.needs if name not in _given(config)]:
        told = f"--{missing[0]} needs {chosen.needs[missing[0]]}"
        raise ValueError(f"{told}, got none: {chosen.remedy(config.name)}")
    if path.exists() and not config.overwrite:
        raise ValueError(f"{path} is already there: choose other --results, or --overwrite")
    result = chosen.measure(config)
    origin = {"table": config.name, "command": _command(config), "commit": commit(), "versions": versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, origin | result._asdict())


def _command(config: TableConfig) -> str:
    """The command that makes the numbers."""
    words: list[Any] = ["jumpy", "table", config.name, "--measure"]
    for option in _given(config):
        words += [f"--{option}", *getattr(config, option)]
    words += [] if config.sequences is None else ["--sequences", config.sequences]
    return shlex.join(map(str, [*words, "--seed", config.seed]))


# ---------------------------------------------------------------- Table 1


class Prediction(NamedTuple):
    """What `jumpy predict` left in a folder."""

    folder: Path
    row: Row
    """one of its rows"""
    best: list[Scores]
    """of its test videos"""


def measure_prediction(config: TableConfig) -> Result:
    """Gather what `jumpy predict` measured, and put the paper's other rows beside it.

    Raises:
        ValueError: if a folder holds no finished prediction, or two are of the same model and data set.
    """
    rows, runs, seen = list[Row](), list[dict[str, Any]](), dict[tuple[str, str], Prediction]()
    for folder in config.predictions:
        try:
            found = json.loads((folder / ROW).read_text())
            which = found["rows"][0]["model"], found["rows"][0]["dataset"]
            how = {name: found[name] for name in ("command", "commit", "sequences", "context", "samples")}
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise ValueError(f"{folder} holds no finished prediction: make it with 'jumpy predict'") from None
        if which in seen:
            told = f"{seen[which].folder} and {folder} are both of {' on '.join(which)}"
            raise ValueError(f"{told}: give one --predictions folder for each model and data set")
        seen[which] = Prediction(folder, found["rows"][0], read_best(folder, how["sequences"]))
        rows += found["rows"]
        runs += [run | {"prediction": how} for run in found["runs"]]
    for dataset, models in PREDICTION.items():
        for model, metrics in models.items():
            if (model, dataset) not in seen:
                known = metrics | {"parameters": Published(PARAMETERS[model])}
                rows += [row(model, dataset, metric, None, number) for metric, number in known.items()]
    for (model, dataset), other in seen.items():
        if model != "dlh" and (own := seen.get(("dlh", dataset))):
            both = min(len(own.best), len(other.best))
            rows += paired_rows(own.row, other.row, own.best[:both], other.best[:both])
    return Result(rows, runs)


# ---------------------------------------------------------------- Tables 2, 3 and 5


def measure_levels(config: TableConfig) -> Result:
    """Levels used and divergences of runs with different numbers of levels."""
    return _of_runs(config, _levels_of, _levels_numbers)


def measure_chances(config: TableConfig) -> Result:
    """How surely changes are foreseen, by runs of two levels with different lambda."""
    return _of_runs(config, _lambda_of, _chance_numbers)


def measure_level_kl(config: TableConfig) -> Result:
    """Each level's divergence, of runs with different numbers of levels."""
    return _of_runs(config, _levels_of, _kl_numbers)


Numbers = list[tuple[str, Estimate, Published | None]]


def _of_runs(
    config: TableConfig,
    setting: Callable[[VideoRun], float],
    numbers: Callable[[VideoRun, structure.Columns], Numbers],
) -> Result:
    """The rows of several runs, each with another setting, in its order."""
    device = choose_device(config.device)
    runs = [VideoRun.load(path, "dlh", device) for path in config.runs]
    replays = [Replay.open(path) for path in config.data]
    seen = dict[float, Path | None]()
    for run in runs:
        if run.training["dataset"] != "moving-ball":
            raise ValueError(f"{run.path} was trained on {run.dataset}: give --runs of moving-ball")
        if (value := setting(run)) in seen:
            what = "λ" if setting is _lambda_of else "levels"
            raise ValueError(f"{seen[value]} and {run.path} both have {what} {value:g}: give one of --runs for each")
        seen[value] = run.path
    pairs = [(run, _data_of(run, replays)) for run in sorted(runs, key=setting)]
    result = Result([], [])
    for run, replay in pairs:
        columns = structure.measure(run, replay, config.sequences, config.seed)
        label = f"dlh, {run.model.config.options.levels} levels"
        for metric, estimate, published in numbers(run, columns):
            result.rows.append(run.row(label, metric, estimate, published))
        result.runs.append(run.facts | {"data": str(replay.folder), "sequences": len(columns["true"])})
    return result


def _data_of(run: VideoRun, replays: list[Replay]) -> Replay:
    """The data set that a run was trained on."""
    for replay in replays:
        if run.suits(replay) and replay.split("test"):
            return replay
    raise ValueError(f"none of --data has test videos like those of {run.path} ({run.dataset}): give its data set, too")


def _levels_of(run: VideoRun) -> float:
    return float(run.model.config.options.levels)


def _lambda_of(run: VideoRun) -> float:
    if (levels := run.model.config.options.levels) != 2:
        raise ValueError(f"{run.path} has {levels} levels: give --runs of 2 levels, as in the paper")
    return float(run.training["video"]["recolour"])


def _levels_numbers(run: VideoRun, columns: structure.Columns) -> Numbers:
    known = LEVELS.get(run.model.config.options.levels, {}) if not run.training["video"]["recolour"] else {}
    found = structure.level_numbers(columns) | structure.change_numbers(columns)
    return [(metric, estimate, known.get(metric)) for metric, estimate in found.items()]


def _chance_numbers(run: VideoRun, columns: structure.Columns) -> Numbers:
    known = CHANCES.get(run.training["video"]["recolour"], {})
    found = structure.chance_numbers(columns) | structure.change_numbers(columns)
    return [(metric, estimate, known.get(metric)) for metric, estimate in found.items()]


def _kl_numbers(run: VideoRun, columns: structure.Columns) -> Numbers:
    known = LEVEL_KL.get(run.model.config.options.levels, ()) if not run.training["video"]["recolour"] else ()
    published = {f"kl_{level}": Published(value) for level, value in enumerate(known, 1)}
    return [(metric, each, published.get(metric)) for metric, each in structure.kl_numbers(columns).items()]


TABLES = {
    "dlh-1": Table(
        "Open-loop video prediction (Table 1 of Zakharov et al. 2022)",
        measure_prediction,
        PREDICTIONS,
        "The best of several samples of each test video, chosen by each metric's mean over the video. SSIM: Gaussian "
        "windows of 11 × 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, data range 255, mean over windows within the "
        "image and over colours. PSNR: decibels of single frames, their mean. The paper's VTA is hrssm here, its "
        "stars (deviation below 5 %) are ±<5%. `mazes` are ours: they stand in for dml-mazes, which cannot be drawn "
        "again. moving-mnist shows other digits and speeds than the paper's may; its frames are grey, and of a model's "
        "the colours' mean counts. last-frame and black are no models: they repeat the last frame that is shown, or "
        "show nothing. dlh − another: differences on the same videos.",
    ),
    "dlh-2": Table(
        "Levels used and total divergence on Moving Ball (Table 2 of Zakharov et al. 2022)",
        measure_levels,
        RUNS,
        "Levels used: those that change, a frame, without the first frame; to be near 1 + the share of frames whose "
        "colour changes. KL: divergences of all levels' states, nats a frame (the paper's Table 5 sums up to it); KL "
        "of e is beside it. F1: e² against true colour changes; by chance: against those of another video.",
    ),
    "dlh-3": Table(
        "Chance of a change at level 2, p(e² = 1) (Table 3 of Zakharov et al. 2022)",
        measure_chances,
        RUNS,
        "Means where the posterior says change and static, from the third frame on; to be near the generator's own: a "
        "bounce always brings another colour, any other frame with probability λ. F1: e² against true colour changes; "
        "by chance: against those of another video.",
    ),
    "dlh-5": Table(
        "Divergence of each level on Moving Ball (Table 5 of Zakharov et al. 2022)",
        measure_level_kl,
        RUNS,
        "KL of each level's state, nats a frame, over whole test videos.",
    ),
}
