"""Figures of drawn frames: futures beside the truth, and single levels of a hierarchy drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from agent.data.replay import Replay
from agent.training.image_grid import GAP, stack, strip
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.style import DOTS, WIDTH, label_name
from experiments.video.rows import dataset_label
from world_models.blocks.images import to_float, to_uint8

VIDEOS, SHOWN, DRAWS = 2, 15, 12  # test videos; frames of each; draws of levels
MARGIN = 1.25  # inches for what stands before a strip


def _data_of(runs: list[TrainedRun], data: tuple[Path, ...]) -> Replay:
    """The data set that all runs were trained on; its videos must be longer than their contexts."""
    replays = [Replay.open(path) for path in data]
    replay, *_ = [run.data_of(replays) for run in runs]
    longest = max(run.model.config.options.context for run in runs)
    if longest >= replay.episode_length or not replay.split("test"):
        raise ValueError(
            f"{replay.folder} has {len(replay.split('test'))} test videos of {replay.episode_length} frames, needed "
            f"are some of more than {longest}: make others"
        )
    return replay


def _videos(replay: Replay) -> dict[str, np.ndarray]:
    """The first test videos, whole."""
    chosen = np.array(replay.split("test")[:VIDEOS])
    return replay.slices(chosen, np.zeros_like(chosen), replay.episode_length)


# ---------------------------------------------------------------- futures


@torch.inference_mode()
def measure_rollouts(runs: list[TrainedRun], data: tuple[Path, ...], seed: int, consecutive: bool) -> Numbers:
    """One sample of the future of each of the first test videos by every run, each after its own context.

    Args:
        runs: of any models, with different labels, in their order.
        data: the data set that they were trained on.
        seed: of the samples.
        consecutive: the first frames that all predict; otherwise frames from there to the end.

    Returns:
        ``true`` and one array per label, (N, F, H, W, 3); where it is known, ``…_start`` (N, F): where something
        begins.

    Raises:
        ValueError: if runs and data do not belong together, or the videos are too short.
    """
    if len({run.label for run in runs}) < len(runs):
        raise ValueError(f"--runs need different labels, got {[run.label for run in runs]}: give LABEL=RUN")
    replay = _data_of(runs, data)
    fields = _videos(replay)
    frames, first = fields["observation"], max(run.model.config.options.context for run in runs)
    last = replay.episode_length - 1
    shown = min(SHOWN, last - first + 1)
    places = first + np.arange(shown) if consecutive else np.linspace(first, last, shown).round().astype(int)
    arrays = {"true": frames[:, places]}
    if "change" in fields:
        arrays["true_start"] = fields["change"][:, places]
    for run in runs:
        torch.manual_seed(seed)
        context = run.model.config.options.context
        none = torch.zeros(frames.shape[:2], dtype=torch.long)
        x = to_float(torch.from_numpy(frames[:, :context]))
        sampled, start = run.model.generate(x, none[:, : context - 1], none[:, 0] + context, none[:, context:], "full")
        arrays[run.label] = to_uint8(sampled[:, places - context]).numpy()
        if start is not None:
            arrays[f"{run.label}_start"] = (start[:, places - context] > 0.5).numpy().astype(np.int8)
    contexts = {run.label: run.model.config.options.context for run in runs}
    return Numbers(
        {
            "runs": [run.facts for run in runs],
            "dataset": dataset_label(runs[0]),
            "contexts": contexts,
            "frames": places,
        },
        arrays=arrays,
    )


def plot_rollouts(numbers: Numbers) -> Figure:
    """The true frames of each video above the samples; red: a colour changes, level 2 does, a subsequence starts."""
    facts, arrays = numbers.facts, numbers.arrays
    runs = dict(zip(facts["contexts"], facts["runs"], strict=True))
    names = {"true": "true"} | {label: label_name(label, run["model"]) for label, run in runs.items()}
    strips = [
        (name, strip(arrays[key][video], arrays[f"{key}_start"][video] if f"{key}_start" in arrays else None))
        for video in range(len(arrays["true"]))
        for key, name in names.items()
    ]
    shown = ", ".join(f"{names[label]} after {context} frames" for label, context in facts["contexts"].items())
    steps = ", ".join(f"{names[label]}: {run['trained_steps']}" for label, run in runs.items())
    title = f"{facts['dataset']}: frames {facts['frames'][0]} to {facts['frames'][-1]}, open loop ({shown})"
    return _page(f"{title}\nred: something begins (DLH: level 2 changes); training steps of {steps}", strips)


# ---------------------------------------------------------------- levels


@torch.inference_mode()
def measure_level_samples(
    runs: list[TrainedRun], data: tuple[Path, ...], seed: int, groups: Callable[[int], list[tuple[int, ...]]]
) -> Numbers:
    """Frames where some levels are drawn anew from their change priors and the others are fixed (appendix C.3).

    Args:
        runs: of DLH.
        data: the data set that they were trained on.
        seed: of the samples.
        groups: the levels that are drawn together, by the number of all levels.

    Returns:
        An array a run and group, (N, 2 + draws, H, W, 3): the true frame, the belief's own, then the draws.

    Raises:
        ValueError: if runs and data do not belong together, or a run has no such levels.
    """
    frames = _videos(_data_of(runs, data))["observation"]
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for run in runs:
        levels, context = run.model.config.options.levels, run.model.config.options.context
        if not groups(levels):
            raise ValueError(f"{run.name} has {levels} levels, none to sample anew: give --runs of more levels")
        torch.manual_seed(seed)
        x = to_float(torch.from_numpy(frames[:, :context]))
        none = torch.zeros(len(x), context, dtype=torch.long)
        state = run.model.observe(x, none[:, 1:], none[:, 0] + context)
        for group in groups(levels):
            drawn = [_frame(run.model.decode(run.model.resample(state, group))) for _ in range(DRAWS)]
            arrays[f"drawn_{len(rows)}"] = np.stack(
                [frames[:, context - 1], _frame(run.model.decode(state)), *drawn], 1
            )
            rows.append({"levels": levels, "drawn": group})
    return Numbers(
        {"runs": [run.facts for run in runs], "dataset": dataset_label(runs[0]), "rows": rows}, arrays=arrays
    )


def _frame(image: Tensor) -> UInt8[np.ndarray, "n h w 3"]:
    return to_uint8(image).numpy()


def plot_level_samples(numbers: Numbers) -> Figure:
    """A strip a video and group of levels: the true frame, the belief's own, draws."""
    strips = []
    for number, row in enumerate(numbers.facts["rows"]):
        fixed = [level for level in range(1, row["levels"] + 1) if level not in row["drawn"]]
        told = f"{row['levels']} levels\ndrawn: {_list(row['drawn'])}\nfixed: {_list(fixed)}"
        for video, frames in enumerate(numbers.arrays[f"drawn_{number}"]):
            strips.append(("" if video else told, strip(frames)))
    title = f"{numbers.facts['dataset']}: the true frame, the model's, then levels drawn anew from their change priors"
    return _page(title, strips)


def _list(levels: Sequence[int]) -> str:
    return ", ".join(map(str, levels)) or "none"


# ---------------------------------------------------------------- common


def _page(title: str, strips: list[tuple[str, np.ndarray]]) -> Figure:
    """Strips of equal width below each other and below the title, with a text before each."""
    picture = stack([one for _, one in strips])
    wide = WIDTH - MARGIN - 0.1
    scale = wide / picture.shape[1]
    high = picture.shape[0] * scale
    height = high + 0.3 + 0.17 * (1 + title.count("\n"))
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS)
    axes = figure.add_axes((MARGIN / WIDTH, 0.05 / height, wide / WIDTH, high / height))
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.axis("off")
    top = GAP / 2
    for text, one in strips:
        axes.text(-GAP, top + one.shape[0] / 2, text, ha="right", va="center", fontsize=7.5)
        top += one.shape[0] + 3  # the gap that `stack` leaves
    figure.suptitle(title, fontsize=9.5, y=1 - 0.08 / height, va="top")
    return figure
