"""`jumpy figure`: the figures of the results, drawn from committed numbers, or measured and then drawn.

A figure is one entry of `FIGURES`: a function that draws it from its `Numbers` and, where this command can make them,
one that measures them. See `experiments/figures/numbers.py` for the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import matplotlib as mpl
import tyro
from matplotlib.figure import Figure

from agent.system.atomic_files import write_file
from experiments.figures.boundaries import draw_boundaries, measure_boundaries
from experiments.figures.curves import (
    draw_learning_curves,
    draw_unseen,
    measure_learning_curves,
)
from experiments.figures.frame_metrics import draw_frame_metrics, measure_frame_metrics
from experiments.figures.frames import draw_jumpy_generations, draw_two_generations, draw_varied_lengths
from experiments.figures.generation import (
    measure_jumpy_generations,
    measure_two_generations,
    measure_varied_lengths,
)
from experiments.figures.numbers import Numbers, Sources, read, write
from experiments.figures.plots import STYLE, save_png
from experiments.figures.rewards import draw_budget, draw_rewards, measure_budget, measure_rewards
from experiments.figures.rollouts import (
    draw_levels,
    draw_rollouts,
    each_level,
    levels_above_2,
    levels_to_2,
    measure_levels,
    measure_rollouts,
)
from experiments.figures.structure_prior import draw_structure_prior, measure_structure_prior
from experiments.figures.table import draw_options, measure_options

ALL = "all"


class Drawing(NamedTuple):
    """How a figure comes about."""

    draw: Callable[[Numbers], Figure | dict[str, str]]
    """a picture, saved as NAME.png, or texts by the ends of their files' names"""
    files: tuple[str, ...]
    """ends of the names of its numbers' files"""
    measure: Callable[[Sources], Numbers] | None = None
    """None: its numbers come from elsewhere, as `origin` says"""
    needs: Mapping[str, str] = {}
    """the fields of `Sources` that it is measured from, with what to give; several where that ends in …"""
    origin: str = ""
    """where numbers come from that this command does not measure"""

    def remedy(self, name: str) -> str:
        """How to get the numbers."""
        if self.measure is None:
            return self.origin
        options = "".join(f" --{option} {what}" for option, what in self.needs.items())
        return f"make it with 'jumpy figure {name} --measure{options}'"


RUN, RUNS = {"hrssm": "RUN"}, {"hrssm": "RUN…", "rssm": "RUN…"}
BENCHMARKS = {"benchmarks": "DIR…"}


def _futures(kinds: tuple[str, ...], consecutive: bool) -> Drawing:
    """Futures of videos by these models."""
    measure = partial(measure_rollouts, kinds=kinds, consecutive=consecutive)
    return Drawing(draw_rollouts, ("json", "npz"), measure, dict.fromkeys(kinds, "RUN") | {"data": "DIR"})


def _levels(groups: Callable[[int], list[tuple[int, ...]]], runs: str) -> Drawing:
    """Levels of DLH drawn anew."""
    measure = partial(measure_levels, groups=groups)
    return Drawing(draw_levels, ("json", "npz"), measure, {"dlh": runs, "data": "DIR"})


FIGURES = {
    "vta-3": Drawing(draw_boundaries, ("json", "npz"), measure_boundaries, RUN | {"data": "DIR"}),
    "vta-4": Drawing(draw_learning_curves, ("json", "csv"), measure_learning_curves, RUNS),
    "vta-5": Drawing(draw_two_generations, ("json", "npz"), measure_two_generations, RUN),
    "vta-6": Drawing(draw_jumpy_generations, ("json", "npz"), measure_jumpy_generations, RUN),
    "vta-7": Drawing(draw_varied_lengths, ("json", "npz"), measure_varied_lengths, RUN),
    "vta-8": Drawing(draw_rewards, ("json", "csv"), measure_rewards, BENCHMARKS),
    "dlh-4": _futures(("dlh",), consecutive=False),
    "dlh-5": _levels(each_level, "RUN"),
    "dlh-6": _futures(("dlh", "cwvae"), consecutive=True),
    "dlh-7": _futures(("dlh", "cwvae", "hrssm"), consecutive=False),
    "dlh-9": Drawing(draw_frame_metrics, ("json", "csv"), measure_frame_metrics, {"predictions": "DIR…"}),
    "dlh-10": _levels(levels_above_2, "RUN…"),
    "dlh-11": _levels(levels_to_2, "RUN…"),
    "budget": Drawing(draw_budget, ("json",), measure_budget, BENCHMARKS),
    "structure-prior": Drawing(
        draw_structure_prior,
        ("json", "csv"),
        measure_structure_prior,
        {"compare": "with=RUN without=RUN…", "data": "DIR"},
    ),
    "options": Drawing(draw_options, ("json",), measure_options, {"compare": "ours=FILE 'without X'=FILE…"}),
    "unseen": Drawing(
        draw_unseen,
        ("csv",),
        origin="make it with 'jumpy unseen': a row a benchmark, columns layout,minutes,reward_over_ceiling,low,high",
    ),
}


