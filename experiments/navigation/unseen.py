"""`jumpy unseen`: from nothing, how soon does an agent navigate in a maze that nobody tuned for?

In each layout: collect, train HRSSM (`quick`, `ours`), and benchmark it at several points of the training. The minutes
are those of collecting and of training up to the point; the benchmarks' own are not counted.

Layouts random-7001 to random-7005 are for reports alone. Other seeds serve to develop and to choose.

| file | content |
|---|---|
| `OUT/LAYOUT/unseen.json` | what decides the results, the machine, and a point a benchmark |
| `OUT/LAYOUT/minutes.json` | minutes of each stage by the clock, and of the processor |
| `OUT/LAYOUT/data`, `hrssm`, `step-N` | the data set, the run, and a benchmark a point |
| `NUMBERS/unseen.csv`, `NUMBERS/unseen.json` | all finished layouts; what `jumpy figure unseen` draws |
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.manifest import EPISODE_LENGTH
from agent.system.atomic_files import locked, write_json
from agent.system.device import choose_device
from agent.system.settings import check_same_settings
from agent.system.threads import set_threads
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from envs.layout import Layout
from experiments.common.hardware import about
from experiments.common.numbers import Numbers, write_numbers
from experiments.common.stage_timer import Stages, check_reached
from experiments.figures.commands import FigureConfig, figure
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from planners.tree import TreeSearch

Curve = tuple[np.ndarray, np.ndarray]
NAME = "unseen"  # of the figure and of its numbers
RESULT, REPORT = f"{NAME}.json", "minutes.json"
AGENT = "hrssm"
TARGET, DEADLINE = 0.95, 10  # reward over the ceiling, and minutes
OWN = ("--layout", "threads")  # settings in which the layouts of a measurement may differ


@dataclass(frozen=True)
class UnseenConfig:
    """Measure reward over ceiling against minutes from nothing, in layouts that were never used to develop.

    A measurement that was cut off goes on where it stopped, with the minutes kept. Several processes can measure
    different --layouts of one --out side by side; each merges all layouts that have finished.
    """

    out: Path = Path("runs/unseen")
    """Folder of the measurement, with a folder a layout."""
    layouts: tuple[str, ...] = tuple(f"random-{seed}" for seed in range(7001, 7006))
    """Mazes, as random-SEED."""
    frames: int = 200_000
    """Frames to collect in each."""
    steps: int | None = None
    """Training steps; default: the quick preset's."""
    points: int = 8
    """Benchmarks, at equal distances of training steps, the last one after the training."""
    episodes: int = 500
    """Episodes of each benchmark."""
    depth: int = TreeSearch.depth
    """Depth of the tree search."""
    seed: int = 0
    """Of the data and of the weights."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    numbers: Path = Path("experiments/results/figures")
    """Folder of the merged numbers and of the picture."""
    overwrite: bool = False
    """Begin the given layouts anew, and replace numbers of another measurement."""

    def __post_init__(self) -> None:
        """Refuse layouts that are not unseen, and a measurement of nothing."""
        for layout in self.layouts:
            if Layout.parse(layout).name != layout or layout == "paper":
                raise ValueError(f"--layouts are unseen mazes, got {layout}: use random-SEED, as random-7001")
        if not self.layouts or len(set(self.layouts)) < len(self.layouts):
            raise ValueError(f"--layouts needs one or more different layouts, got {list(self.layouts)}")
        if self.frames < EPISODE_LENGTH or self.frames % EPISODE_LENGTH:
            raise ValueError(f"--frames must be a positive multiple of {EPISODE_LENGTH}, got {self.frames}")
        for name in ("episodes", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")
        last = self.training(Path()).recipe.steps
        if not 1 <= self.points <= last:
            raise ValueError(f"--points must be from 1 to the {last} steps of the training, got {self.points}")

    def training(self, folder: Path) -> TrainConfig:
        """The whole training in a layout's folder."""
        return TrainConfig(
            data=folder / "data",
            out=folder / AGENT,
            model="hrssm",
            preset="quick",
            variant="ours",
            steps=self.steps,
            seed=self.seed,
            device=self.device,
        )

    @property
    def milestones(self) -> list[int]:
        """Training steps after which is benchmarked."""
        last = self.training(Path()).recipe.steps
        return [last * number // self.points for number in range(1, self.points + 1)]


def unseen(config: UnseenConfig) -> dict[str, Any]:
    """Measure each layout, merge all that have finished, draw the figure.

    Returns:
        The content of `NUMBERS/unseen.json`.

    Raises:
        ValueError: if a folder holds another measurement or other files, or another process measures a layout.
        OSError: if a folder cannot be written.
        KeyboardInterrupt: if a training was stopped; its run is saved.
    """
    device, threads = choose_device(config.device), torch.get_num_threads()
    _refuse_other_work(config, device)
    for layout in config.layouts:
        set_threads(threads)
        folder = config.out / layout
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, f"another process measures {folder}: wait for it, or give --layouts that are left"):
            _measure(config, folder, device)
        with locked(config.out):
            facts = _merge(config, device)
    figure(FigureConfig(NAME, numbers=config.numbers))
    print(_table(facts))
    return facts


