"""What the structure prior is for: boundaries while training with it and without, and where they fall at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_profile
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.learning_curves import plot_seeds, read_scalars, seed_curves
from experiments.figures.style import COLOURS, DOTS, GREY, WIDTH

PROFILE_EPISODES, PROFILE_FRAMES = 200, 3  # test episodes of the profile, and its frames on each side
CPU = torch.device("cpu")


def measure_structure_prior(runs: list[TrainedRun], data: tuple[Path, ...]) -> Numbers:
    """How often runs with and without the structure prior place boundaries, how well, and where.

    Returns:
        One row per run and evaluation while it was trained: ``label``, training ``seed``, ``step``, ``boundary_share``
        (of all frames), ``boundary_f1`` (within one frame), ``boundary_f1_exact`` and ``true_share``; the last is share
        · precision / recall, empty where no boundary is right. Of each trained run, ``profile``: the share of the true
        boundaries that have a predicted one that many frames later.

    Raises:
        ValueError: if a run has no TensorBoard files, or was trained on other data.
    """
    rows, facts = [], []
    replays = [Replay.open(path) for path in data]
    for run in runs:
        rows += _training_rows(run)
        facts.append({"label": run.label, **run.facts, "profile": _profile(run, run.data_of(replays))})
    return Numbers({"runs": facts}, rows)


def _training_rows(run: TrainedRun) -> list[dict[str, Any]]:
    """A run's scores while it was trained."""
    scalars, rows = read_scalars(run.path), []
    for step, share in scalars["boundary_share"].items():
        at = {name: values[step] for name, values in scalars.items() if name.startswith("boundary_")}
        recall = at["boundary_recall"]
        true = share * at["boundary_precision"] / recall if recall else ""
        row = {
            "label": run.label,
            "seed": run.training["seed"],
            "step": step,
            "boundary_share": share,
            "true_share": true,
        }
        rows.append(row | {name: at[name] for name in ("boundary_f1", "boundary_f1_exact")})
    return rows


def _profile(run: TrainedRun, replay: Replay) -> dict[str, float | None]:
    """Where the trained run's boundaries fall; JSON's keys are texts."""
    return {
        str(k): share for k, share in boundary_profile(run.model, replay, CPU, PROFILE_EPISODES, PROFILE_FRAMES).items()
    }


def plot_structure_prior(numbers: Numbers) -> Figure:
    """Share of boundaries and their F1 against training steps, and where they fall at the end; a colour a label."""
    figure = Figure(figsize=(WIDTH, 3.3), dpi=DOTS, layout="constrained")
    share, f1, place = figure.subplots(1, 3)
    labels = list(dict.fromkeys(row["label"] for row in numbers.rows))
    for label, colour in zip(labels, COLOURS, strict=False):
        rows = [row for row in numbers.rows if row["label"] == label]
        plot_seeds(share, seed_curves(rows, "boundary_share"), colour, label)
        plot_seeds(f1, seed_curves(rows, "boundary_f1_exact"), colour, None)
        plot_seeds(f1, seed_curves(rows, "boundary_f1"), colour, None, "--")
    _plot_true_share(share, numbers.rows)
    _plot_profiles(place, labels, numbers.facts["runs"])
    share.set(title="frames with a boundary", ylim=(0, 1.05 * share.get_ylim()[1]))
    f1.set(title="F1 (dashed: within one frame)", ylim=(0, 1.02))
    for axes in (share, f1):
        axes.set(xlabel="training steps", xlim=(0, None))
    figure.legend(handles=share.get_legend_handles_labels()[0], loc="outside lower center", ncols=4, frameon=False)
    return figure


def _plot_true_share(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """How many frames really have a boundary."""
    true = [float(row["true_share"]) for row in rows if row["true_share"]]
    if true:
        axes.axhline(float(np.median(true)), color=GREY, linestyle=":", label="true boundaries")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _plot_profiles(axes: Axes, labels: list[str], runs: list[dict[str, Any]]) -> None:
    """Bars: of the true boundaries, the share that has a predicted one that many frames later; means over seeds."""
    width = 0.8 / len(labels)
    for number, (label, colour) in enumerate(zip(labels, COLOURS, strict=False)):
        profiles = [run["profile"] for run in runs if run["label"] == label]
        places = sorted(int(k) for k in profiles[0])
        high = [np.mean([profile[str(k)] or 0.0 for profile in profiles]) for k in places]
        axes.bar(np.array(places) + (number + 0.5) * width - 0.4, high, width, color=colour)
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    axes.set(title="where they fall in the end", ylim=(0, 1.02), xlabel="frames after a true boundary", xticks=places)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
