"""What the structure prior does: boundaries during training with and without it, and where they fall at the end."""

from __future__ import annotations

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
from world_models.interface import Segmenting

PROFILE_EPISODES, PROFILE_FRAMES = 200, 3  # test episodes of the profile, and frames on either side
CPU = torch.device("cpu")


def measure_structure_prior(runs: list[TrainedRun], data: tuple[Path, ...]) -> Numbers:
    """How often runs with and without the structure prior place boundaries, how well, and where.

    Returns:
        One row per run and evaluation during training: ``label``, training ``seed``, ``step``, ``boundary_share``
        (of all frames), ``boundary_f1`` (within one frame), ``boundary_f1_exact`` and ``true_share``; the last is share
        · precision / recall, empty where no boundary is right. For each trained run, ``profile``: the fraction of the
        true boundaries with a predicted one that many frames later.
    """
    rows, facts = [], []
    replays = [Replay.open(path) for path in data]
    for run in runs:
        scalars = read_scalars(run.path)
        for step, share in scalars["boundary_share"].items():
            row = {"label": run.label, "seed": run.training["seed"], "step": step, "boundary_share": share}
            recall = scalars["boundary_recall"][step]
            row["true_share"] = share * scalars["boundary_precision"][step] / recall if recall else ""
            rows.append(row | {name: scalars[name][step] for name in ("boundary_f1", "boundary_f1_exact")})
        profile = boundary_profile(run.able(Segmenting), run.data_of(replays), CPU, PROFILE_EPISODES, PROFILE_FRAMES)
        facts.append({"label": run.label, **run.facts, "profile": {str(k): share for k, share in profile.items()}})
    return Numbers({"runs": facts}, rows)


def plot_structure_prior(numbers: Numbers) -> Figure:
    """Fraction of boundaries and F1 against training steps, and where they fall at the end; one colour per label."""
    figure = Figure(figsize=(WIDTH, 3.3), dpi=DOTS, layout="constrained")
    share, f1, place = figure.subplots(1, 3)
    colours = dict(zip(dict.fromkeys(row["label"] for row in numbers.rows), COLOURS, strict=False))
    for label, colour in colours.items():
        rows = [row for row in numbers.rows if row["label"] == label]
        plot_seeds(share, seed_curves(rows, "boundary_share"), colour, label)
        plot_seeds(f1, seed_curves(rows, "boundary_f1_exact"), colour, None)
        plot_seeds(f1, seed_curves(rows, "boundary_f1"), colour, None, "--")
    if true := [float(row["true_share"]) for row in numbers.rows if row["true_share"]]:
        share.axhline(float(np.median(true)), color=GREY, linestyle=":", label="true boundaries")
    _plot_profiles(place, colours, numbers.facts["runs"])
    share.set(title="frames with a boundary", ylim=(0, 1.05 * share.get_ylim()[1]))
    f1.set(title="F1 (dashed: within one frame)", ylim=(0, 1.02))
    for axes in (share, f1):
        axes.set(xlabel="training steps", xlim=(0, None))
    for axes in (share, place):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(handles=share.get_legend_handles_labels()[0], loc="outside lower center", ncols=4, frameon=False)
    return figure


def _plot_profiles(axes: Axes, colours: dict[str, str], runs: list[dict[str, Any]]) -> None:
    """Bars: the fraction of the true boundaries with a predicted one that many frames later, mean over seeds."""
    width = 0.8 / len(colours)
    for number, (label, colour) in enumerate(colours.items()):
        profiles = [run["profile"] for run in runs if run["label"] == label]
        places = sorted(int(k) for k in profiles[0])
        high = [np.mean([profile[str(k)] or 0.0 for profile in profiles]) for k in places]
        axes.bar(np.array(places) + (number + 0.5) * width - 0.4, high, width, color=colour)
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    axes.set(title="where they fall at the end", ylim=(0, 1.02), xlabel="frames after a true boundary", xticks=places)