@dataclass(frozen=True)
class FigureConfig:
    """Draw a figure of the results from its numbers; with --measure, make the numbers first."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Which figure (a wrong name lists them), or all."""
    measure: bool = False
    """Make the numbers from runs or benchmarks, as the options below say, and write them before drawing."""
    numbers: Path = Path("experiments/results/figures")
    """Folder of the numbers."""
    out: Path | None = None
    """Folder of the pictures; default: beside the numbers."""
    overwrite: bool = False
    """Replace numbers that are already there."""
    sources: tyro.conf.OmitArgPrefixes[Sources] = field(default_factory=Sources)
    """What --measure reads."""


def figure(config: FigureConfig) -> list[Path]:
    """Draw one figure, or all that have numbers.

    Returns:
        The files drawn.

    Raises:
        ValueError: for an unknown name, missing or damaged numbers (all others are drawn first), or sources that a
            figure cannot be measured from.
        OSError: if a file cannot be written.
    """
    if config.name not in (*FIGURES, ALL):
        raise ValueError(f"unknown figure {config.name!r}: use one of {', '.join(FIGURES)}, or {ALL}")
    if config.measure:
        _measure(config)
    elif config.sources != Sources():
        raise ValueError(f"{_given(config.sources)[0]} is what numbers are measured from: add --measure")
    names = [name for name in FIGURES if _begun(config.numbers, name)] if config.name == ALL else [config.name]
    if not names:
        raise ValueError(f"{config.numbers} holds no numbers of any figure: give another --numbers, or measure them")
    drawn, missing = [], []
    for name in names:
        try:
            numbers = read(config.numbers, name, FIGURES[name].files, FIGURES[name].remedy(name))
        except ValueError as error:
            missing.append(str(error))
            continue
        drawn += _draw(name, numbers, config.out or config.numbers)
    for path in drawn:
        print(path)
    if config.name == ALL and (without := [name for name in FIGURES if name not in names]):
        print(f"not measured: {', '.join(without)}; 'jumpy figure NAME' tells how")
    if missing:
        raise ValueError("; ".join(missing))
    return drawn


def _begun(folder: Path, name: str) -> bool:
    """Whether any of a figure's files is there."""
    return any((folder / f"{name}.{suffix}").exists() for suffix in FIGURES[name].files)


def _draw(name: str, numbers: Numbers, out: Path) -> list[Path]:
    """Draw a figure into a folder; return its files."""
    out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        drawing = FIGURES[name].draw(numbers)
        if isinstance(drawing, Figure):
            save_png(drawing, out / f"{name}.png")
            return [out / f"{name}.png"]
    for suffix, text in drawing.items():
        write_file(out / f"{name}.{suffix}", text.encode())
    return [out / f"{name}.{suffix}" for suffix in drawing]


def _measure(config: FigureConfig) -> None:
    """Make a figure's numbers and write them."""
    if config.name == ALL:
        raise ValueError(f"--measure makes the numbers of one figure: name one of {', '.join(FIGURES)}, got {ALL}")
    drawing = FIGURES[config.name]
    if drawing.measure is None:
        raise ValueError(f"the numbers of {config.name} are not measured by this command: {drawing.origin}")
    for option in _given(config.sources):
        if option != "--seed" and option[2:] not in drawing.needs:
            raise ValueError(f"{config.name} is not measured from {option}: {drawing.remedy(config.name)}")
    for option, what in drawing.needs.items():
        given = getattr(config.sources, option)
        if not given or (len(given) > 1 and not what.endswith("…")):
            raise ValueError(f"--{option} needs {what}, got {len(given)}: {drawing.remedy(config.name)}")
    for path in (config.numbers / f"{config.name}.{suffix}" for suffix in drawing.files):
        if path.exists() and not config.overwrite:
            raise ValueError(f"{path} is already there: choose another --numbers, or --overwrite")
    write(config.numbers, config.name, drawing.measure(config.sources), config.sources)


def _given(sources: Sources) -> list[str]:
    """The options that were given."""
    return [f"--{name}" for name in Sources.__dataclass_fields__ if getattr(sources, name) != getattr(Sources(), name)]