# ---------------------------------------------------------------- a layout


def _measure(config: UnseenConfig, folder: Path, device: torch.device) -> None:
    """Do what is left to do in a layout."""
    layout, milestones = folder.name, config.milestones
    result = _begin_or_resume(config, folder, device)
    stages = Stages(folder / REPORT, ("collect", *(f"train to step {step}" for step in milestones)))
    anew = "collect" not in stages.read()["minutes"]  # a hard kill lost the minutes of what there may be
    with stages.run("collect", f"random navigation in {layout}"):
        data = folder / "data"
        collect(CollectConfig(data, steps=config.frames, layout=layout, seed=config.seed, overwrite=anew))
    for number, step in enumerate(milestones, 1):
        if number <= len(result["points"]):
            continue
        set_threads(result["settings"]["threads"])
        with stages.run(stages.names[number], f"{AGENT} in {layout}"):
            _train_to(step, config.training(folder))
        point, bounds = _benchmark(config, folder, step)
        report = stages.read()
        spent = {
            kind: sum(report[kind][name] for name in stages.names[: number + 1]) for kind in ("minutes", "cpu_minutes")
        }
        result = result | bounds | {"points": [*result["points"], {"step": step} | spent | point]}
        write_json(folder / RESULT, result)


def _train_to(step: int, whole: TrainConfig) -> None:
    """Train up to a step. Only its end is saved: a hard kill loses the work of a piece and its minutes alike."""
    begun = (whole.out / CHECKPOINT).exists()
    done = load_model(whole.out)[1]["step"] if begun else 0
    if done < step:
        train(replace(whole, pause_after=step - done, checkpoint_every=whole.recipe.steps, resume=begun))
        check_reached(whole.out, step)


