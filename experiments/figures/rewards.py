"""Figures of goal navigation: rewards over imagination lengths, and what a budget buys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from envs.episodes import LIFE_STEPS
from experiments.common.bootstrap import PairedBootstrap
from experiments.figures.numbers import Numbers, Sources
from experiments.figures.plots import DOTS, GREY, TRAINED, WIDTH
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import EPISODES, SUMMARY, read_episodes, read_summary
from experiments.navigation.summary import Episodes
from planners.tree import deepest_tree

COLOURS = {"hrssm": TRAINED[0], "rssm": TRAINED[1]}
LINES: dict[str, Any] = {FLOOR: ":", CEILING: "--"}  # how their means are drawn
BIN = 5  # reward


@dataclass(frozen=True)
class Entry:
    """A model with one budget and training seed."""

    facts: dict[str, Any]
    """model, budget, training_seed, planner, run, …"""
    episodes: Episodes

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells entries apart: model, budget, training seed."""
        return self.facts["model"], self.facts["budget"], self.facts["training_seed"]


@dataclass(frozen=True)
class Benchmarks:
    """Benchmarks on the same episodes."""

    facts: dict[str, Any]
    """episodes, first_seed, layout"""
    entries: list[Entry]
    floor: Episodes
    ceiling: Episodes


def read_benchmarks(folders: Iterable[Path]) -> Benchmarks:
    """All benchmarks below folders, as `jumpy navigation --out` has them.

    Where one has more episodes than another, those that all have count.

    Raises:
        ValueError: if there is none, they do not begin with the same episode, or two measured the same agent.
    """
    paths = sorted({path for folder in folders for path in folder.rglob(SUMMARY)})
    facts: dict[str, Any] = {}
    counts: set[int] = set()
    entries: dict[tuple, tuple[Path, Entry]] = {}
    for path in paths:
        summary = read_summary(path.parent)
        for entry in _entries(path.parent, summary):
            if entry.key in entries:
                raise ValueError(
                    f"{path.parent} and {entries[entry.key][0]} both measured {entry.facts['model']} at budget "
                    f"{entry.facts['budget']}: give --benchmarks only the folders of one measurement"
                )
            entries[entry.key] = path.parent, entry
            counts.add(summary["episodes"])
            known = {name: summary[name] for name in ("first_seed", "layout")}
            known |= {name: entry.facts[name] for name in ("variant", "preset")}
            if facts and facts != known:
                raise ValueError(f"{path} is of {known}, the ones before it of {facts}: give --benchmarks of one kind")
            facts = known
    if not entries:
        raise ValueError(
            f"no finished benchmark of a trained run lies in {', '.join(map(str, folders))}: "
            "make them with 'jumpy navigation --out'"
        )
    fewest = min(counts)
    floor, ceiling = (read_episodes(paths[0].parent / EPISODES / f"{name}.csv") for name in (FLOOR, CEILING))
    common = [Entry(entry.facts, _first(fewest, entry.episodes)) for _, (_, entry) in sorted(entries.items())]
    return Benchmarks({"episodes": fewest} | facts, common, _first(fewest, floor), _first(fewest, ceiling))


def _first(number: int, episodes: Episodes) -> Episodes:
    return {name: column[:number] for name, column in episodes.items()}


def _entries(folder: Path, summary: dict[str, Any]) -> Iterable[Entry]:
    """The trained agents of one benchmark."""
    for name, entry in summary["agents"].items():
        if entry["trained"]:
            known = ("model", "variant", "preset", "budget", "planner", "run", "checkpoint", "trained_steps")
            facts = {key: entry[key] for key in (*known, "training_seed", "transitions_per_decision")}
            facts["warning"] = entry.get("warning")
            yield Entry(facts, read_episodes(folder / EPISODES / f"{name}.csv"))


# ---------------------------------------------------------------- rewards over imagination lengths


def measure_rewards(sources: Sources) -> Numbers:
    """Every episode of every model, budget and training seed.

    Returns:
        A row an episode: its seed, and under each agent's column the steps to the goal, empty where it was not
        reached. ``agents`` in the facts says what the columns are.

    Raises:
        ValueError: as `read_benchmarks`.
    """
    found = read_benchmarks(sources.benchmarks)
    columns = {"{} budget={} seed={}".format(*entry.key): entry.episodes for entry in found.entries}
    agents = [{"column": column} | entry.facts for column, entry in zip(columns, found.entries, strict=True)]
    table = {"episode": found.floor["seed"].tolist()}
    for name, episodes in ({FLOOR: found.floor} | columns | {CEILING: found.ceiling}).items():
        if (episodes["seed"] != found.floor["seed"]).any():
            raise ValueError(f"the episodes of {name} are not those of {FLOOR}: give --benchmarks of one measurement")
        table[name] = np.where(episodes["success"] == 1, episodes["steps"].astype(object), "").tolist()
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    return Numbers(found.facts | {"agents": agents}, rows)


