"""What a budget buys: mean reward and success against the number of model transitions per decision."""

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
from experiments.figures.benchmarks import colours_of, headline, read_benchmarks
from experiments.figures.style import DOTS, GREY, WIDTH, label_name
from experiments.navigation.planning import tree_depth
from experiments.navigation.summary import NO_CEILING

KEYS = {"mean_reward": "reward", "success": "success"}
"""what is shown, and the column of the episode files whose mean it is"""


def measure_budget(benchmarks: tuple[Path, ...]) -> Numbers | None:
    """Mean reward and success of each label at each budget, with 95 % intervals over episodes.

    Returns:
        ``points``: label, model, budget, ``transitions_per_decision``, ``mean_reward`` and ``success`` (over all
        training seeds) with their ``_ci95``, and under ``seeds`` the same for each training seed; ``floor`` and, where
        it is known, ``ceiling``. None if all agents have the same budget.
    """
    found = read_benchmarks(benchmarks)
    if len({entry.facts["budget"] for entry in found.entries}) < 2:
        return None
    groups = {key: list(group) for key, group in groupby(found.entries, key=lambda entry: entry.key[:2])}
    episodes: dict[Any, list[Any]] = {key: [entry.episodes for entry in group] for key, group in groups.items()}
    baselines = {"floor": found.floor} | ({} if found.ceiling is None else {"ceiling": found.ceiling})
    episodes |= {name: [each] for name, each in baselines.items()}
    means = {
        f"{name} {column}": np.mean([each[column] for each in seeds], axis=0)
        for name, seeds in episodes.items()
        for column in KEYS.values()
    }
    bootstrap = PairedBootstrap(means)

    def estimated(name: Any) -> dict[str, Any]:
        mean_reward, success = (bootstrap.mean(f"{name} {column}").to_json(key) for key, column in KEYS.items())
        return mean_reward | success

    points = []
    for key, group in groups.items():
        spent, decisions = (sum(each[name].sum() for each in episodes[key]) for name in ("transitions", "decisions"))
        point = {name: group[0].facts[name] for name in ("label", "model", "budget")}
        point |= {"transitions_per_decision": float(spent / decisions)} | estimated(key)
        point["seeds"] = [
            entry.facts | {name: float(entry.episodes[column].mean()) for name, column in KEYS.items()}
            for entry in group
        ]
        points.append(point)
    return Numbers(found.facts | {"points": points} | {name: estimated(name) for name in baselines})


def plot_budget(numbers: Numbers) -> Figure:
    """Mean reward and success against model transitions per decision: training seeds thin, their mean thick."""
    facts = numbers.facts
    agents = [seed for point in facts["points"] for seed in point["seeds"]]
    figure = Figure(figsize=(WIDTH, 3.9), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, key, title in zip(panels, KEYS, ("mean reward", "solved"), strict=True):
        lines = {name: style for name, style in (("ceiling", "--"), ("floor", ":")) if name in facts}
        for name, style in lines.items():
            axes.axhline(facts[name][key], color=GREY, linestyle=style, label=name)
        for label, colour in colours_of(agents).items():
            _plot_label(axes, [point for point in facts["points"] if point["label"] == label], key, colour)
        axes.set(xscale="log", xlabel="model transitions per decision", title=title)
        top = facts["ceiling"][key] if "ceiling" in facts else max(axes.dataLim.ymax, facts["floor"][key])
        axes.set_ylim(0, 1.08 * top or 1)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=6, frameon=False)
    notes = ["Bands: 95 % intervals over episodes."]
    notes += ["Numbers: depth of the tree."] * any(map(tree_depth, (agent["planner"] for agent in agents)))
    notes += [f"{NO_CEILING.capitalize()}."] * ("ceiling" not in facts)
    notes += ["Thin: training seeds."] * (len({agent["training_seed"] for agent in agents}) > 1)
    figure.suptitle(f"{headline(facts, agents)}\n{' '.join(notes)}", fontsize=10)
    return figure


def _plot_label(axes: Axes, points: list[dict[str, Any]], key: str, colour: str) -> None:
    """One label at all its budgets, each point with the depth of its tree where it has one."""
    x, y = ([point[name] for point in points] for name in ("transitions_per_decision", key))
    low, high = np.array([point[f"{key}_ci95"] for point in points], float).T
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    seeds = [seed for point in points for seed in point["seeds"]]
    for number in dict.fromkeys(seed["training_seed"] for seed in seeds):
        own = [seed for seed in seeds if seed["training_seed"] == number]
        places = [seed["transitions_per_decision"] for seed in own]
        axes.plot(places, [seed[key] for seed in own], color=colour, lw=0.7, alpha=0.6)
    name = label_name(points[0]["label"], points[0]["model"])
    axes.plot(x, y, "o-", color=colour, markersize=4, linewidth=2, label=name)
    text: dict[str, Any] = {"ha": "center", "va": "top", "color": colour, "fontsize": 8}
    for point, place in zip(points, zip(x, y, strict=True), strict=True):
        if depth := tree_depth(point["seeds"][0]["planner"]):
            axes.annotate(str(depth), place, (0, -6), textcoords="offset points", **text)
