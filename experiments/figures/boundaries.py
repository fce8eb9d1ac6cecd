"""Boundaries in videos: where q(m) starts subsequences, and where the balls really bounce (Kim et al. 2019, Figure 3).

A subsequence starts at t where m_{t-1} = 1, so the bar above frame t is q(m_{t-1}), and the first frame of a window
starts one by definition (m_0 = 1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_scores
from agent.training.image_grid import GAP, strip
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.style import COLOURS, DOTS, GREY, WIDTH
from world_models.blocks.images import to_float, to_uint8
from world_models.hrssm.hrssm import HRSSM

ROWS = 4  # sequences shown
CPU = torch.device("cpu")


@torch.inference_mode()
def measure_boundaries(runs: list[TrainedRun], data: tuple[Path, ...]) -> Numbers:
    """Boundaries of an HRSSM in test videos: scored on all of them, shown for the first.

    Returns:
        ``context`` (N, context, H, W, 3), ``frames`` and ``rebuilt`` (N, T, H, W, 3); per frame (N, T): ``start``, the
        probability that it starts a subsequence, and ``change``, whether it shows a change.
    """
    (run,) = runs
    replay, model = run.data_of([Replay.open(path) for path in data]), run.able(HRSSM)
    test = replay.split("test")
    chosen = np.array(test[:ROWS])
    fields = replay.slices(chosen, np.zeros_like(chosen), model.window_length)
    batch = to_batch(fields, CPU)
    x, o = to_float(batch.observation), model.config.options
    window = slice(o.context, o.context + o.window)
    arrays = {
        "context": fields["observation"][:, : o.context],
        "frames": fields["observation"][:, window],
        "rebuilt": to_uint8(model.reconstruct(x, batch.action)[0]).numpy(),
        "start": model.segment(x, batch.action)[:, window.start - 1 : window.stop - 1].numpy(),
        "change": fields["change"][:, window],
    }
    facts = {"runs": [run.facts], **replay.manifest.origin, "sequences": len(test)}
    return Numbers(facts | {"scores": boundary_scores(model, replay, CPU, len(test))}, arrays=arrays)


def plot_boundaries(numbers: Numbers) -> Figure:
    """Frames with their reconstructions, the probability of a start above each, and the true changes."""
    facts, arrays = numbers.facts, numbers.arrays
    run, scores, rows = facts["runs"][0], facts["scores"], len(arrays["frames"])
    figure = Figure(figsize=(WIDTH, 0.7 + 1.36 * rows), dpi=DOTS)
    high = figure.get_figheight()
    grid = figure.add_gridspec(2 * rows, 1, height_ratios=[1, 0.95] * rows)  # frames come out square
    grid.update(left=0.055, right=0.99, top=1 - 0.58 / high, bottom=0.02, hspace=0.1)
    variant, _, options = run["variant"].partition("+")  # the JSON names these
    figure.suptitle(
        f"HRSSM {variant}{' with other options' if options else ''}, {run['preset']}, {run['trained_steps']} steps\n"
        f"F1 {scores['boundary_f1']:.2f} within one frame (by chance {scores['boundary_f1_chance']:.2f}), "
        f"{scores['boundary_f1_exact']:.2f} exact (precision {scores['boundary_precision']:.2f}, recall "
        f"{scores['boundary_recall']:.2f}); {facts['sequences']} test sequences",
        fontsize=9.5,
        y=1 - 0.06 / high,
    )
    for row in range(rows):
        bars, pictures = (figure.add_subplot(grid[2 * row + k]) for k in range(2))
        _plot_bars(bars, arrays["start"][row], arrays["change"][row], arrays["context"].shape[1], legend=row == 0)
        _plot_frames(pictures, *(arrays[name][row] for name in ("context", "frames", "rebuilt", "start")))
    return figure


def _plot_bars(axes: Axes, start: np.ndarray, change: np.ndarray, context: int, legend: bool) -> None:
    """Bars: the probability that each frame starts a subsequence; marks: frames that show a change."""
    place = context + np.arange(len(start)) + 0.5
    axes.bar(place[1:], start[1:], width=0.8, color=COLOURS[0], label="q(m) of the previous frame")
    axes.bar(place[:1], 1, width=0.8, color=GREY, alpha=0.3, label="start by definition")
    axes.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":")
    marked = place[change > 0]
    axes.plot(marked, np.full(len(marked), 1.16), "v", color=COLOURS[1], markersize=6, label="a ball bounces")
    axes.set(xlim=(0, context + len(start)), ylim=(0, 1.3), xticks=[], yticks=[0, 1])
    axes.tick_params(labelsize=8)
    if legend:
        axes.text(context / 2, 0.1, "context", ha="center", fontsize=8)
        axes.legend(fontsize=7.5, ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), borderpad=0)


def _plot_frames(axes: Axes, context: np.ndarray, frames: np.ndarray, rebuilt: np.ndarray, start: np.ndarray) -> None:
    """Frames above their reconstructions, with a red border where a subsequence starts."""
    begins = start > 0.5
    begins[0] = True
    marks = np.concatenate([np.zeros(len(context), bool), begins])
    seen = strip(np.concatenate([context, frames]), marks)[:, GAP // 2 : -GAP // 2]
    below = strip(np.concatenate([np.full_like(context, 255), rebuilt]), marks)[:, GAP // 2 : -GAP // 2]
    axes.imshow(np.concatenate([seen, below]), extent=(0, len(marks), 0, 2), aspect="auto", interpolation="nearest")
    axes.axis("off")
