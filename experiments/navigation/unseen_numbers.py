"""The numbers of `jumpy unseen`: what was measured in each layout and over all of them, for the figure and its text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.json_files import damage_named, read_json
from experiments.common.numbers import Numbers

Curve = tuple[np.ndarray, np.ndarray]
POINT = ("reward_over_ceiling", "success")  # of a benchmark, for the figure
TARGET = 0.95  # reward over the ceiling


def read_layout(path: Path) -> dict[str, Any]:
    """Read the result of a layout so far.

    Raises:
        ValueError: the file is missing or damaged.
    """
    remedy = f"restore it, or remove {path.parent}"
    result = read_json(path, remedy, settings=dict, about=dict, points=list)
    with damage_named(path, remedy):
        for point in result["points"]:
            low, high = point["reward_over_ceiling_ci95"]
            sum([low, high, *(point[name] for name in ("step", "minutes", "cpu_minutes", *POINT))])
            _ = result["floor"], result["ceiling"]
    return result


def merged(results: dict[str, dict[str, Any]], settings: dict[str, Any]) -> Numbers:
    """The numbers of all finished layouts, one row per point."""
    rows = [
        {
            "layout": layout,
            "minutes": round(point["minutes"], 3),
            "reward_over_ceiling": round(point["reward_over_ceiling"], 4),
            **dict(zip(("low", "high"), (round(end, 4) for end in point["reward_over_ceiling_ci95"]), strict=True)),
            "success": round(point["success"], 4),
            "step": point["step"],
            "cpu_minutes": round(point["cpu_minutes"], 3),
        }
        for layout, result in results.items()
        for point in result["points"]
    ]
    facts = {
        "settings": settings,
        "layouts": {
            layout: {name: result[name] for name in ("floor", "ceiling", "about")} for layout, result in results.items()
        },
        **_over_layouts(results, settings["--deadline"]),
    }
    return Numbers(facts, rows)


def _over_layouts(results: dict[str, dict[str, Any]], deadline: float) -> dict[str, Any]:
    """The median over layouts, and the reward each reached by the deadline; 0 for a layout without a point by then."""
    columns = ("minutes", "reward_over_ceiling")
    curves = [tuple(np.array([point[name] for point in its["points"]]) for name in columns) for its in results.values()]
    x, y = median((minutes, reward) for minutes, reward in curves)
    within = [float(reward[minutes <= deadline][-1]) if minutes[0] <= deadline else 0.0 for minutes, reward in curves]
    return {
        "median": [dict(zip(columns, place, strict=True)) for place in zip(x.tolist(), y.tolist(), strict=True)],
        "within": {
            "minutes": deadline,
            "reward_over_ceiling": dict(zip(results, within, strict=True)),
            "median": float(np.median(within)),
            "reach": TARGET,
            "share_of_layouts": float(np.mean([reward >= TARGET for reward in within])),
        },
    }


def median(curves: Iterable[Curve]) -> Curve:
    """Median of linearly interpolated curves, at every point of any curve that lies within the range of all of them."""
    curves = list(curves)
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    places = np.unique(np.concatenate([x for x, _ in curves]))
    places = places[(places >= first) & (places <= last)]
    return places, np.median([np.interp(places, x, y) for x, y in curves], axis=0)
