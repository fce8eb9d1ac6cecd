"""How rewards are distributed: one shape per agent and budget, over all training seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.numbers import Numbers
from experiments.figures.benchmarks import colours_of, headline, read_benchmarks
from experiments.figures.style import DOTS, GREY, WIDTH, label_name
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import life_steps_of
from experiments.navigation.planning import tree_depth
from experiments.navigation.summary import NO_CEILING


class Baseline(NamedTuple):
    """How the floor or the ceiling is drawn."""

    style: Any
    """line style of its mean"""
    tick: str


BASELINES = {FLOOR: Baseline(":", f"{FLOOR}\n(floor)"), CEILING: Baseline("--", "shortest\n(ceiling)")}
BIN = 5  # reward
NARROW = 0.35  # a shape's room, of that of a budget, in which a number is written upwards


def measure_rewards(benchmarks: tuple[Path, ...]) -> Numbers:
    """Every episode of every label, budget and training seed.

    Returns:
        One row per episode: its seed, and in each agent's column the steps to the goal, empty where it was not
        reached. ``agents`` in the facts describes the columns.
    """
    found = read_benchmarks(benchmarks)
    columns = {"{} budget={} seed={}".format(*entry.key): entry for entry in found.entries}
    agents = [{"column": name} | entry.facts for name, entry in columns.items()]
    episodes = {FLOOR: found.floor} | {name: entry.episodes for name, entry in columns.items()}
    table = {"episode": found.floor["seed"].tolist()}
    episodes |= {} if found.ceiling is None else {CEILING: found.ceiling}
    for name, each in episodes.items():
        if (each["seed"] != found.floor["seed"]).any():
            raise ValueError(f"the episodes of {name} are not those of {FLOOR}: give --benchmarks of one measurement")
        table[name] = np.where(each["success"] == 1, each["steps"].astype(object), "").tolist()
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    return Numbers(found.facts | {"agents": agents}, rows)


def reward(steps: Float[np.ndarray, "*n"], life_steps: int) -> Float[np.ndarray, "*n"]:
    """Steps that were left; 0 where the goal was not reached (NaN)."""
    return np.where(np.isnan(steps), 0.0, life_steps - steps)


def histogram(
    steps: Float[np.ndarray, " n"], life_steps: int
) -> tuple[Int64[np.ndarray, " bins"], Float[np.ndarray, " edges"]]:
    """How many solved episodes earn each reward, in bins of 5, and the bins' edges."""
    return np.histogram(reward(steps, life_steps)[~np.isnan(steps)], bins=life_steps // BIN, range=(0, life_steps))


class Shape(NamedTuple):
    """One distribution and its place."""

    left: float
    right: float
    """ends of its room on the x axis"""
    anchor: float
    """which part of it is at the same place in all bins: 0 its left side, 0.5 the middle, 1 its right side"""
    columns: list[str]
    """of the CSV, one per training seed"""
    colour: str


def plot_rewards(numbers: Numbers) -> Figure:
    """Reward distributions over budgets, the labels side by side (Kim et al. 2019, Figure 8).

    Unsolved episodes, all with reward 0, have a panel of their own: in one bin they would dwarf the rest.
    """
    agents = numbers.facts["agents"]
    budgets = sorted({agent["budget"] for agent in agents})
    baselines = [name for name in BASELINES if name in numbers.rows[0]]
    shapes = _shapes(agents, budgets, baselines)
    rows, life_steps = numbers.rows, life_steps_of(numbers.facts)
    steps = [  # per shape (seeds, episodes); NaN where the goal was not reached
        np.array([[float(row[column] or "nan") for row in rows] for column in shape.columns]) for shape in shapes
    ]
    bootstrap = PairedBootstrap({str(k): reward(its, life_steps).mean(axis=0) for k, its in enumerate(steps)})
    figure = Figure(figsize=(WIDTH, 4.8), dpi=DOTS, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1.3))
    for number, (shape, its) in enumerate(zip(shapes, steps, strict=True)):
        mean = bootstrap.mean(str(number))
        _plot_solved(above, shape, its.ravel(), mean, life_steps)
        _plot_unsolved(below, shape, float(np.isnan(its).mean()))
        if shape.columns[0] in BASELINES:
            above.axhline(mean.value, color=GREY, linestyle=BASELINES[shape.columns[0]].style, linewidth=1.2, zorder=0)
    room = max(0.0, (3 - len(budgets)) / 2)  # keeps few shapes narrow
    above.set(
        ylim=(0, life_steps),
        ylabel="reward (shapes: solved episodes)",
        xlim=(-0.55 - room, len(budgets) + len(baselines) - 0.45 + room),
    )
    below.set(ylabel="unsolved", ylim=(0, None))
    below.margins(y=0.35)
    below.yaxis.set_major_formatter(PercentFormatter(1))
    ticks = [_budget_tick(agents, budget) for budget in budgets] + [BASELINES[name].tick for name in baselines]
    below.set_xticks(range(len(ticks)), ticks, fontsize=9)
    depth = " (L: depth of the tree)" * any(map(tree_depth, (agent["planner"] for agent in agents)))
    below.set_xlabel(f"budget: model transitions per decision{depth}")
    _legend(figure, agents, baselines)
    labels = dict.fromkeys(agent["label"] for agent in agents)
    seeds = [len({agent["training_seed"] for agent in agents if agent["label"] == label}) for label in labels]
    of_each = f"{min(seeds)} to {max(seeds)}" if len(set(seeds)) > 1 else f"{max(seeds, default=1)}"
    together = f" {of_each} training seeds pooled." * (max(seeds, default=1) > 1)
    unknown = "" if CEILING in baselines else f"\n{NO_CEILING.capitalize()}."
    figure.suptitle(f"{headline(numbers.facts, agents)}{together} Numbers: mean reward.{unknown}", fontsize=10)
    return figure


