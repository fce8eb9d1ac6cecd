"""What agents saw first and last in the first episodes of an environment without a map, beside what they looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.numbers import Numbers
from experiments.common.trained_runs import place_of
from experiments.figures.benchmarks import with_largest_budget
from experiments.figures.style import DOTS, WIDTH
from experiments.navigation.agents import FLOOR
from experiments.navigation.episode_files import read_episodes, read_paths, read_summary

SHOWN_EPISODES = 3


def measure_seen(benchmarks: tuple[Path, ...]) -> Numbers | None:
    """First and last frames of the floor and of each label's agent with the largest budget.

    Returns:
        The environment and the ``agents``; for each agent the arrays ``NAME steps`` (E,), ``NAME success`` (E,),
        ``NAME start`` and ``NAME end`` (E, s, s, 3) and, if goals are pictures, ``NAME goal`` (E, h, w, 3). None in a
        maze, where routes are drawn.
    """
    (folder,) = benchmarks
    summary = read_summary(folder)
    if "environment" not in summary:
        return None
    agents, arrays = [FLOOR, *with_largest_budget(summary)], dict[str, np.ndarray]()
    for name in agents:
        paths, success = read_paths(folder, name, summary), read_episodes(folder, name, summary)["success"]
        arrays |= {f"{name} {key}": paths[key][:SHOWN_EPISODES] for key in ("steps", "start", "end")}
        arrays[f"{name} success"] = success[: len(arrays[f"{name} steps"])]
        if paths["goal"].ndim == 4:
            arrays[f"{name} goal"] = paths["goal"][:SHOWN_EPISODES]
    return Numbers({"environment": summary["environment"], "agents": agents}, arrays=arrays)


def plot_seen(numbers: Numbers) -> Figure:
    """One row per agent; of each episode the first frame, the last one and the goal."""
    agents, arrays = numbers.facts["agents"], numbers.arrays
    kinds = [kind for kind in ("start", "end", "goal") if f"{FLOOR} {kind}" in arrays]
    episodes = len(arrays[f"{FLOOR} steps"])
    high = 0.35 + 0.88 * WIDTH / (episodes * len(kinds))  # the pictures are square
    figure = Figure(figsize=(WIDTH, 0.4 + high * len(agents)), dpi=DOTS, layout="constrained")
    rows = figure.subfigures(len(agents), episodes, squeeze=False, wspace=0.04)
    for name, row in zip(agents, rows, strict=True):
        for episode, cell in enumerate(row):
            steps = int(arrays[f"{name} steps"][episode])
            ended = f"solved in {steps}" if arrays[f"{name} success"][episode] else f"not solved in {steps}"
            cell.suptitle(f"{name}: {ended} steps", fontsize=9)
            for kind, axes in zip(kinds, cell.subplots(1, len(kinds), squeeze=False)[0], strict=True):
                _picture(axes, arrays[f"{name} {kind}"][episode], kind)
    figure.suptitle(f"{place_of(numbers.facts)}: what was seen first and last", fontsize=10)
    return figure


def _picture(axes: Axes, picture: np.ndarray, title: str) -> None:
    """A frame with its name below."""
    axes.imshow(picture, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(title, fontsize=8)
