"""Figures of sampled frames: futures next to the truth, and single levels of a hierarchy resampled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

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


def _test_videos(replay: Replay, longest: int) -> dict[str, np.ndarray]:
    """The first test videos of the data set, which must be longer than all contexts."""
    test = replay.split("test")
    if longest >= replay.episode_length or not test:
        raise ValueError(
            f"{replay.folder} has {len(test)} test videos of {replay.episode_length} frames, needed are some of more "
            f"than {longest}: make others"
        )
    chosen = np.array(test[:VIDEOS])
    return replay.slices(chosen, np.zeros_like(chosen), replay.episode_length)


def _shared_data(runs: list[TrainedRun], data: tuple[Path, ...]) -> Replay:
    """The data set that all runs were trained on."""
    replays = [Replay.open(path) for path in data]
    replay, *_ = [run.data_of(replays) for run in runs]
    return replay


# ---------------------------------------------------------------- futures


@torch.inference_mode()
def measure_rollouts(runs: list[TrainedRun], data: tuple[Path, ...], seed: int, consecutive: bool) -> Numbers:
    """One sample by every run of the future of the first test videos.

    Each run sees as many frames as in `jumpy predict`, or as in its training if videos are not longer than that. Frames
    that a run still sees are white.

    Args:
        runs: of different labels.
        data: data sets, one of them of the same videos as the runs'.
        seed: of the samples.
        consecutive: take the first frames that all runs predict; otherwise ever fewer, from the first that any does to
            the end.

    Returns:
        ``true`` and one array per label, (N, F, H, W, 3); where known, ``…_start`` (N, F): where something begins.
    """
    replay = _shared_data(runs, data)
    contexts = {run.label: _context(run, replay) for run in runs}
    if len(contexts) < len(runs):
        raise ValueError(f"--runs need different labels, got {[run.label for run in runs]}: give LABEL=RUN")
    fields = _test_videos(replay, max(contexts.values()))
    frames = fields["observation"]
    places = _places(contexts.values(), frames.shape[1], consecutive)
    arrays = {"true": frames[:, places]}
    if "change" in fields:
        arrays["true_start"] = fields["change"][:, places]
    for run in runs:
        torch.manual_seed(seed)
        ahead, start = _future(run.able(Generative), frames, contexts[run.label])
        arrays[run.label] = ahead[:, places]
        if start is not None:
            arrays[f"{run.label}_start"] = start[:, places]
    facts = {"runs": [run.facts for run in runs], "dataset": dataset_label(runs[0])}
    return Numbers(facts | {"contexts": contexts, "frames": places}, arrays=arrays)


def _context(run: TrainedRun, replay: Replay) -> int:
    return run.shown if run.shown < replay.episode_length else run.able(Generative).context


def _places(contexts: Collection[int], length: int, consecutive: bool) -> np.ndarray:
    """Numbers of the frames that are drawn; if not consecutive, 1, 2, 3, 5, … frames after the shortest context."""
    first = max(contexts) if consecutive else min(contexts)
    left = length - first
    if consecutive:
        return first + np.arange(min(SHOWN, left))
    return first - 1 + np.unique(np.geomspace(1, left, SHOWN).round().astype(int))


def _future(model: Generative, frames: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A sample of whole videos (N, T, H, W, 3), white in the context, and where something begins, (N, T)."""
    x = to_float(torch.from_numpy(frames[:, :context]))
    none = torch.zeros(frames.shape[:2], dtype=torch.long)
    sampled, start = model.generate(x, none[:, : context - 1], none[:, 0] + context, none[:, context:], "full")
    whole = np.concatenate([np.full_like(frames[:, :context], 255), to_uint8(sampled).numpy()], 1)
    return whole, None if start is None else F.pad(start > 0.5, (context, 0)).numpy().astype(np.int8)


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
    shown = ", ".join(f"{names[label]} {context}" for label, context in facts["contexts"].items())
    steps = ", ".join(f"{names[label]} {run['trained_steps']}" for label, run in runs.items())
    shortest, longest = min(facts["contexts"].values()), max(facts["contexts"].values())
    white = "; white: still shown" * (facts["frames"][0] < longest)
    title = (
        f"{facts['dataset']}, open loop; frames shown to each model: {shown}\n"
        f"training steps: {steps}\n"
        f"above: how many frames after the first {shortest}{white}\n"
        "red: a change in the video, a change of level 2 (DLH), or the start of a subsequence"
    )
    return _page(title, strips, [str(place - shortest + 1) for place in facts["frames"]])


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
    longest = max(run.able(Generative).context for run in runs)
    frames = _test_videos(_shared_data(runs, data), longest)["observation"]
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


def _page(title: str, strips: list[tuple[str, np.ndarray]], columns: Sequence[str] = ()) -> Figure:
    """Strips of equal width below each other and below the title, each with a text in front; texts above columns."""
    picture = stack([one for _, one in strips])
    wide = WIDTH - MARGIN - 0.1
    high = picture.shape[0] * wide / picture.shape[1]
    height = high + 0.3 + 0.17 * (1 + title.count("\n") + bool(columns))
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS)
    axes = figure.add_axes((MARGIN / WIDTH, 0.05 / height, wide / WIDTH, high / height))
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.axis("off")
    top = GAP / 2
    for text, one in strips:
        axes.text(-GAP, top + one.shape[0] / 2, text, ha="right", va="center", fontsize=7.5)
        top += one.shape[0] + 3  # the gap that `stack` leaves
    for number, text in enumerate(columns):
        middle = (number + 0.5) * (picture.shape[1] - GAP) / len(columns)
        axes.text(middle, -GAP, text, ha="center", va="bottom", fontsize=7)
    figure.suptitle(title, fontsize=9.5, y=1 - 0.08 / height, va="top")
    return figure
