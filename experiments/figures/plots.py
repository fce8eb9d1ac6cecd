"""`jumpy plot`: the figures of a benchmark, from its folder alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agent.system.atomic_files import write_file
from envs.layout import WALL, Layout
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import EPISODES, PATHS, read_episodes, read_paths, read_summary

REWARDS, BUDGET, ROUTES = "rewards.png", "budget.png", "routes.png"
FIGURES = (REWARDS, BUDGET, ROUTES)
WIDTH, DOTS = 8.0, 150  # inches, pixels an inch: texts stay readable where a page shows 800 pixels
# Colours of Okabe and Ito, which people with any colour vision tell apart; the grey ones are floor and ceiling.
GREY, TRAINED = "#666666", ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}


@dataclass(frozen=True)
class PlotConfig:
    """Draw the figures of a benchmark into its folder."""

    run: tyro.conf.Positional[Path]
    """Folder of the benchmark."""


def plot(config: PlotConfig) -> list[Path]:
    """Draw reward distributions, routes and, for several budgets, reward against budget.

    Returns:
        The pictures' paths.

    Raises:
        ValueError: if the folder holds no finished benchmark.
    """
    summary = read_summary(config.run)
    colours = _colours(summary["agents"])
    with mpl.rc_context(STYLE):
        figures = {REWARDS: _rewards(config.run, summary, colours), ROUTES: _routes(config.run, summary, colours)}
        if len({entry["budget"] for entry in summary["agents"].values() if entry["trained"]}) > 1:
            figures[BUDGET] = _budget(summary, colours)
        for name, figure in figures.items():
            save_png(figure, config.run / name)
    return [config.run / name for name in figures]


# ---------------------------------------------------------------- reward distributions


def _rewards(run: Path, summary: dict[str, Any], colours: dict[str, str]) -> Figure:
    """How rewards are distributed, a row an agent (Kim et al. 2019, Figure 8).

    Episodes without success, all of reward 0, have a panel of their own: as one bin they would dwarf the rest.
    """
    names = list(summary["agents"])
    figure = Figure(figsize=(WIDTH, 1.0 + 0.8 * len(names)), dpi=DOTS, layout="constrained")
    rows = figure.subplots(len(names), 2, sharex="col", width_ratios=(1, 4), squeeze=False)
    for name, (unsolved, solved) in zip(names, rows, strict=True):
        episodes, entry = read_episodes(run / EPISODES / f"{name}.csv"), summary["agents"][name]
        _unsolved_bar(unsolved, name, 1 - entry["success"], colours[name])
        _reward_histogram(solved, episodes["reward"][episodes["success"] == 1], colours[name])
        _mark_mean(solved, entry)
    rows[-1][0].set_xlabel("not solved")
    rows[-1][1].set_xlabel("reward of the solved episodes (each row to its own scale)")
    title = f"{summary['episodes']} episodes, layout {summary['layout']}. "
    figure.suptitle(f"{title}Line: mean reward of all episodes, with its 95 % interval.", fontsize=10)
    return figure


def _unsolved_bar(axes: Axes, name: str, share: float, colour: str) -> None:
    """The share of episodes without success, beside the agent's name."""
    axes.barh(0, share, color=colour, alpha=0.5, height=0.6)
    axes.text(share + 0.04, 0, f"{share:.0%}", va="center")
    axes.set(xlim=(0, 1.35), ylim=(-0.7, 0.7), yticks=[0], yticklabels=[name], xticks=[0, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(axis="y", length=0)


def _reward_histogram(axes: Axes, rewards: np.ndarray, colour: str) -> None:
    """Rewards in steps of 5, with room above for the mean."""
    counts, edges = np.histogram(rewards, bins=20, range=(0, 100))
    axes.bar(edges[:-1], counts, width=5, align="edge", color=colour, alpha=0.75, edgecolor="white")
    axes.set(xlim=(0, 100), ylim=(0, 1.5 * max(counts.max(), 1)), yticks=[])
    axes.spines["left"].set_visible(False)


def _mark_mean(axes: Axes, entry: dict[str, Any]) -> None:
    """A line at the mean, its interval behind it, its number beside it where there is room."""
    mean, (low, high) = entry["mean_reward"], entry["mean_reward_ci95"]
    axes.axvspan(low, high, color="black", alpha=0.25, linewidth=0)
    axes.axvline(mean, color="black", linewidth=1.5)
    place, side = (high + 0.7, "left") if high < 90 else (low - 0.7, "right")
    axes.text(place, 0.95, f"{mean:.1f}", transform=axes.get_xaxis_transform(), ha=side, va="top", fontweight="bold")


# ---------------------------------------------------------------- budget


def _budget(summary: dict[str, Any], colours: dict[str, str]) -> Figure:
    """Reward and success against model transitions a decision, a line a run."""
    agents = summary["agents"]
    figure = Figure(figsize=(WIDTH, 3.8), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, key, title in zip(panels, ("mean_reward", "success"), ("mean reward", "solved"), strict=True):
        for name, dashes in ((CEILING, "--"), (FLOOR, ":")):
            axes.axhline(agents[name][key], color=GREY, linestyle=dashes, label=name)
        for label in dict.fromkeys(entry["label"] for entry in agents.values() if entry["trained"]):
            runs = {name: entry for name, entry in agents.items() if entry.get("label") == label}
            _budget_line(axes, label, list(runs.values()), key, colours[next(iter(runs))])
        axes.set(xscale="log", xlabel="model transitions a decision", title=title)
        axes.set_ylim(0, 1.12 * agents[CEILING][key])
    panels[1].yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=6, frameon=False)
    title = f"{summary['episodes']} episodes, layout {summary['layout']}. Numbers: budget. Bands: 95 % intervals."
    figure.suptitle(title, fontsize=10)
    return figure


def _budget_line(axes: Axes, label: str, entries: Sequence[dict[str, Any]], key: str, colour: str) -> None:
    """One run at all its budgets, each point with its budget below."""
    x = [entry["transitions_per_decision"] for entry in entries]
    y = [entry[key] for entry in entries]
    low, high = np.array([entry[f"{key}_ci95"] for entry in entries]).T
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, y, "o-", color=colour, label=label, markersize=4)
    for entry, point in zip(entries, zip(x, y, strict=True), strict=True):
        budget, shift = str(entry["budget"]), (0, -6)
        axes.annotate(budget, point, shift, textcoords="offset points", ha="center", va="top", color=colour, fontsize=8)


# ---------------------------------------------------------------- routes


def _routes(run: Path, summary: dict[str, Any], colours: dict[str, str], episodes: int = 3) -> Figure:
    """The first episodes on the map: one column per episode, one row per agent (of each run the last budget)."""
    layout = Layout.parse(summary["layout"])
    last = {entry["label"]: name for name, entry in summary["agents"].items() if entry["trained"]}
    names = [FLOOR, *last.values()]
    paths = {name: read_paths(run / PATHS / f"{name}.npz") for name in (*names, CEILING)}
    episodes = min(episodes, len(paths[CEILING]["seed"]))
    figure = Figure(figsize=(WIDTH, 0.4 + 1.95 * len(names)), dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(names), episodes, squeeze=False)
    for name, row in zip(names, panels, strict=True):
        for episode, axes in enumerate(row):
            best, taken = _cells(paths[CEILING], episode), _cells(paths[name], episode)
            goal = paths[name]["goal"][episode]
            _draw_route(axes, layout, best, taken, goal, colours[name])
            solved = (taken[-1] == goal).all()
            steps = f"{len(taken) - 1} steps, shortest {len(best) - 1}" if solved else "not solved"
            axes.set_title(f"{name}: {steps}", fontsize=9, pad=3)
    figure.suptitle(
        "Circle: start. Star: goal. Dotted: shortest path. Cross: where an unsolved episode ended.", fontsize=10
    )
    return figure


def _cells(paths: dict[str, np.ndarray], episode: int) -> np.ndarray:
    """x, y after each step of an episode, (steps + 1, 2)."""
    return paths["pose"][episode, : paths["steps"][episode] + 1, :2]


def _draw_route(axes: Axes, layout: Layout, best: np.ndarray, taken: np.ndarray, goal: np.ndarray, colour: str) -> None:
    """Map, path taken, shortest path, start, goal, and the end where it is not the goal."""
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


# ---------------------------------------------------------------- common


def _colours(agents: dict[str, Any]) -> dict[str, str]:
    """One colour per agent, the same for all budgets of a run."""
    labels = list(dict.fromkeys(entry["label"] for entry in agents.values() if entry["trained"]))
    return {
        name: TRAINED[labels.index(entry["label"]) % len(TRAINED)] if entry["trained"] else GREY
        for name, entry in agents.items()
    }


def save_png(figure: Figure, path: Path) -> None:
    """Write a picture at once; its folder must exist."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    write_file(path, content.getvalue())
