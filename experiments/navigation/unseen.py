"""`jumpy unseen`: starting from nothing, how soon does an agent navigate in a maze that nobody tuned for?

In each layout: collect data, train a model (`quick`, `ours`), and benchmark it at several points of the training.
Minutes count collecting and training up to the point, not the benchmarks.

Layouts random-7001 to random-7005 are for reports only. Use other seeds to develop and to choose.

| file | content |
|---|---|
| `OUT/LAYOUT/config.json` | what determines the results |
| `OUT/LAYOUT/unseen.json` | the machine, and one point per benchmark |
| `OUT/LAYOUT/minutes.json` | wall and CPU minutes of each stage |
| `OUT/LAYOUT/data`, `MODEL`, `step-N` | the data set, the run, and one benchmark per point |
| `NUMBERS/unseen.csv`, `NUMBERS/unseen.json` | all finished layouts, the numbers of `jumpy figure unseen` |
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from agent.data.collect import CollectConfig, collect
from agent.data.manifest import EPISODE_LENGTH
from agent.system.atomic_files import locked, write_json
from agent.system.device import choose_device
from agent.system.pieces import Workers, run_pieces
from agent.system.settings import check_same_settings
from agent.system.threads import set_threads
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, progress
from agent.training.train import train
from envs.layout import Layout
from envs.random_layout import FAMILIES
from experiments.common.hardware import about
from experiments.common.json_files import read_json
from experiments.common.long_pieces import Failure, attempted, check_finished, logged
from experiments.common.numbers import print_numbers, write_numbers
from experiments.common.progress import watched
from experiments.common.result_folder import begin_or_resume
from experiments.common.results import FIGURES, check_not_installed
from experiments.common.stage_timer import Stages
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.unseen_numbers import merged, read_layout
from planners.merging import Merging
from planners.tree import TreeSearch

NAME = "unseen"  # of the figure and of its numbers
RESULT, REPORT = f"{NAME}.json", "minutes.json"
WHAT = "measurement"
PRODUCTS = (RESULT, REPORT, "data", "hrssm", "dlh", "step-*")
MATTERS = (
    *("model", "options", "frames", "steps", "batch_size", "learning_rate", "precision"),
    *("points", "episodes", "planner", "depth", "seed", "deadline"),
)
"""options that determine the results of a layout"""


@dataclass(frozen=True)
class UnseenConfig(Workers):
    """Measure reward over ceiling against minutes from nothing, in layouts never used for development.

    An interrupted measurement resumes where it stopped and keeps its minutes. Several processes can measure different
    --layouts of the same --out in parallel; each merges all finished layouts. With --processes or --engine ray, layouts
    are measured side by side, each on one thread.
    """

    out: Path = Path("runs/unseen")
    """Folder of the measurement, with one folder per layout."""
    layouts: tuple[str, ...] = tuple(f"random-{seed}" for seed in range(7001, 7006))
    """Mazes, as random-SEED, large-SEED or huge-SEED."""
    frames: int = 200_000
    """Frames to collect in each layout."""
    steps: int | None = None
    """Training steps; default: the quick preset's."""
    points: int = 8
    """Number of benchmarks, evenly spaced over the training steps, the last one after the training."""
    episodes: int = 500
    """Episodes of each benchmark."""
    planner: Literal["tree", "merging"] = "tree"
    """The planner; merging suits large and huge mazes, where goals are far."""
    depth: int | None = None
    """Depth of the search; default: the planner's."""
    deadline: float = 10.0
    """Minutes after which the rewards are compared."""
    seed: int = 0
    """Seed of the data and of the weights."""
    model: Literal["hrssm", "dlh"] = "hrssm"
    """The world model whose jumps are imagined."""
    options: tuple[str, ...] = ()
    """Changes to the options of the variant 'ours', as of 'jumpy train'."""
    batch_size: int | None = None
    """Sequences per step; default: the preset's."""
    learning_rate: float | None = None
    """Peak learning rate; default: the preset's."""
    precision: Literal["auto", "fp32", "bf16"] = TrainConfig.precision
    """Precision of the training, as of 'jumpy train'."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    numbers: Path = FIGURES
    """Folder of the merged numbers and of the picture."""
    overwrite: bool = False
    """Measure the given layouts again, and replace numbers of another measurement."""

    def __post_init__(self) -> None:
        """Validate the layouts and the numbers."""
        super().__post_init__()
        for layout in self.layouts:
            if layout.partition("-")[0] not in FAMILIES or Layout.parse(layout).name != layout:
                families = ", ".join(f"{family}-SEED" for family in FAMILIES)
                raise ValueError(f"--layouts must be unseen mazes, got {layout}: use {families}, such as random-7001")
        if not self.layouts or len(set(self.layouts)) < len(self.layouts):
            raise ValueError(f"--layouts needs one or more different layouts, got {list(self.layouts)}")
        if self.frames < EPISODE_LENGTH or self.frames % EPISODE_LENGTH:
            raise ValueError(f"--frames must be a positive multiple of {EPISODE_LENGTH}, got {self.frames}")
        if self.episodes < 1:
            raise ValueError(f"--episodes must be at least 1, got {self.episodes}")
        if not self.deadline > 0:
            raise ValueError(f"--deadline must be more than 0 minutes, got {self.deadline}")
        _ = self.search
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")
        last = self.training(Path()).recipe.steps
        if not 1 <= self.points <= last:
            raise ValueError(f"--points must be from 1 to the {last} steps of the training, got {self.points}")

    def training(self, folder: Path) -> TrainConfig:
        """The complete training in the folder of a layout."""
        whole = TrainConfig(folder / "data", folder / self.model, self.model, "quick", "ours", seed=self.seed)
        own = ("options", "steps", "batch_size", "learning_rate", "precision", "device")
        return replace(whole, **{name: getattr(self, name) for name in own})

    @property
    def search(self) -> TreeSearch | Merging:
        """The planner with its depth."""
        planner = Merging if self.planner == "merging" else TreeSearch
        return planner() if self.depth is None else planner(self.depth)

    @property
    def milestones(self) -> list[int]:
        """Training steps at which the agent is benchmarked."""
        last = self.training(Path()).recipe.steps
        return [last * number // self.points for number in range(1, self.points + 1)]


def unseen(config: UnseenConfig) -> dict[str, Any]:
    """Measure each layout, merge all finished ones into `NUMBERS/unseen.json`, render the figure.

    Raises:
        ValueError: if a folder holds another measurement or other files, or another process measures a layout.
        OSError: if a folder cannot be written.
        KeyboardInterrupt: if a training was stopped; its run is saved.
    """
    check_not_installed(config.numbers, "--numbers")
    device = choose_device(config.device)
    threads = 1 if config.several else torch.get_num_threads()
    settings = _settings(config, device)
    with locked(config.out, wait=True):
        begin_or_resume(config.out, WHAT, {}, ())
    for layout in config.layouts:  # all are checked before hours of work
        with _locked(config, layout) as folder:
            own = {"--layout": layout, "threads": threads}
            begin_or_resume(folder, WHAT, settings | own, PRODUCTS, config.overwrite)
    _check_numbers(config, settings)
    found, facts = [], dict[str, Any]()
    work, gpu = partial(_measured, config, settings, threads), device.type == "cuda"
    with _one_bar(config) if config.several else nullcontext():
        for each in run_pieces(work, config.layouts, config, one_thread=False, gpu=gpu):
            found.append(each)
            if not isinstance(each, Failure):
                with locked(config.numbers, wait=True):
                    facts = _merge(config, settings)
    if facts:
        print_numbers(facts["within"])
    check_finished(found)
    return facts


def _settings(config: UnseenConfig, device: torch.device) -> dict[str, Any]:
    """What determines the results of every layout, but for the number of threads."""
    given = {name: getattr(config, name) for name in MATTERS}
    recipe = config.training(Path()).recipe  # what was not given is the preset's
    given |= {name: getattr(recipe, name) for name in ("steps", "batch_size", "learning_rate")}
    given |= {"options": list(config.options), "depth": config.search.depth}
    return {f"--{name.replace('_', '-')}": value for name, value in given.items()} | {"--device": str(device)}


def _check_numbers(config: UnseenConfig, settings: dict[str, Any]) -> None:
    """Check that the merged numbers are of this measurement; with --overwrite remove them."""
    path = config.numbers / RESULT
    if config.overwrite:
        path.unlink(missing_ok=True)
    if not path.exists():
        return
    numbers = read_json(path, "restore it, or --overwrite", settings=dict, layouts=dict)
    remedy = "choose another --numbers, or --overwrite"
    check_same_settings(f"{path} holds a {WHAT}", numbers["settings"], settings, remedy)
    for layout in numbers["layouts"]:
        if not (config.out / layout / RESULT).exists():
            raise ValueError(f"{path} holds {layout}, {config.out} does not: {remedy}")


@contextmanager
def _locked(config: UnseenConfig, layout: str) -> Iterator[Path]:
    """Hold the lock of a layout's folder, which is created if needed."""
    folder = config.out / layout
    with locked(folder, "wait for it, or give the remaining --layouts"):
        yield folder


