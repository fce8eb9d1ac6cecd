"""Figures whose horizontal axis is training: learning curves and unseen layouts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agent.training.runs import TENSORBOARD
from experiments.common.trained_runs import Trained, check_agreement, check_bounds
from experiments.figures.numbers import Numbers, Sources, about, load_trained
from experiments.figures.plots import DOTS, GREY, TRAINED, WIDTH

Rows = list[dict[str, str]]
Curve = tuple[np.ndarray, np.ndarray]
COLOURS = {"hrssm": TRAINED[0], "rssm": TRAINED[1]}
GROUP = "test/"  # of the scalars in a run's TensorBoard files
REACH, MINUTES = 0.95, 10  # what a new layout is to reach, and by when


def read_scalars(run: Path, group: str = GROUP) -> dict[str, dict[int, float]]:
    """A run's scalars of a group, by name and step; of a step that was taken twice, the last.

    Raises:
        ValueError: if the run has none.
    """
    events = EventAccumulator(str(run / TENSORBOARD), size_guidance={"scalars": 0, "images": 1})
    found = {}
    if (run / TENSORBOARD).is_dir():
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if tag.startswith(group):
                found[tag.removeprefix(group)] = {event.step: event.value for event in events.Scalars(tag)}
    if not found:
        raise ValueError(f"{run} has no TensorBoard files with {group} scalars: give the folder of 'jumpy train --out'")
    return found


# ---------------------------------------------------------------- learning curves


def measure_learning_curves(sources: Sources) -> Numbers:
    """Both models' test scalars while they were trained.

    Returns:
        A row a run and evaluation: ``model``, training ``seed``, ``step``, ``negative_elbo``, ``kl`` (of all latent
        variables) and ``reconstruction`` (negative log-likelihood without its constant), nats a frame, mean over test
        windows.

    Raises:
        ValueError: if runs do not belong together, their bounds cannot be compared, or one has no TensorBoard files.
    """
    given = [(kind, source) for kind in ("hrssm", "rssm") for source in getattr(sources, kind)]
    runs = [load_trained(source, kind) for kind, source in given]
    check_agreement(runs)
    for run in runs[1:]:
        check_bounds([runs[0]], [run])
    facts = [about(run, source) for run, (_, source) in zip(runs, given, strict=True)]
    return Numbers({"runs": facts}, [row for run in runs for row in _learning_rows(run)])


def _learning_rows(run: Trained) -> Iterable[dict[str, Any]]:
    """A run's rows."""
    scalars = read_scalars(run.path)
    for step, bound in scalars["nelbo"].items():
        yield {
            "model": run.training["model"],
            "seed": run.training["seed"],
            "step": step,
            "negative_elbo": bound,
            "kl": sum(values[step] for name, values in scalars.items() if name.startswith("kl_")),
            "reconstruction": scalars["image"][step],
        }


def draw_learning_curves(numbers: Numbers) -> Figure:
    """Negative lower bound and its two parts against training steps (Kim et al. 2019, Figure 4)."""
    figure = Figure(figsize=(WIDTH, 3.2), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {"negative_elbo": "negative ELBO", "kl": "KL divergence", "reconstruction": "reconstruction"}
    models = list(dict.fromkeys(row["model"] for row in numbers.rows))
    for axes, (key, title) in zip(panels, titles.items(), strict=True):
        for model in models:
            curves = seed_curves([row for row in numbers.rows if row["model"] == model], key)
            draw_seeds(axes, curves, COLOURS.get(model, TRAINED[2]), model.upper())
        axes.set(title=title, xlabel="training steps", xlim=(0, None))
        _cut_the_beginning(axes)
    panels[0].set_ylabel("nats a frame")
    seeds = {model: len({row["seed"] for row in numbers.rows if row["model"] == model}) for model in models}
    told = ", ".join(f"{number} of {model.upper()}" for model, number in seeds.items())
    figure.suptitle(f"Test split. Training seeds: {told} (thin lines), their mean (thick).", fontsize=10)
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=2, frameon=False)
    return figure


def _cut_the_beginning(axes: Axes) -> None:
    """Limits that show what comes after the first tenth of training, the steep beginning cut off at the top."""
    x, y = (np.concatenate([np.asarray(line.get_data()[axis], float) for line in axes.lines]) for axis in (0, 1))
    late = y[x >= 0.1 * x.max()]
    room = 0.08 * max(np.ptp(late), 1e-3 * abs(late.max()))
    axes.set_ylim(min(y.min(), late.min()) - room, late.max() + room)


# ---------------------------------------------------------------- unseen layouts


def draw_unseen(numbers: Numbers) -> Figure:
    """Reward over ceiling against minutes from nothing: a thin line a layout with its interval, the median thick."""
    figure = Figure(figsize=(WIDTH, 3.8), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    curves = {}
    for layout, colour in zip(dict.fromkeys(row["layout"] for row in numbers.rows), TRAINED * 9, strict=False):
        rows = sorted((row for row in numbers.rows if row["layout"] == layout), key=lambda row: float(row["minutes"]))
        columns = ("minutes", "reward_over_ceiling", "low", "high")
        x, y, low, high = np.array([[float(row[name]) for name in columns] for row in rows]).T
        axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(x, y, "o-", color=colour, linewidth=1, markersize=2.5, label=layout)
        curves[layout] = (x, y)
    x, y = median(curves.values())
    axes.plot(x, y, color="black", linewidth=2.5, label="median")
    axes.axhline(REACH, color=GREY, linestyle="--")
    axes.axvline(MINUTES, color=GREY, linestyle=":")
    axes.annotate(f"{REACH}", (1, REACH), (-3, -3), axes.get_yaxis_transform(), "offset points", ha="right", va="top")
    axes.set(xlabel="minutes from nothing: collecting and training", ylabel="reward over ceiling")
    axes.set(xlim=(0, None), ylim=(y.min(initial=0), 1.03))
    figure.legend(handles=axes.get_legend_handles_labels()[0], loc="outside lower center", ncols=3, frameon=False)
    return figure


def median(curves: Iterable[Curve]) -> Curve:
    """Median of curves at all places where one of them has a point, straight between a curve's own points.

    Only where all have begun and none has ended.
    """
    curves = list(curves)
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    places = np.unique(np.concatenate([x for x, _ in curves]))
    places = places[(places >= first) & (places <= last)]
    return places, np.median([np.interp(places, x, y) for x, y in curves], axis=0)


# ---------------------------------------------------------------- common


def seed_curves(rows: Rows, key: str) -> dict[str, Curve]:
    """A curve a training seed."""
    curves = {}
    for seed in dict.fromkeys(row["seed"] for row in rows):
        points = sorted((int(row["step"]), float(row[key])) for row in rows if row["seed"] == seed)
        x, y = np.array(points, float).T
        curves[seed] = (x, y)
    return curves


def draw_seeds(axes: Axes, curves: dict[str, Curve], colour: str, label: str | None, style: str = "-") -> None:
    """Seeds thin, and their mean at the steps that all of them have."""
    steps = sorted(set.intersection(*(set(x) for x, _ in curves.values())))
    mean = np.mean([[dict(zip(x, y, strict=True))[step] for step in steps] for x, y in curves.values()], axis=0)
    if len(curves) > 1:
        for x, y in curves.values():
            axes.plot(x, y, style, color=colour, linewidth=0.7, alpha=0.6)
    axes.plot(steps, mean, style, color=colour, linewidth=2, marker="." if len(steps) < 30 else "", label=label)
