"""The numbers of a benchmark with their intervals, and the table that is printed."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.trained_runs import place_of
from experiments.navigation.agents import CEILING, FLOOR

Episodes = Mapping[str, np.ndarray]
"""One array per column of an agent's episode file."""

SOON = 50  # steps: "most episodes were solved within 50 steps" (Kim et al. 2019, section 5.2)


def summarise(episodes: Mapping[str, Episodes], facts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The numbers of every agent, and of every pair of trained agents with the same budget.

    Args:
        episodes: episodes by agent, including the floor and, where it is known, the ceiling, with the same seeds in
            the same order.
        facts: `BenchmarkAgent.facts` by agent, copied into its entry.

    Returns:
        ``agents``: the numbers by name, means with 95 % intervals under ``…_ci95``; ``differences``: paired differences
        in mean reward. Undefined numbers are None.
    """
    columns: dict[str, np.ndarray] = {}
    ceiling = CEILING if CEILING in episodes else None
    for name, rows in episodes.items():
        columns[f"{name} reward"] = rows["reward"]
        columns[f"{name} success"] = rows["success"]
        columns[f"{name} soon"] = solved_soon(rows)
    bootstrap = PairedBootstrap(columns)
    agents = {name: _numbers(name, rows, bootstrap, ceiling) | facts[name] for name, rows in episodes.items()}
    trained = [name for name in episodes if facts[name]["trained"]]
    differences = [
        {"agents": [one, other]} | bootstrap.difference(f"{one} reward", f"{other} reward").to_json("mean_reward")
        for one, other in combinations(trained, 2)
        if facts[one]["budget"] == facts[other]["budget"]
    ]
    return {"agents": agents, "differences": differences}


def solved_soon(episodes: Episodes) -> np.ndarray:
    """Whether each episode was solved within `SOON` steps, 0 or 1."""
    return episodes["success"] * (episodes["steps"] <= SOON)


OF_CEILING = ("of ceiling", "normalised")
NO_CEILING = "no ceiling: the environment does not name its shortest paths"


def notes(summary: Mapping[str, Any]) -> list[str]:
    """What the columns of the table mean."""
    ceiling = f"of ceiling: mean reward over that of {CEILING}; normalised: 0 is {FLOOR}, 1 is {CEILING};"
    return [
        ceiling if CEILING in summary["agents"] else f"{NO_CEILING};",
        f"in {SOON}: solved within {SOON} steps; median: of the steps; spent: model transitions per decision;",
        "ms: milliseconds per decision; episodes that decide together share the time",
    ]


def table_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """The titles of the table's columns, then one row per agent; without a ceiling nothing is compared with it."""
    titles = ["agent", "mean reward", *OF_CEILING, "solved", f"in {SOON}", "median", "spent", "ms"]
    rows = [titles, *([name, *_cells(entry)] for name, entry in summary["agents"].items())]
    if CEILING in summary["agents"]:
        return rows
    return [[cell for title, cell in zip(titles, row, strict=True) if title not in OF_CEILING] for row in rows]


def summary_table(summary: Mapping[str, Any]) -> str:
    """The summary as text, one line per agent."""
    rows = aligned(table_rows(summary), str.rjust)
    rows.insert(1, "-" * len(rows[0]))
    first, last = summary["first_seed"], summary["first_seed"] + summary["episodes"] - 1
    head = f"{summary['episodes']} episodes, seeds {first} to {last}, {place_of(summary)}; [95 % intervals]"
    foot = notes(summary)
    for difference in summary["differences"]:
        interval = _with_interval(difference["mean_reward"], difference["mean_reward_ci95"], "+.1f")
        foot.append(f"{' - '.join(difference['agents'])}: {interval} mean reward")
    foot += [f"{name}: {entry['warning']}" for name, entry in summary["agents"].items() if "warning" in entry]
    return "\n".join([head, "", *rows, "", *foot])


def aligned(lines: Sequence[Sequence[str]], pad: Callable[[str, int], str]) -> list[str]:
    """Lines of cells as text, with each column padded to one width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(pad, line, widths)) for line in lines]


def _numbers(name: str, rows: Episodes, bootstrap: PairedBootstrap, ceiling: str | None) -> dict[str, Any]:
    """One agent's entry."""
    decisions = int(rows["decisions"].sum())
    reward, floor = f"{name} reward", f"{FLOOR} reward"
    unknown, best = Estimate(np.nan), f"{ceiling} reward"
    over = bootstrap.ratio(reward, best) if ceiling else unknown
    normalised = bootstrap.normalised(reward, floor, best) if ceiling else unknown
    return {
        **bootstrap.mean(reward).to_json("mean_reward"),
        **bootstrap.mean(f"{name} success").to_json("success"),
        "median_steps": float(np.median(rows["steps"])),
        "transitions_per_decision": rows["transitions"].sum() / decisions if decisions else None,
        "ms_per_decision": 1000 * rows["planning_seconds"].sum() / decisions if decisions else None,
        **over.to_json("reward_over_ceiling"),
        **normalised.to_json("normalised"),
        **bootstrap.mean(f"{name} soon").to_json(f"solved_in_{SOON}"),
    }


def _cells(entry: Mapping[str, Any]) -> list[str]:
    """The columns of an agent after its name."""
    means = {"mean_reward": ".1f", "reward_over_ceiling": ".2f", "normalised": ".2f", "success": ".0%"}
    others = {f"solved_in_{SOON}": ".0%", "median_steps": ".0f"}
    others |= {"transitions_per_decision": ".0f", "ms_per_decision": ".2g"}
    cells = [_with_interval(entry[key], entry[f"{key}_ci95"], form) for key, form in means.items()]
    return cells + [_formatted(entry[key], form) for key, form in others.items()]


def _formatted(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _with_interval(value: float | None, ends: list[float] | None, form: str) -> str:
    """A value and its interval: 26.0 [24.1, 27.9]."""
    if ends is None:
        return _formatted(value, form)
    return f"{_formatted(value, form)} [{', '.join(_formatted(end, form) for end in ends)}]"