def _benchmark(config: UnseenConfig, folder: Path, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Benchmark the weights as they are: a point's numbers, and the floor's and the ceiling's."""
    summary = benchmark(
        BenchmarkConfig(
            out=folder / f"step-{step}",
            agents=(f"{AGENT}={folder / AGENT}",),
            episodes=config.episodes,
            planner=TreeSearch(config.depth),
            layout=folder.name,
            device=config.device,
        )
    )
    names = ("reward_over_ceiling", "reward_over_ceiling_ci95", "mean_reward", "mean_reward_ci95", "success")
    numbers = {agent: {name: summary["agents"][agent][name] for name in names} for agent in (AGENT, FLOOR, CEILING)}
    return numbers[AGENT], {"floor": numbers[FLOOR], "ceiling": numbers[CEILING]}


# ---------------------------------------------------------------- all layouts


def _merge(config: UnseenConfig, device: torch.device) -> dict[str, Any]:
    """Write the numbers of all layouts that have finished; return the facts."""
    found = [result for result in _results(config.out).values() if len(result["points"]) == config.points]
    results = {result["settings"]["--layout"]: result for result in found}
    rows = [
        {
            "layout": layout,
            "minutes": round(point["minutes"], 3),
            "reward_over_ceiling": round(point["reward_over_ceiling"], 4),
            **dict(zip(("low", "high"), (round(end, 4) for end in point["reward_over_ceiling_ci95"]), strict=True)),
            "success": round(point["success"], 4),
            "step": point["step"],
            "cpu_minutes": round(point["cpu_minutes"], 3),
        }
        for layout, result in results.items()
        for point in result["points"]
    ]
    facts = {
        "settings": _common(_settings(config, config.layouts[0], device)),
        "layouts": {
            layout: {name: result[name] for name in ("floor", "ceiling", "about")} for layout, result in results.items()
        },
        **_over_layouts([result["points"] for result in results.values()], list(results)),
    }
    command = shlex.join(["jumpy", NAME, "--layouts", *results])
    write_numbers(config.numbers, NAME, Numbers(facts, rows), command)
    return facts


def _over_layouts(points: list[list[dict[str, Any]]], layouts: list[str]) -> dict[str, Any]:
    """The median over the layouts, and how far each was within the minutes; one without a point by then counts 0."""
    columns = ("minutes", "reward_over_ceiling")
    curves = [tuple(np.array([point[name] for point in its]) for name in columns) for its in points]
    x, y = median((minutes, reward) for minutes, reward in curves)
    within = [float(reward[minutes <= DEADLINE][-1]) if minutes[0] <= DEADLINE else 0.0 for minutes, reward in curves]
    return {
        "median": [dict(zip(columns, place, strict=True)) for place in zip(x.tolist(), y.tolist(), strict=True)],
        "within": {
            "minutes": DEADLINE,
            "reward_over_ceiling": dict(zip(layouts, within, strict=True)),
            "median": float(np.median(within)),
            "reach": TARGET,
            "share_of_layouts": float(np.mean([reward >= TARGET for reward in within])),
        },
    }


def median(curves: Iterable[Curve]) -> Curve:
    """Median of curves at all places where one of them has a point, linear between a curve's own points.

    Only where all have begun and none has ended.
    """
    curves = list(curves)
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    places = np.unique(np.concatenate([x for x, _ in curves]))
    places = places[(places >= first) & (places <= last)]
    return places, np.median([np.interp(places, x, y) for x, y in curves], axis=0)


def _table(facts: dict[str, Any]) -> str:
    """How far each layout was within the minutes, for people."""
    within = facts["within"]
    lines = [f"{layout:<14} {reward:.3f}" for layout, reward in within["reward_over_ceiling"].items()]
    head = f"reward over ceiling after at most {within['minutes']} minutes of collecting and training"
    share = f"{within['share_of_layouts']:.0%} of the layouts reach {within['reach']}"
    return "\n".join([head, *lines, f"{'median':<14} {within['median']:.3f}", share])


# ---------------------------------------------------------------- what a folder holds


def _settings(config: UnseenConfig, layout: str, device: torch.device) -> dict[str, Any]:
    """What decides a layout's results and minutes, by the names of the command line where there is one."""
    return {
        "--layout": layout,
        "--frames": config.frames,
        "--steps": config.milestones[-1],
        "--points": config.points,
        "--episodes": config.episodes,
        "--depth": config.depth,
        "--seed": config.seed,
        "--device": str(device),
        "threads": torch.get_num_threads(),
    }


def _common(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that all layouts of a measurement share."""
    return {name: value for name, value in settings.items() if name not in OWN}


def _begin_or_resume(config: UnseenConfig, folder: Path, device: torch.device) -> dict[str, Any]:
    """The layout's result so far; with --overwrite an empty one, and an empty folder."""
    settings = _settings(config, folder.name, device)
    if (folder / RESULT).exists() and not config.overwrite:
        found = _read_result(folder)
        _check_same(folder, found["settings"], settings)
        return found
    machine = about(device) | {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    result = {"settings": settings, "about": machine, "points": []}
    write_json(folder / RESULT, result | {"settings": {}})  # nothing resumes what is half removed
    for path in folder.iterdir():
        if path.name != RESULT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_json(folder / RESULT, result)
    return result


def _refuse_other_work(config: UnseenConfig, device: torch.device) -> None:
    """Refuse, before hours of work, a folder of something else and numbers of another measurement."""
    wanted = _settings(config, config.layouts[0], device)
    anew = config.layouts if config.overwrite else ()
    results = {layout: result for layout, result in _results(config.out).items() if layout not in anew}
    for layout, result in results.items():
        _check_same(config.out / layout, _common(result["settings"]), _common(wanted))
    path = config.numbers / RESULT
    if not path.exists() or config.overwrite:
        path.unlink(missing_ok=True)
        return
    try:
        numbers = json.loads(path.read_text())
        found, layouts = numbers["settings"], list(numbers["layouts"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: restore it, or --overwrite") from None
    _check_same(path, found, _common(wanted))
    if lost := [layout for layout in layouts if layout not in results]:
        raise ValueError(f"{path} holds {lost[0]}, {config.out} does not: choose another --numbers, or --overwrite")


def _results(out: Path) -> dict[str, dict[str, Any]]:
    """The result so far of each layout of a measurement, in the order of their names.

    Raises:
        ValueError: if the folder holds other files, or a result is damaged.
    """
    if not out.exists():
        return {}
    folders = sorted(path for path in out.iterdir() if not path.name.startswith("."))
    for path in folders:
        if not (path / RESULT).exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{out} holds other files ({path.name}, …): choose an empty folder for --out")
    return {path.name: _read_result(path) for path in folders if (path / RESULT).exists()}


def _read_result(folder: Path) -> dict[str, Any]:
    """A layout's result so far."""
    try:
        result = json.loads((folder / RESULT).read_text())
        return {name: result[name] for name in ("settings", "about", "points")} | result
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{folder / RESULT} is damaged: restore it, or remove {folder}") from None


def _check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Check that what is there is of this measurement."""
    check_same_settings(f"{path} holds a measurement", found, wanted, "choose another folder, or --overwrite")