def draw_rewards(numbers: Numbers) -> Figure:
    """Reward distributions over imagination lengths, both models back to back (Kim et al. 2019, Figure 8)."""
    agents = numbers.facts["agents"]
    budgets, models = (sorted({agent[key] for agent in agents}) for key in ("budget", "model"))
    steps: dict[Any, np.ndarray] = {name: _steps(numbers.rows, name) for name in LINES}
    for model in models:
        for budget in budgets:
            columns = [agent["column"] for agent in agents if (agent["model"], agent["budget"]) == (model, budget)]
            if columns:
                steps[model, budget] = np.concatenate([_steps(numbers.rows, column) for column in columns])
    figure = Figure(figsize=(WIDTH, 4.6), dpi=DOTS, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1.3))
    for place, budget in enumerate(budgets):
        for model, side in zip(models, (-1, 1) if len(models) == 2 else (0,), strict=True):
            if (model, budget) in steps:
                _half(above, place, side, steps[model, budget], COLOURS[model])
                _unsolved(below, place, side, steps[model, budget], COLOURS[model])
    for place, name in enumerate(LINES, len(budgets)):
        _half(above, place, 0, steps[name], GREY)
        _unsolved(below, place, 0, steps[name], GREY)
    for name, style in LINES.items():
        above.axhline(reward(steps[name]).mean(), color=GREY, linestyle=style, linewidth=1.2, zorder=0)
    _finish_rewards(figure, above, below, budgets, models, numbers.facts)
    return figure


