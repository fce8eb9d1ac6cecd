"""Routes of the first episodes on the map of a benchmark's maze."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from envs.layout import WALL, Layout
from experiments.common.numbers import Numbers
from experiments.figures.benchmarks import colours_of, with_largest_budget
from experiments.figures.style import DOTS, GREY, WIDTH
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import read_paths, read_summary

SHOWN_EPISODES = 3


def measure_routes(benchmarks: tuple[Path, ...]) -> Numbers | None:
    """Paths of the floor, the ceiling and each label's agent with the largest budget in the first episodes.

    Returns:
        ``layout`` and the ``agents``; for each agent the arrays ``NAME steps`` (E,), ``NAME pose``
        (E, life steps + 1, 4) and ``NAME goal`` (E, 2). None outside the maze, which has no map.
    """
    (folder,) = benchmarks
    summary = read_summary(folder)
    if "layout" not in summary:
        return None
    chosen, trained = with_largest_budget(summary), summary["agents"]
    arrays: dict[str, np.ndarray] = {}
    for name in (FLOOR, *chosen, CEILING):
        paths = read_paths(folder, name, summary)
        arrays |= {f"{name} {key}": paths[key][:SHOWN_EPISODES] for key in ("steps", "pose", "goal")}
    agents = [{"name": name} | {key: trained[name][key] for key in ("label", "model")} for name in chosen]
    return Numbers({"layout": summary["layout"], "agents": agents}, arrays=arrays)


def plot_routes(numbers: Numbers) -> Figure:
    """The first episodes on the map: one column per episode, one row per agent."""
    layout, agents = Layout.parse(numbers.facts["layout"]), numbers.facts["agents"]
    colours = colours_of(agents)
    rows = {FLOOR: GREY} | {agent["name"]: colours[agent["label"]] for agent in agents}
    episodes = len(numbers.arrays[f"{FLOOR} steps"])
    figure = Figure(figsize=(WIDTH, 0.4 + 1.95 * len(rows)), dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(rows), episodes, squeeze=False)
    for (name, colour), row in zip(rows.items(), panels, strict=True):
        for episode, axes in enumerate(row):
            best, taken = (
                numbers.arrays[f"{agent} pose"][episode, : numbers.arrays[f"{agent} steps"][episode] + 1, :2]
                for agent in (CEILING, name)
            )
            goal = numbers.arrays[f"{name} goal"][episode]
            _plot_route(axes, layout, best, taken, goal, colour)
            solved = (taken[-1] == goal).all()
            steps = f"{len(taken) - 1} steps, shortest {len(best) - 1}" if solved else "not solved"
            axes.set_title(f"{name}: {steps}", fontsize=9, pad=3)
    figure.suptitle("Circle: start. Star: goal. Dotted: shortest path. Cross: end of an unsolved episode.", fontsize=10)
    return figure


def _plot_route(axes: Axes, layout: Layout, best: np.ndarray, taken: np.ndarray, goal: np.ndarray, colour: str) -> None:
    """The map, the path taken, the shortest path, the start, the goal, and the end where it is not the goal."""
    pale = 255 - (255 - layout.picture.astype(np.float64)) * 0.3
    wall = (layout.cells == WALL)[..., None]
    axes.imshow(np.where(wall, 70, pale).astype(np.uint8), interpolation="nearest")
    axes.plot(*taken.T, color=colour, linewidth=2.5)
    axes.plot(*best.T, color="black", linewidth=1.3, linestyle=(0, (1, 1.2)))
    axes.plot(*taken[0], "o", color="white", markeredgecolor="black", markersize=6)
    axes.plot(*goal, "*", color="#f0e442", markeredgecolor="black", markersize=12)
    if (taken[-1] != goal).any():
        axes.plot(*taken[-1], "X", color="white", markeredgecolor="black", markersize=7)
    axes.axis("off")
