"""Figures of sampled frames: futures next to the truth, and single levels of a hierarchy resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from agent.data.replay import Replay
from agent.training.image_grid import GAP, stack, strip
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.style import DOTS, WIDTH, label_name
from experiments.video.rows import dataset_label
from world_models.blocks.images import to_float, to_uint8
from world_models.dlh.dlh import DLH
from world_models.interface import Generative

VIDEOS, SHOWN, SAMPLES = 2, 15, 12  # test videos; frames of each; samples of levels
MARGIN = 1.25  # inches for the texts in front of the strips


def _test_videos(runs: list[TrainedRun], data: tuple[Path, ...]) -> dict[str, np.ndarray]:
    """The first test videos of the data set that all runs were trained on; they must be longer than all contexts."""
    replays = [Replay.open(path) for path in data]
    replay, *_ = [run.data_of(replays) for run in runs]
    longest = max(run.able(Generative).context for run in runs)
    test = replay.split("test")
    if longest >= replay.episode_length or not test:
        raise ValueError(
            f"{replay.folder} has {len(test)} test videos of {replay.episode_length} frames, needed are some of more "
            f"than {longest}: make others"
        )
    chosen = np.array(test[:VIDEOS])
    return replay.slices(chosen, np.zeros_like(chosen), replay.episode_length)


# ---------------------------------------------------------------- futures


@torch.inference_mode()
def measure_rollouts(runs: list[TrainedRun], data: tuple[Path, ...], seed: int, consecutive: bool) -> Numbers:
    """One sample by every run of the future of the first test videos, each after the run's own context.

    If `consecutive`, of the first frames that all runs predict; otherwise of frames from there to the end.

    Returns:
        ``true`` and one array per label, (N, F, H, W, 3); where known, ``…_start`` (N, F): where something begins.
    """
    contexts = {run.label: run.able(Generative).context for run in runs}
    if len(contexts) < len(runs):
        raise ValueError(f"--runs need different labels, got {[run.label for run in runs]}: give LABEL=RUN")
    fields = _test_videos(runs, data)
    frames, first = fields["observation"], max(contexts.values())
    last = frames.shape[1] - 1
    places = np.linspace(first, last, min(SHOWN, last - first + 1)).round().astype(int)
    if consecutive:
        places = first + np.arange(len(places))
    arrays = {"true": frames[:, places]}
    if "change" in fields:
        arrays["true_start"] = fields["change"][:, places]
    none = torch.zeros(frames.shape[:2], dtype=torch.long)
    for run in runs:
        torch.manual_seed(seed)
        context = contexts[run.label]
        x = to_float(torch.from_numpy(frames[:, :context]))
        sampled, start = run.able(Generative).generate(
            x, none[:, : context - 1], none[:, 0] + context, none[:, context:], "full"
        )
        arrays[run.label] = to_uint8(sampled[:, places - context]).numpy()
        if start is not None:
            arrays[f"{run.label}_start"] = (start[:, places - context] > 0.5).numpy().astype(np.int8)
    facts = {"runs": [run.facts for run in runs], "dataset": dataset_label(runs[0])}
    return Numbers(facts | {"contexts": contexts, "frames": places}, arrays=arrays)


def plot_rollouts(numbers: Numbers) -> Figure:
    """The true frames of each video above the samples; red: the video or level 2 changes, or a subsequence starts."""
    facts, arrays = numbers.facts, numbers.arrays
    runs = dict(zip(facts["contexts"], facts["runs"], strict=True))
    names = {"true": "true"} | {label: label_name(label, run["model"]) for label, run in runs.items()}
    strips = [
        (name, strip(arrays[key][video], arrays[f"{key}_start"][video] if f"{key}_start" in arrays else None))
        for video in range(len(arrays["true"]))
        for key, name in names.items()
    ]
    shown = ", ".join(f"{names[label]} after {context} frames" for label, context in facts["contexts"].items())
    steps = ", ".join(f"{run['trained_steps']} ({names[label]})" for label, run in runs.items())
    title = (
        f"{facts['dataset']}: frames {facts['frames'][0]} to {facts['frames'][-1]}, open loop ({shown})\n"
        f"red: a change in the video, a change of level 2 (DLH), or the start of a subsequence\ntraining steps: {steps}"
    )
    return _page(title, strips)


# ---------------------------------------------------------------- levels


@torch.inference_mode()
def measure_level_samples(
    runs: list[TrainedRun], data: tuple[Path, ...], seed: int, groups: Callable[[int], list[tuple[int, ...]]]
) -> Numbers:
    """Frames where some levels are resampled from their change priors and the others are fixed (appendix C.3).

    `groups` are the levels that are resampled together, by the number of levels.

    Returns:
        One array per run and group, (N, 2 + samples, H, W, 3): the true frame, the belief's own, then the samples.
    """
    frames = _test_videos(runs, data)["observation"]
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for run in runs:
        model = run.able(DLH)
        levels, context = model.config.options.levels, model.context
        if not groups(levels):
            raise ValueError(f"{run.name} has {levels} levels, none to resample: give --runs of more levels")
        torch.manual_seed(seed)
        x = to_float(torch.from_numpy(frames[:, :context]))
        none = torch.zeros(len(x), context, dtype=torch.long)
        state = model.observe(x, none[:, 1:], none[:, 0] + context)
        for group in groups(levels):
            states = [state, *(model.resample(state, group) for _ in range(SAMPLES))]
            decoded = [to_uint8(model.decode(each)).numpy() for each in states]
            arrays[f"drawn_{len(rows)}"] = np.stack([frames[:, context - 1], *decoded], 1)
            rows.append({"levels": levels, "drawn": group})
    facts = {"runs": [run.facts for run in runs], "dataset": dataset_label(runs[0]), "rows": rows}
    return Numbers(facts, arrays=arrays)


def plot_level_samples(numbers: Numbers) -> Figure:
    """One strip per video and group of levels: the true frame, the belief's own, samples."""
    strips = []
    for number, row in enumerate(numbers.facts["rows"]):
        fixed = [level for level in range(1, row["levels"] + 1) if level not in row["drawn"]]
        text = f"{row['levels']} levels\nresampled: {_list(row['drawn'])}\nfixed: {_list(fixed)}"
        for video, frames in enumerate(numbers.arrays[f"drawn_{number}"]):
            strips.append(("" if video else text, strip(frames)))
    title = f"{numbers.facts['dataset']}: true frame, decoded belief, then levels resampled from their change priors"
    return _page(title, strips)


def _list(levels: Sequence[int]) -> str:
    return ", ".join(map(str, levels)) or "none"


# ---------------------------------------------------------------- common


def _page(title: str, strips: list[tuple[str, np.ndarray]]) -> Figure:
    """Strips of equal width below each other and below the title, each with a text in front."""
    picture = stack([one for _, one in strips])
    wide = WIDTH - MARGIN - 0.1
    high = picture.shape[0] * wide / picture.shape[1]
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