def _finish_rewards(
    figure: Figure, above: Axes, below: Axes, budgets: list[int], models: list[str], facts: dict[str, Any]
) -> None:
    """Axes, legend and title."""
    above.set(ylim=(0, 100), ylabel="reward (shapes: solved episodes)", xlim=(-0.55, len(budgets) + 1.55))
    below.set(ylabel="not solved", ylim=(0, None))
    below.margins(y=0.35)
    below.yaxis.set_major_formatter(PercentFormatter(1))
    ticks = [f"{deepest_tree(budget)}\n{budget}" for budget in budgets] + [f"{FLOOR}\n(floor)", "shortest\n(ceiling)"]
    below.set_xticks(range(len(budgets) + 2), ticks, fontsize=9)
    below.set_xlabel("imagination length L, and model transitions that a decision may spend")
    handles: list[Any] = [Patch(color=COLOURS[model], alpha=0.75, label=model.upper()) for model in models]
    handles += [Line2D([], [], color="black", linewidth=2, label="mean of all episodes")]
    handles += [Line2D([], [], color=GREY, linestyle=style, label=f"mean, {name}") for name, style in LINES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    seeds = len({agent["training_seed"] for agent in facts["agents"]})
    figure.suptitle(f"{_head(facts)} {seeds} training seed{'s' * (seeds > 1)} together.", fontsize=10)


def _head(facts: dict[str, Any]) -> str:
    """What the episodes are; and a warning where they are in another maze than the training."""
    agents = facts.get("agents") or [one for point in facts["points"] for one in point["seeds"]]
    warnings = dict.fromkeys(one["warning"] for one in agents if one["warning"])
    head = f"{facts['episodes']} episodes, layout {facts['layout']}, {facts['variant']}, {facts['preset']}."
    return "\n".join([head, *warnings])


def reward(steps: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Steps that were left; 0 where the goal was not reached (NaN)."""
    return np.where(np.isnan(steps), 0.0, LIFE_STEPS - steps)


def _half(axes: Axes, place: int, side: int, steps: np.ndarray, colour: str) -> None:
    """Rewards of the solved episodes upwards in steps of 5, to one side (or, with 0, to both), and the mean of all."""
    counts, edges = histogram(steps)
    width = 0.44 * counts / max(counts.max(), 1)
    left = place - width if side == 0 else np.full_like(width, place) - width * (side < 0)
    axes.barh(edges[:-1], width * (2 if side == 0 else 1), BIN, left, align="edge", color=colour, alpha=0.75, lw=0)
    ends = {-1: (-0.46, 0.0), 0: (-0.46, 0.46), 1: (0.0, 0.46)}[side]
    mean = reward(steps).mean()
    axes.plot([place + end for end in ends], [mean, mean], color="black", linewidth=2, solid_capstyle="butt")


def histogram(steps: Float[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " bins"], Float[np.ndarray, " edges"]]:
    """How many solved episodes earn each reward, in steps of 5, and the steps' ends."""
    return np.histogram(reward(steps)[~np.isnan(steps)], bins=LIFE_STEPS // BIN, range=(0, LIFE_STEPS))


def _unsolved(axes: Axes, place: int, side: int, steps: np.ndarray, colour: str) -> None:
    """The share of episodes without success, as a bar with its number."""
    share = float(np.isnan(steps).mean())
    x = place + 0.23 * side
    axes.bar(x, share, 0.4, color=colour, alpha=0.6)
    told = "0" if share == 0 else f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"
    axes.annotate(told, (x, share), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=8)


def _steps(rows: Iterable[dict[str, str]], column: str) -> np.ndarray:
    """A column of the CSV; NaN where the goal was not reached."""
    return np.array([float(row[column] or np.nan) for row in rows])


# ---------------------------------------------------------------- budget


def measure_budget(sources: Sources) -> Numbers:
    """Mean reward and success of each model at each budget, with 95 % intervals over episodes.

    Returns:
        ``points``: model, budget, ``transitions_per_decision``, ``mean_reward`` and ``success`` (of all training seeds
        together) with their ``_ci95``, and under ``seeds`` the same of each training seed; ``floor``, ``ceiling``.

    Raises:
        ValueError: as `read_benchmarks`.
    """
    found = read_benchmarks(sources.benchmarks)
    groups = {key: list(group) for key, group in groupby(found.entries, key=lambda entry: entry.key[:2])}
    columns = {}
    for (model, budget), group in groups.items():
        for column in ("reward", "success"):
            columns[f"{model} {budget} {column}"] = np.mean([entry.episodes[column] for entry in group], axis=0)
    columns |= {f"floor {column}": found.floor[column] for column in ("reward", "success")}
    columns |= {f"ceiling {column}": found.ceiling[column] for column in ("reward", "success")}
    bootstrap = PairedBootstrap(columns)

    def estimated(name: str) -> dict[str, Any]:
        reward, success = bootstrap.mean(f"{name} reward"), bootstrap.mean(f"{name} success")
        return {
            "mean_reward": reward.value,
            "mean_reward_ci95": [reward.low, reward.high],
            "success": success.value,
            "success_ci95": [success.low, success.high],
        }

    points = [
        {"model": model, "budget": budget, "transitions_per_decision": _transitions(group)}
        | estimated(f"{model} {budget}")
        | {"seeds": [_of_seed(entry) for entry in group]}
        for (model, budget), group in groups.items()
    ]
    return Numbers(found.facts | {"points": points, "floor": estimated("floor"), "ceiling": estimated("ceiling")})


def _transitions(group: list[Entry]) -> float:
    """Model transitions a decision, over all training seeds."""
    spent, decisions = (sum(entry.episodes[name].sum() for entry in group) for name in ("transitions", "decisions"))
    return float(spent / decisions)


def _of_seed(entry: Entry) -> dict[str, Any]:
    """A training seed's own numbers."""
    means = {"mean_reward": entry.episodes["reward"].mean(), "success": entry.episodes["success"].mean()}
    return entry.facts | {name: float(mean) for name, mean in means.items()}


def draw_budget(numbers: Numbers) -> Figure:
    """Mean reward and success against model transitions a decision: training seeds thin, all together thick."""
    facts = numbers.facts
    figure = Figure(figsize=(WIDTH, 3.9), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, key, title in zip(panels, ("mean_reward", "success"), ("mean reward", "solved"), strict=True):
        for name, style in (("ceiling", "--"), ("floor", ":")):
            axes.axhline(facts[name][key], color=GREY, linestyle=style, label=name)
        for model in dict.fromkeys(point["model"] for point in facts["points"]):
            _budget_line(axes, [point for point in facts["points"] if point["model"] == model], key, COLOURS[model])
        axes.set(xscale="log", xlabel="model transitions a decision", title=title)
        axes.set_ylim(0, 1.08 * facts["ceiling"][key])
    panels[1].yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=4, frameon=False)
    told = "Numbers: imagination length L. Bands: 95 % intervals over episodes. Thin: training seeds."
    figure.suptitle(f"{_head(facts)}\n{told}", fontsize=10)
    return figure


def _budget_line(axes: Axes, points: list[dict[str, Any]], key: str, colour: str) -> None:
    """A model at all its budgets, each point with its imagination length."""
    x = [point["transitions_per_decision"] for point in points]
    y = [point[key] for point in points]
    low, high = np.array([point[f"{key}_ci95"] for point in points], float).T
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    for seed in dict.fromkeys(one["training_seed"] for point in points for one in point["seeds"]):
        own = [one for point in points for one in point["seeds"] if one["training_seed"] == seed]
        axes.plot(
            [one["transitions_per_decision"] for one in own], [one[key] for one in own], color=colour, lw=0.7, alpha=0.6
        )
    axes.plot(x, y, "o-", color=colour, markersize=4, linewidth=2, label=points[0]["model"].upper())
    for point, place in zip(points, zip(x, y, strict=True), strict=True):
        shift = (0, -6)
        axes.annotate(
            str(deepest_tree(point["budget"])),
            place,
            shift,
            textcoords="offset points",
            ha="center",
            va="top",
            color=colour,
            fontsize=8,
        )