def _shapes(agents: list[dict[str, Any]], budgets: list[int], baselines: list[str]) -> list[Shape]:
    """Two labels back to back, any other number of them side by side; then the floor and, if known, the ceiling."""
    colours = colours_of(agents)
    wide = 0.92 / max(len(colours), 1)
    shapes = []
    for place, budget in enumerate(budgets):
        for number, (label, colour) in enumerate(colours.items()):
            left = place - 0.46 + wide * number
            anchor = 1.0 - number if len(colours) == 2 else 0.5
            columns = [one["column"] for one in agents if (one["label"], one["budget"]) == (label, budget)]
            if columns:
                shapes.append(Shape(left, left + wide, anchor, columns, colour))
    places = enumerate(baselines, len(budgets))
    return shapes + [Shape(place - 0.46, place + 0.46, 0.5, [name], GREY) for place, name in places]


def _budget_tick(agents: list[dict[str, Any]], budget: int) -> str:
    """A budget, and the depth of the trees that may spend it."""
    planners = [agent["planner"] for agent in agents if agent["budget"] == budget]
    depths = dict.fromkeys(filter(None, map(tree_depth, planners)))
    return "\n".join([str(budget), *(f"L={depth}" for depth in depths)])


def _legend(figure: Figure, agents: list[dict[str, Any]], baselines: list[str]) -> None:
    """Colours and lines."""
    names = {agent["label"]: label_name(agent["label"], agent["model"]) for agent in agents}
    handles: list[Any] = [Patch(color=c, alpha=0.75, label=names[label]) for label, c in colours_of(agents).items()]
    handles += [Line2D([], [], color="black", linewidth=2, label="mean, 95 % interval")]
    handles += [
        Line2D([], [], color=GREY, linestyle=BASELINES[name].style, label=f"mean, {name}") for name in baselines
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)


def _plot_solved(axes: Axes, shape: Shape, steps: np.ndarray, mean: Estimate, life_steps: int) -> None:
    """Rewards of the solved episodes in bins, and the mean of all with its interval, as a number above."""
    counts, edges = histogram(steps, life_steps)
    ends = shape.left, shape.right
    room = shape.right - shape.left
    width = 0.96 * room * counts / max(counts.max(), 1)
    left = shape.left + shape.anchor * (room - width)
    axes.barh(edges[:-1], width, BIN, left, align="edge", color=shape.colour, alpha=0.75, lw=0)
    axes.fill_between(ends, mean.low, mean.high, color="black", alpha=0.25, linewidth=0)
    axes.plot(ends, [mean.value] * 2, color="black", linewidth=2, solid_capstyle="butt")
    text: dict[str, Any] = {"ha": "center", "va": "bottom", "color": shape.colour, "fontsize": 8, "weight": "bold"}
    text |= {"rotation": 90} if room < NARROW else {}
    axes.text(sum(ends) / 2, 1.01 * life_steps, f"{mean.value:.1f}", **text)


def _plot_unsolved(axes: Axes, shape: Shape, share: float) -> None:
    """The fraction of unsolved episodes, as a bar with its number."""
    x = (shape.left + shape.right) / 2
    axes.bar(x, share, min(0.9 * (shape.right - shape.left), 0.4), color=shape.colour, alpha=0.6)
    text = "0" if share == 0 else f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"
    axes.annotate(text, (x, share), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=8)