# ---------------------------------------------------------------- one layout


def _measured(config: UnseenConfig, settings: dict[str, Any], threads: int, layout: str) -> Failure | None:
    """Do what is left to do in a layout; beside others, what it prints goes into its log."""
    device = choose_device(config.device)
    with _locked(config, layout) as folder, logged(folder) if config.several else nullcontext():
        return attempted(layout, partial(_measure, config, folder, settings, device, threads))


def _one_bar(config: UnseenConfig) -> AbstractContextManager[None]:
    """A progress bar over the points of all layouts."""
    paths = [config.out / layout / RESULT for layout in config.layouts]
    return watched(NAME, len(paths) * config.points, "point", lambda: sum(map(_points, paths)))


def _points(path: Path) -> int:
    """How many points a layout has so far."""
    try:
        return len(read_layout(path)["points"]) if path.exists() else 0
    except ValueError:  # it is reported where it is read for good
        return 0


def _measure(config: UnseenConfig, folder: Path, settings: dict[str, Any], device: torch.device, threads: int) -> None:
    """Do what is left to do in a layout."""
    layout, milestones, path = folder.name, config.milestones, folder / RESULT
    machine = about(device) | {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    result = read_layout(path) if path.exists() else {"settings": settings, "about": machine, "points": []}
    set_threads(threads)
    stages = Stages(folder / REPORT, ("collect", *(f"train to step {step}" for step in milestones)))
    again = "collect" not in stages.read()["minutes"]  # after a hard kill, the minutes of existing data are unknown
    with stages.run("collect", f"random navigation in {layout}"):
        collect(CollectConfig(folder / "data", config.frames, layout, config.seed, overwrite=again))
    for number, step in list(enumerate(milestones, 1))[len(result["points"]) :]:
        set_threads(threads)
        with stages.run(stages.names[number], f"{config.model} in {layout}"):
            _train_to(step, config.training(folder))
        point, bounds = _benchmark(config, folder, step)
        names, report = stages.names[: number + 1], stages.read()
        spent = {kind: sum(report[kind][name] for name in names) for kind in ("minutes", "cpu_minutes")}
        result = result | bounds | {"points": [*result["points"], {"step": step} | spent | point]}
        write_json(path, result)


def _train_to(step: int, whole: TrainConfig) -> None:
    """Train up to a step. Only its end is saved, so a hard kill loses both the work and the minutes of this piece."""
    begun, (done, _) = (whole.out / CHECKPOINT).exists(), progress(whole.out)
    if done < step:
        train(replace(whole, pause_after=step - done, checkpoint_every=whole.recipe.steps, resume=begun))


def _benchmark(config: UnseenConfig, folder: Path, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Benchmark the current weights; return the numbers of the point, and those of floor and ceiling."""
    model = config.model
    out, agents = folder / f"step-{step}", (f"{model}={folder / model}",)
    own: dict[str, Any] = {"layout": folder.name, "device": config.device, "processes": 1 if config.several else None}
    summary = benchmark(BenchmarkConfig(out, agents, config.episodes, config.search, **own))
    names = ("reward_over_ceiling", "reward_over_ceiling_ci95", "mean_reward", "mean_reward_ci95", "success")
    numbers = {agent: {name: summary["agents"][agent][name] for name in names} for agent in (model, FLOOR, CEILING)}
    return numbers[model], {"floor": numbers[FLOOR], "ceiling": numbers[CEILING]}


# ---------------------------------------------------------------- all layouts


def _merge(config: UnseenConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """Write the numbers of all finished layouts of this measurement; return the facts."""
    found = [(path.parent.name, read_layout(path)) for path in sorted(config.out.glob(f"*/{RESULT}"))]
    ours = [(layout, result) for layout, result in found if result["settings"] == settings]
    results = {layout: result for layout, result in ours if len(result["points"]) == config.points}
    numbers = merged(results, settings)
    write_numbers(config.numbers, NAME, numbers, shlex.join(["jumpy", NAME, *_changed(config), "--layouts", *results]))
    return numbers.facts


def _changed(config: UnseenConfig) -> Iterator[str]:
    """The options that determine the results and are not the defaults, as words of a command."""
    for field in fields(config):
        option, value = f"--{field.name.replace('_', '-')}", getattr(config, field.name)
        if field.name in MATTERS and value != field.default:
            yield from (option, *(value if isinstance(value, tuple) else (str(value),)))
