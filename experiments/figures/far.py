"""How far planners see, maze by maze: reward over the ceiling against transitions, and success against distance."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from envs.layout import Layout
from experiments.common.bootstrap import PairedBootstrap
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import place_of
from experiments.figures.benchmarks import Benchmarks, Entry, read_benchmarks
from experiments.figures.style import DOTS, GREY, WIDTH, model_colour, model_name
from experiments.navigation.episode_files import SUMMARY, read_summary

BIN = 15  # steps of the shortest path
MARKERS = {"tree": "s", "shooting": "x", "mcts": "^", "cem": "v", "merging": "o"}


def measure_far(benchmarks: tuple[Path, ...]) -> Numbers:
    """Every label at every budget in every maze; agents of one maze are on the same episodes.

    Returns:
        ``mazes`` by layout, from the fewest hallways: ``hallways``, ``life_steps``, ``episodes``, ``first_seed``, the
        ``floor``, and ``points``: label, model, planner, budget, ``training_seeds``, ``transitions_per_decision``,
        ``reward_over_ceiling`` and ``success`` with their ``_ci95``, and ``by_distance``, [shortest path from, success,
        episodes] for each bin of `BIN` steps.
    """
    paths = sorted({path.parent for folder in benchmarks for path in folder.rglob(SUMMARY)})
    if not paths:
        raise ValueError(
            f"no finished benchmark is in {', '.join(map(str, benchmarks))}: make some with 'jumpy benchmark'"
        )
    by_layout: dict[str, list[Path]] = {}
    for path in paths:
        summary = read_summary(path)
        if "layout" not in summary:
            raise ValueError(f"{path} is a benchmark in {place_of(summary)}: give --benchmarks of mazes")
        by_layout.setdefault(summary["layout"], []).append(path)
    mazes = {layout: _maze(read_benchmarks(folders)) for layout, folders in by_layout.items()}
    ordered = dict(sorted(mazes.items(), key=lambda item: item[1]["hallways"]))
    return Numbers({"mazes": ordered})


def _maze(found: Benchmarks) -> dict[str, Any]:
    """The numbers of one maze."""
    groups = {key: list(group) for key, group in groupby(found.entries, key=lambda entry: entry.key[:2])}
    assert found.ceiling is not None  # of a maze it is known
    columns = {"floor reward": found.floor["reward"], "ceiling reward": found.ceiling["reward"]}
    for key, group in groups.items():
        for name in ("reward", "success"):
            columns[f"{key} {name}"] = np.mean([entry.episodes[name] for entry in group], axis=0)
    bootstrap = PairedBootstrap(columns)
    points = []
    for key, group in groups.items():
        spent, decisions = (sum(entry.episodes[name].sum() for entry in group) for name in ("transitions", "decisions"))
        point = {name: group[0].facts[name] for name in ("label", "model", "budget")}
        point |= {"planner": group[0].facts["planner"], "training_seeds": [entry.key[2] for entry in group]}
        point |= {"transitions_per_decision": float(spent / decisions)}
        point |= bootstrap.ratio(f"{key} reward", "ceiling reward").to_json("reward_over_ceiling")
        point |= bootstrap.mean(f"{key} success").to_json("success")
        points.append(point | {"by_distance": _by_distance(group)})
    facts = {"hallways": Layout.parse(found.facts["layout"]).hallways} | found.facts
    return facts | {"floor": bootstrap.ratio("floor reward", "ceiling reward").value, "points": points}


def _by_distance(group: list[Entry]) -> list[list[float]]:
    """Shortest path from, share of episodes solved, and number of episodes, for each bin that has any."""
    path = group[0].episodes["shortest_path"]
    success = np.mean([entry.episodes["success"] for entry in group], axis=0)
    bins = path // BIN
    return [
        [float(number * BIN), float(success[bins == number].mean()), float((bins == number).sum())]
        for number in np.unique(bins).tolist()
    ]


def plot_far(numbers: Numbers) -> Figure:
    """A column for each maze: above reward over ceiling, below the success of each model's best point by distance."""
    mazes: dict[str, dict[str, Any]] = numbers.facts["mazes"]
    figure = Figure(figsize=(max(WIDTH, 3.2 * len(mazes)), 6.2), dpi=DOTS, layout="constrained")
    panels = figure.subplots(2, len(mazes), squeeze=False, sharey="row")
    spent = [point["transitions_per_decision"] for maze in mazes.values() for point in maze["points"]]
    for (layout, maze), above, below in zip(mazes.items(), *panels, strict=True):
        above.set_title(f"{layout}: {maze['hallways']} hallways, {maze['life_steps']} life steps")
        above.axhline(1, color=GREY, linestyle="--", label="shortest path (ceiling)")
        above.axhline(maze["floor"], color=GREY, linestyle=":", label="random (floor)")
        for label in dict.fromkeys(point["label"] for point in maze["points"]):
            _plot_line(above, [point for point in maze["points"] if point["label"] == label])
        above.set(xscale="log", xlabel="model transitions per decision", xlim=(0.7 * min(spent), 1.4 * max(spent)))
        above.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(spent) < 300 * min(spent) else (1,)))
        above.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        above.xaxis.set_minor_formatter(NullFormatter())
        _plot_distance(below, maze["points"])
        below.set(xlabel="steps of the shortest path")
        below.yaxis.set_major_formatter(PercentFormatter(1))
    panels[0, 0].set(ylabel="reward over ceiling", ylim=(0, 1.04))
    panels[1, 0].set(ylabel="solved, best planner", ylim=(0, 1.04))
    handles = {text: handle for row in panels[0] for handle, text in zip(*row.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    episodes = ", ".join(
        dict.fromkeys(f"{maze['episodes']} episodes from seed {maze['first_seed']}" for maze in mazes.values())
    )
    figure.suptitle(f"{episodes}. Bars: 95 % intervals over episodes.", fontsize=10)
    return figure


def _plot_line(axes: Axes, points: list[dict[str, Any]]) -> None:
    """One label: a model and a planner."""
    points = sorted(points, key=lambda point: point["transitions_per_decision"])
    x, y = ([point[name] for point in points] for name in ("transitions_per_decision", "reward_over_ceiling"))
    low, high = np.array([point["reward_over_ceiling_ci95"] for point in points]).T
    model, kind = points[0]["model"], points[0]["planner"]["kind"]
    colour, error = model_colour(model), [np.subtract(y, low), np.subtract(high, y)]
    look: dict[str, Any] = {"marker": MARKERS.get(kind, "D"), "markersize": 4, "linewidth": 1, "elinewidth": 0.8}
    axes.errorbar(x, y, error, color=colour, label=f"{model_name(model)}, {kind}", **look)


def _plot_distance(axes: Axes, points: list[dict[str, Any]]) -> None:
    """The best point of each model."""
    for model in dict.fromkeys(point["model"] for point in points):
        best = max(
            (point for point in points if point["model"] == model), key=lambda point: point["reward_over_ceiling"]
        )
        start, success, _ = np.array(best["by_distance"]).T
        axes.plot(start + BIN / 2, success, "o-", color=model_colour(model), markersize=3)
        spent = f"{best['planner']['kind']}, {best['transitions_per_decision']:.0f} transitions"
        place = (0.03, 0.12 if model == "hrssm" else 0.04)
        axes.text(*place, spent, color=model_colour(model), fontsize=8, transform=axes.transAxes)
