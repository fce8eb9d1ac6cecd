"""`jumpy sweep`: trainings with other options and seeds, a benchmark of each, one table.

The list is TOML. `train` and `benchmark` are the arguments that all have, as typed after `jumpy train` and
`jumpy benchmark`; `seeds` are those of the trainings. `[grid]` gives options of `jumpy train` with their values, and
every combination is a point; `[[point]]` gives points one by one, with a `name` and further arguments. Its paths are
relative to the folder in which `jumpy sweep` is called; experiments/configs/sweep.toml is an example.

| file | content |
|---|---|
| `POINT/seed-N/run`, `benchmark`, `log.txt` | a training, its benchmark, what they printed |
| `sweep.csv` | one row per finished training |
| `sweep.json` | one entry per point, over its seeds, with 95 % bootstrap intervals over episodes |

Every training is a piece that any worker may take (`agent.system.pieces`). A kill costs the steps since the last
checkpoint: the same command goes on. A longer list adds its points to those that are there.
"""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from agent.data.manifest import read_manifest
from agent.system.atomic_files import locked, write_file, write_json
from agent.system.cores import usable_cores
from agent.system.device import choose_device
from agent.system.pieces import Workers, run_pieces
from agent.system.versions import commit, versions
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, progress
from agent.training.train import train
from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.command_line import parse
from experiments.common.long_pieces import Failure, attempted, check_finished, logged
from experiments.common.numbers import csv_text
from experiments.common.progress import watched
from experiments.common.result_folder import begin_or_resume
from experiments.navigation.agents import CEILING
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import read_episodes, read_summary

WHAT = "sweep"
TABLE, RESULT = "sweep.csv", "sweep.json"
GIVEN = ("out", "seed", "resume", "overwrite")
"""options of `jumpy train` that a list may not hold"""


@dataclass(frozen=True)
class SweepConfig(Workers):
    """Train every point of a list with every seed, benchmark each, and compare them in one table."""

    list: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LIST")]
    """The list, such as experiments/configs/sweep.toml."""
    out: Path = Path("runs/sweep")
    """Folder of the runs, their benchmarks and the table."""


@dataclass(frozen=True)
class Piece:
    """A training and its benchmark."""

    point: str
    """name of its point"""
    training: TrainConfig
    trial: BenchmarkConfig

    @property
    def folder(self) -> Path:
        """Where both are."""
        return self.training.out.parent

    @property
    def label(self) -> str:
        """Point and seed."""
        return f"{self.point}, seed {self.training.seed}"

    @property
    def steps(self) -> int:
        """Steps of the training so far."""
        try:
            return progress(self.training.out)[0]
        except ValueError:  # it is reported where it is read for good
            return 0


def sweep(config: SweepConfig) -> dict[str, Any]:
    """Do what is left of a list, write and print the table, and return the content of `sweep.json`.

    Raises:
        ValueError: the list is wrong, its data are missing, another process works in the folder; or pieces failed,
            after all others were finished.
        OSError: the folder cannot be written, or workers died again and again.
    """
    pieces = read_list(config.list, config.out)
    with locked(config.out):
        begin_or_resume(config.out, WHAT, {}, ())
        gpu = choose_device(pieces[0].training.device).type == "cuda"
        default = 1 if gpu else usable_cores()
        total = sum(piece.training.recipe.steps for piece in pieces)
        with watched("sweep", total, "step", lambda: sum(piece.steps for piece in pieces)):
            found = list(run_pieces(measured, pieces, config, default, gpu=gpu))
        finished = [piece for piece, each in zip(pieces, found, strict=True) if not isinstance(each, Failure)]
        result: dict[str, Any] = {"versions": versions(), "commit": commit(), "points": _points(finished)}
        if finished:
            write_file(config.out / TABLE, csv_text([_row(piece) for piece in finished]).encode())
            write_json(config.out / RESULT, result)
            print(table(result["points"]))
    check_finished(found)
    return result


def measured(piece: Piece) -> Failure | None:
    """Train what is left of a piece and benchmark it; what both print goes into its log."""

    def finish() -> None:
        if piece.steps < piece.training.recipe.steps:
            train(replace(piece.training, resume=(piece.training.out / CHECKPOINT).exists()))
        benchmark(piece.trial)

    with logged(piece.folder):
        return attempted(piece.label, finish)


# ---------------------------------------------------------------- the list


def read_list(path: Path, out: Path) -> list[Piece]:
    """Read a list: every point with every seed.

    Raises:
        ValueError: the file is missing or no such list, an argument is wrong, or data are missing.
    """
    if not path.is_file():
        raise ValueError(f"there is no list {path}: give the path of one, such as experiments/configs/sweep.toml")
    try:
        content = tomllib.loads(path.read_text())
        shared, trial = str(content["train"]), str(content.get("benchmark", ""))
        seeds = [int(seed) for seed in content.get("seeds", [0])]
        points = dict(_points_of(content))
        if unknown := set(content) - {"train", "benchmark", "seeds", "grid", "point"}:
            raise ValueError(f"unknown entry {sorted(unknown)[0]}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a sweep ({error!r:.120}): see experiments/configs/sweep.toml") from error
    if not points or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"{path} needs points and different seeds, got {len(points)} points and seeds {seeds}")
    found = []
    for name, more in points.items():
        for seed in seeds:
            folder = out / name / f"seed-{seed}"
            words = [*shlex.split(shared), *more]
            if given := [option for option in GIVEN if any(_is(word, option) for word in words)]:
                raise ValueError(f"{path} gives --{given[0]} to {name}: leave it out, the sweep chooses it")
            arguments = ["--out", str(folder / "run"), "--seed", str(seed)]
            training = _parsed(TrainConfig, "jumpy train", [*words, *arguments], path)
            read_manifest(training.data)  # names what is missing before hours of work
            own = _parsed(
                BenchmarkConfig, "jumpy benchmark", ["--out", str(folder / "benchmark"), *shlex.split(trial)], path
            )
            agents = (f"{training.model}={training.out}",)
            found.append(
                Piece(name, training, replace(own, agents=agents, processes=1, engine="local", ray_address=None))
            )
    return found


