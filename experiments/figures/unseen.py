"""Reward over the ceiling against minutes from scratch, in layouts that were never used for development."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from experiments.common.numbers import Numbers
from experiments.figures.style import COLOURS, DOTS, GREY, WIDTH


def plot_unseen(numbers: Numbers) -> Figure:
    """One thin line per layout with its interval, a thick median, and the target with its time."""
    figure = Figure(figsize=(WIDTH, 3.8), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    for layout, colour in zip(dict.fromkeys(row["layout"] for row in numbers.rows), COLOURS * 9, strict=False):
        rows = sorted((row for row in numbers.rows if row["layout"] == layout), key=lambda row: float(row["minutes"]))
        columns = ("minutes", "reward_over_ceiling", "low", "high")
        x, y, low, high = np.array([[float(row[name]) for name in columns] for row in rows]).T
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(x, y, "o-", color=colour, linewidth=1, markersize=2.5, label=layout)
    if numbers.facts["median"]:  # none where no minute is within all curves
        x, y = np.array([[point["minutes"], point["reward_over_ceiling"]] for point in numbers.facts["median"]]).T
        axes.plot(x, y, color="black", linewidth=2.5, label="median")
    target, minutes = numbers.facts["within"]["reach"], numbers.facts["within"]["minutes"]
    axes.axhline(target, color=GREY, linestyle="--")
    axes.axvline(minutes, color=GREY, linestyle=":")
    axes.annotate(f"{target}", (0, target), (3, -3), axes.get_yaxis_transform(), "offset points", va="top")
    axes.set(xlabel="minutes from scratch (data collection and training)", ylabel="reward over ceiling")
    axes.set(xlim=(0, None), ylim=(y.min(initial=0), 1.03))
    figure.legend(handles=axes.get_legend_handles_labels()[0], loc="outside lower center", ncols=3, frameon=False)
    return figure
