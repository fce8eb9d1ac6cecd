"""`jumpy figure`, `jumpy table` and `jumpy plot`: measure and render the entries of the registry."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import tyro
from matplotlib.figure import Figure

from agent.system.atomic_files import locked, write_file
from agent.system.device import choose_device
from experiments.common import results
from experiments.common.command_line import arguments, given_options
from experiments.common.json_files import damage_named
from experiments.common.numbers import Numbers, read_numbers, write_numbers
from experiments.common.trained_runs import load_trained
from experiments.figures.artefact import Artefact, Sources, split_label
from experiments.figures.registry import FIGURES, PLOTS, TABLES
from experiments.figures.style import STYLE, save_png
from experiments.navigation.episode_files import read_summary

ALL = "all"


@dataclass(frozen=True)
class FigureConfig:
    """Render a figure of the results from its numbers; with --measure, make the numbers first."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Which one (a wrong name lists them), or all."""
    measure: bool = False
    """Make the numbers from the options below, and write them before rendering."""
    numbers: Path = results.FIGURES
    """Folder of the numbers."""
    out: Path | None = None
    """Folder for the rendered files; default: the folder of the numbers."""
    overwrite: bool = False
    """Replace numbers that are already there."""
    add: bool = False
    """With --measure, add the agents to numbers that are already there, which stay as they are (vta-8, budget)."""
    sources: tyro.conf.OmitArgPrefixes[Sources] = field(default_factory=Sources)
    """What --measure reads."""


@dataclass(frozen=True)
class TableConfig(FigureConfig):
    """Render a table of the results from its numbers; with --measure, make the numbers first."""

    numbers: Path = results.TABLES
    """Folder of the numbers."""


@dataclass(frozen=True)
class PlotConfig:
    """Plot a benchmark into its folder."""

    run: tyro.conf.Positional[Path]
    """Folder of the benchmark."""


def figure(config: FigureConfig) -> list[Path]:
    """Render one figure, or all that have numbers, and return the files.

    Raises:
        ValueError: for an unknown name, missing or damaged numbers (all others are rendered first), or sources that a
            figure cannot be measured from.
        OSError: if a file cannot be written.
    """
    return _show("figure", FIGURES, config)


def table(config: TableConfig) -> list[Path]:
    """Render one table, or all that have numbers, as `figure` does."""
    return _show("table", TABLES, config)


def plot(config: PlotConfig) -> list[Path]:
    """Plot reward distributions, routes or what was seen and, for several budgets, what a budget buys.

    A plot of which there is nothing to show any more is removed. Returns the files.

    Raises:
        ValueError: if the folder holds no finished benchmark, or another process writes to it.
    """
    read_summary(config.run)
    written = []
    with locked(config.run, "wait for it"):
        for name, artefact in PLOTS.items():
            assert artefact.measure is not None
            if (numbers := artefact.measure(benchmarks=(config.run,))) is not None:
                written += _render(artefact, name, numbers, config.run)
            else:
                (config.run / f"{name}.png").unlink(missing_ok=True)
    return written


def _show(kind: str, artefacts: Mapping[str, Artefact], config: FigureConfig) -> list[Path]:
    """Measure if asked to, then render."""
    if config.name not in (*artefacts, ALL):
        raise ValueError(f"unknown {kind} {config.name!r}: use one of {', '.join(artefacts)}, or {ALL}")
    results.check_not_installed(config.out or config.numbers, "--numbers" if config.measure else "--out")
    if config.measure:
        results.check_not_installed(config.numbers, "--numbers")
        _measure(kind, artefacts, config)
    elif given := given_options(config.sources):
        raise ValueError(f"--{next(iter(given))} is for measuring numbers: add --measure")
    names = [config.name]
    if config.name == ALL:
        names = [name for name, artefact in artefacts.items() if any(map(Path.exists, _files(artefact, name, config)))]
        if not names:
            raise ValueError(f"{config.numbers} holds no numbers of any {kind}: change --numbers, or measure them")
    written, missing = [], []
    for name in names:
        artefact = artefacts[name]
        remedy = artefact.remedy(f"jumpy {kind} {name}")
        try:
            numbers = read_numbers(config.numbers, name, artefact.files, remedy)
            with damage_named(config.numbers / f"{name}.{'|'.join(artefact.files)}", remedy):
                written += _render(artefact, name, numbers, config.out or config.numbers)
        except ValueError as error:
            missing.append(str(error))
    print(*written, sep="\n")
    if config.name == ALL and (without := [name for name in artefacts if name not in names]):
        print(f"not measured: {', '.join(without)}; 'jumpy {kind} NAME' says how")
    if missing:
        raise ValueError("; ".join(missing))
    return written