def _points_of(content: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Names of all points, and their further arguments."""
    options = {f"--{name.removeprefix('--')}": values for name, values in content.get("grid", {}).items()}
    names = []
    for chosen in itertools.product(*options.values()) if options else ():
        words = [word for option, value in zip(options, chosen, strict=True) for word in (option, *_words(value))]
        name = "_".join(
            f"{option.removeprefix('--')}-{'+'.join(_words(value))}"
            for option, value in zip(options, chosen, strict=True)
        )
        names.append(re.sub(r"[^A-Za-z0-9._=+-]", "-", name))
        yield names[-1], words
    for point in content.get("point", []):
        names.append(str(point["name"]))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=+-]*", names[-1]):
            raise ValueError(f"a point's name is that of a folder, got {names[-1]!r}")
        yield names[-1], shlex.split(str(point["train"]))
    if len(set(names)) < len(names):
        raise ValueError("two points have one name")


def _words(value: Any) -> list[str]:
    """An option's value as words of a command line."""
    return [str(each) for each in value] if isinstance(value, list) else shlex.split(str(value))


def _is(word: str, option: str) -> bool:
    """Whether a word of a command line gives an option."""
    return re.fullmatch(rf"--{option}(=.*)?", word) is not None


def _parsed(kind: Any, program: str, words: list[str], path: Path) -> Any:
    """Arguments of a command in the list."""
    try:
        parsed = parse(kind, program, words)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if parsed is None:
        raise ValueError(f"{path} asks for help: leave out --help")
    return parsed


# ---------------------------------------------------------------- the table


def _row(piece: Piece) -> dict[str, Any]:
    """A finished piece's row."""
    summary = read_summary(piece.trial.out)
    entry = summary["agents"][piece.training.model]
    low, high = entry["reward_over_ceiling_ci95"] or (None, None)
    _, seconds = progress(piece.training.out)
    return {
        "point": piece.point,
        "seed": piece.training.seed,
        "steps": entry["trained_steps"],
        "minutes": round((seconds or 0) / 60, 3),
        "mean_reward": entry["mean_reward"],
        "success": entry["success"],
        "reward_over_ceiling": entry["reward_over_ceiling"],
        "low": low,
        "high": high,
    }


def _points(finished: list[Piece]) -> dict[str, Any]:
    """Every point over its finished seeds: intervals over episodes, and the worst seed."""
    points: dict[str, Any] = {}
    for name in dict.fromkeys(piece.point for piece in finished):
        seeds = [piece for piece in finished if piece.point == name]
        rewards = [_rewards(piece) for piece in seeds]
        ceiling = rewards[0][1]  # of the same episodes in all
        own = [float(agent.mean() / (1 if ceiling is None else ceiling.mean())) for agent, _ in rewards]
        columns = {"agent": np.mean([each[0] for each in rewards], axis=0)}
        bootstrap = PairedBootstrap(columns | ({} if ceiling is None else {"ceiling": ceiling}))
        over = Estimate(np.nan) if ceiling is None else bootstrap.ratio("agent", "ceiling")
        points[name] = {
            "seeds": [piece.training.seed for piece in seeds],
            **bootstrap.mean("agent").to_json("mean_reward"),
            **over.to_json("reward_over_ceiling"),
            "worst_seed": min(own),
        }
    return points


def _rewards(piece: Piece) -> tuple[np.ndarray, np.ndarray | None]:
    """Rewards of a piece's agent and of the shortest path where it is known, episode by episode."""
    summary = read_summary(piece.trial.out)
    names = [name for name in (piece.training.model, CEILING) if name in summary["agents"]]
    agent, *ceiling = (read_episodes(piece.trial.out, name, summary)["reward"].astype(float) for name in names)
    return agent, ceiling[0] if ceiling else None


def table(points: dict[str, Any]) -> str:
    """Every point in a row, the best first, by its share of the ceiling or, where that is unknown, its reward."""
    known = all(point["reward_over_ceiling"] is not None for point in points.values())
    key, title = ("reward_over_ceiling", "of the ceiling") if known else ("mean_reward", "reward")
    rows = [("point", "seeds", title, "", "worst seed", *["reward"] * known)]
    for name, point in sorted(points.items(), key=lambda item: -item[1][key]):
        its = Estimate(point[key], *(point[f"{key}_ci95"] or ()))
        cells = [name, str(len(point["seeds"])), f"{its.value:.3f}", f"[{its.low:.3f}, {its.high:.3f}]"]
        rows.append((*cells, f"{point['worst_seed']:.3f}", *[f"{point['mean_reward']:.1f}"] * known))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
