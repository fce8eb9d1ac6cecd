"""Metrics frame by frame, from the results of `jumpy predict` (Zakharov et al. 2022, Figure 9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.numbers import Numbers
from experiments.figures.style import DOTS, GREY, WIDTH, model_colour, model_name
from experiments.video.floors import FLOORS
from experiments.video.metric_files import read_curves, read_prediction
from experiments.video.metrics import HIGHER_IS_BETTER, NOT_AVAILABLE

TITLES = {"ssim": "SSIM ↑", "psnr": "PSNR ↑ (dB)", "lpips": "LPIPS ↓"}


def measure_frame_metrics(predictions: tuple[Path, ...]) -> Numbers:
    """Gather the curves: per prediction and step, ``dataset``, ``model``, ``step``, each metric with its interval."""
    rows, runs = list[dict[str, Any]](), list[dict[str, Any]]()
    for folder in predictions:
        found = read_prediction(folder)
        which = {name: found["rows"][0][name] for name in ("dataset", "model")}
        rows += [which | row for row in read_curves(folder, found)]
        runs += [run | {"prediction": found["command"]} for run in found["runs"]]
    return Numbers({"runs": runs}, rows)


def plot_frame_metrics(numbers: Numbers) -> Figure:
    """One row of panels per data set, one panel per metric, one curve per model with its 95 % interval."""
    rows = numbers.rows
    metrics = [name for name in HIGHER_IS_BETTER if any(row[name] != NOT_AVAILABLE for row in rows)]
    datasets, models = ([*dict.fromkeys(row[name] for row in rows)] for name in ("dataset", "model"))
    figure = Figure(figsize=(WIDTH, 0.5 + 2.6 * len(datasets)), dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(datasets), len(metrics), squeeze=False)
    styles = {model: (model, GREY, line) for model, line in zip(FLOORS, ("--", ":", "-."), strict=True)}
    for model in set(models) - set(FLOORS):
        styles[model] = model_name(model), model_colour(model) or GREY, "-"
    for line, dataset in zip(panels, datasets, strict=True):
        for axes, metric in zip(line, metrics, strict=True):
            for model in models:
                own = [row for row in rows if (row["dataset"], row["model"]) == (dataset, model)]
                if own and own[0][metric] != NOT_AVAILABLE:
                    _plot_curve(axes, own, metric, *styles[model])
            axes.set(title=f"{dataset}: {TITLES[metric]}", xlabel="predicted frame", xlim=(0, None))
    handles = {label: h for axes in panels.flat for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
    return figure


def _plot_curve(axes: Axes, rows: list[dict[str, str]], metric: str, label: str, colour: str, line: str) -> None:
    """A model's mean and interval at every predicted frame."""
    columns = ("step", metric, f"{metric}_low", f"{metric}_high")
    step, mean, low, high = np.array([[float(row[name]) for name in columns] for row in rows]).T
    axes.fill_between(step, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(step, mean, line, color=colour, linewidth=1.5, label=label)