def _files(artefact: Artefact, name: str, config: FigureConfig) -> list[Path]:
    return [config.numbers / f"{name}.{suffix}" for suffix in artefact.files]


def _render(artefact: Artefact, name: str, numbers: Numbers, out: Path) -> list[Path]:
    """Write a figure as PNG, or texts; return the files."""
    with locked(out, wait=True), mpl.rc_context(STYLE):
        rendered = artefact.render(numbers)
        if isinstance(rendered, Figure):
            save_png(rendered, out / f"{name}.png")
            return [out / f"{name}.png"]
        for suffix, text in rendered.items():
            write_file(out / f"{name}.{suffix}", text.encode())
    return [out / f"{name}.{suffix}" for suffix in rendered]


def _measure(kind: str, artefacts: Mapping[str, Artefact], config: FigureConfig) -> None:
    """Make an artefact's numbers and write them."""
    name = config.name
    if name == ALL:
        raise ValueError(f"--measure makes the numbers of one {kind}: name one of {', '.join(artefacts)}, got {ALL}")
    artefact, call = artefacts[name], f"jumpy {kind} {name}"
    if artefact.measure is None:
        raise ValueError(f"the numbers of {name} are not measured by this command: {artefact.origin}")
    inputs = _inputs(artefact, config.sources, call)
    add = "--add " * config.add
    if config.add and (artefact.add is None or config.overwrite):
        raise ValueError(f"{call} takes no --add{' with --overwrite' * config.overwrite}: leave it out")
    _check_free(_files(artefact, name, config), config)
    if (numbers := artefact.measure(**inputs)) is None:
        raise ValueError(f"there is nothing to show: {artefact.remedy(call)}")
    with locked(config.numbers, wait=True):
        _check_free(_files(artefact, name, config), config)  # another call may have measured the same
        if config.add and artefact.add is not None:
            there = read_numbers(config.numbers, name, artefact.files, artefact.remedy(call))
            numbers = artefact.add(there, numbers)
        write_numbers(config.numbers, name, numbers, f"{call} --measure {add}{shlex.join(arguments(config.sources))}")


def _check_free(files: list[Path], config: FigureConfig) -> None:
    """Check that no numbers are changed unless asked to."""
    for path in files:
        if path.exists() and not (config.overwrite or config.add):
            raise ValueError(f"{path} is already there: choose another --numbers, or --overwrite")


def _inputs(artefact: Artefact, sources: Sources, call: str) -> dict[str, Any]:
    """The options that an artefact is measured from, with the runs loaded; these must be of its models and data."""
    allowed = (*artefact.needs, *artefact.accepts)
    for option in given_options(sources):
        if option not in allowed:
            raise ValueError(f"{call} is not measured from --{option}: {artefact.remedy(call)}")
    for option, what in artefact.needs.items():
        given = getattr(sources, option)
        if not given or (len(given) > 1 and not what.endswith("…")):
            raise ValueError(f"--{option} needs {what}, got {len(given)}: {artefact.remedy(call)}")
    inputs = {option: getattr(sources, option) for option in allowed}
    device = choose_device(inputs.pop("device", "cpu"))
    if "runs" in inputs:
        pairs = map(split_label, sources.runs)
        inputs["runs"] = [load_trained(path, None, device, artefact.trained_on, label) for label, path in pairs]
        for run in inputs["runs"]:
            if artefact.models and run.training["model"] not in artefact.models:
                wanted = " or ".join(artefact.models)
                raise ValueError(f"{run.name} is a run of {run.training['model']}: give --runs of {wanted}")
    return inputs
