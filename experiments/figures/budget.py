"""What a budget buys: mean reward and success against the model transitions of a decision."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from experiments.common.bootstrap import PairedBootstrap
from experiments.common.numbers import Numbers
from experiments.figures.benchmarks import Entry, colours_of, headline, read_benchmarks
from experiments.figures.style import DOTS, GREY, WIDTH, label_name

KEYS = {"mean_reward": "reward", "success": "success"}
"""what is shown, and the column of an episode file that it is the mean of"""


def measure_budget(benchmarks: tuple[Path, ...]) -> Numbers | None:
    """Mean reward and success of each label at each budget, with 95 % intervals over episodes.

    Returns:
        ``points``: label, model, budget, ``transitions_per_decision``, ``mean_reward`` and ``success`` (of all training
        seeds together) with their ``_ci95``, and under ``seeds`` the same of each training seed; ``floor`` and
        ``ceiling``. None if all agents have the same budget.

    Raises:
        ValueError: as `read_benchmarks`.
    """
    found = read_benchmarks(benchmarks)
    if len({entry.facts["budget"] for entry in found.entries}) < 2:
        return None
    groups = {key: list(group) for key, group in groupby(found.entries, key=lambda entry: entry.key[:2])}
    episodes: dict[Any, list[Any]] = {key: [entry.episodes for entry in group] for key, group in groups.items()}
    episodes |= {"floor": [found.floor], "ceiling": [found.ceiling]}
    bootstrap = PairedBootstrap(
        {
            f"{name} {column}": np.mean([each[column] for each in seeds], axis=0)
            for name, seeds in episodes.items()
            for column in KEYS.values()
        }
    )

    def estimated(name: Any) -> dict[str, Any]:
        mean_reward, success = (bootstrap.mean(f"{name} {column}").to_json(key) for key, column in KEYS.items())
        return mean_reward | success

    points = [
        {name: group[0].facts[name] for name in ("label", "model", "budget")}
        | {"transitions_per_decision": _transitions(group)}
        | estimated(key)
        | {"seeds": [_of_seed(entry) for entry in group]}
        for key, group in groups.items()
    ]
    return Numbers(found.facts | {"points": points, "floor": estimated("floor"), "ceiling": estimated("ceiling")})


def _transitions(group: list[Entry]) -> float:
    """Model transitions per decision, over all training seeds."""
    spent, decisions = (sum(entry.episodes[name].sum() for entry in group) for name in ("transitions", "decisions"))
    return float(spent / decisions)


def _of_seed(entry: Entry) -> dict[str, Any]:
    """A training seed's own numbers."""
    return entry.facts | {key: float(entry.episodes[column].mean()) for key, column in KEYS.items()}


def plot_budget(numbers: Numbers) -> Figure:
    """Mean reward and success against model transitions per decision: training seeds thin, all together thick."""
    facts = numbers.facts
    agents = [seed for point in facts["points"] for seed in point["seeds"]]
    figure = Figure(figsize=(WIDTH, 3.9), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, key, title in zip(panels, KEYS, ("mean reward", "solved"), strict=True):
        for name, style in (("ceiling", "--"), ("floor", ":")):
            axes.axhline(facts[name][key], color=GREY, linestyle=style, label=name)
        for label, colour in colours_of(agents).items():
            _plot_label(axes, [point for point in facts["points"] if point["label"] == label], key, colour)
        axes.set(xscale="log", xlabel="model transitions per decision", title=title)
        axes.set_ylim(0, 1.08 * facts["ceiling"][key])
    panels[1].yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=6, frameon=False)
    notes = ["Bands: 95 % intervals over episodes."]
    notes += ["Numbers: depth of the tree."] * any("depth" in agent["planner"] for agent in agents)
    notes += ["Thin: training seeds."] * (len({agent["training_seed"] for agent in agents}) > 1)
    figure.suptitle(f"{headline(facts, agents)}\n{' '.join(notes)}", fontsize=10)
    return figure


def _plot_label(axes: Axes, points: list[dict[str, Any]], key: str, colour: str) -> None:
    """One label at all its budgets, each point with the depth of its planner where it has one."""
    x = [point["transitions_per_decision"] for point in points]
    y = [point[key] for point in points]
    low, high = np.array([point[f"{key}_ci95"] for point in points], float).T
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    for seed in dict.fromkeys(one["training_seed"] for point in points for one in point["seeds"]):
        own = [one for point in points for one in point["seeds"] if one["training_seed"] == seed]
        places = [one["transitions_per_decision"] for one in own]
        axes.plot(places, [one[key] for one in own], color=colour, lw=0.7, alpha=0.6)
    axes.plot(
        x, y, "o-", color=colour, markersize=4, linewidth=2, label=label_name(points[0]["label"], points[0]["model"])
    )
    text: dict[str, Any] = {"ha": "center", "va": "top", "color": colour, "fontsize": 8}
    for point, place in zip(points, zip(x, y, strict=True), strict=True):
        if depth := point["seeds"][0]["planner"].get("depth"):
            axes.annotate(str(depth), place, (0, -6), textcoords="offset points", **text)
