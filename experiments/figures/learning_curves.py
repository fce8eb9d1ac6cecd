"""Learning curves: the test split's bound and its parts against training steps, one thin line per training seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.tensorflow_stub.errors import DataLossError, OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from agent.training.runs import TENSORBOARD
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun, check_agreement, check_same_likelihood
from experiments.figures.style import DOTS, GREY, WIDTH, model_colour, model_name

Rows = list[dict[str, str]]
Curve = tuple[np.ndarray, np.ndarray]
GROUP = "test/"  # of the scalars in a run's TensorBoard files


def read_scalars(run: Path) -> dict[str, dict[int, float]]:
    """A run's test scalars, by name and step; of a step that was repeated, the last.

    Raises:
        ValueError: if the run has none, or one of its files is damaged.
    """
    events = EventAccumulator(str(run / TENSORBOARD), size_guidance={"scalars": 0, "images": 1})
    found = {}
    if (run / TENSORBOARD).is_dir():
        for path in (run / TENSORBOARD).glob("events.out.tfevents.*"):
            _check_records(path)
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if tag.startswith(GROUP):
                found[tag.removeprefix(GROUP)] = {event.step: event.value for event in events.Scalars(tag)}
    if not found:
        raise ValueError(f"{run} has no TensorBoard files with {GROUP} scalars: give the folder of 'jumpy train --out'")
    return found


def _check_records(path: Path) -> None:
    """Check the records of a TensorBoard file, which `EventAccumulator` reads up to the first damaged one.

    A record that is cut off at the end of a file is what a killed training leaves, and no damage.
    """
    reader = PyRecordReader_New(str(path))
    try:
        while True:
            reader.GetNext()
    except OutOfRangeError:
        return
    except DataLossError as error:
        if "crc32" in str(error):
            raise ValueError(f"{path} is damaged, a checksum does not match: use a copy, or train again") from error


def measure_learning_curves(runs: list[TrainedRun]) -> Numbers:
    """Test scalars of several models during training.

    Returns:
        One row per run and evaluation: ``model``, training ``seed``, ``step``, ``negative_elbo``, ``kl`` (of all latent
        variables) and ``reconstruction`` (negative log-likelihood without its constant), nats per frame, mean over test
        windows.
    """
    check_agreement(runs)
    check_same_likelihood(runs)
    rows = []
    for run in runs:
        scalars = read_scalars(run.path)
        for step, bound in scalars["nelbo"].items():
            row = {"model": run.training["model"], "seed": run.training["seed"], "step": step, "negative_elbo": bound}
            row["kl"] = sum(values[step] for name, values in scalars.items() if name.startswith("kl_"))
            rows.append(row | {"reconstruction": scalars["image"][step]})
    return Numbers({"runs": [run.facts for run in runs]}, rows)


def plot_learning_curves(numbers: Numbers) -> Figure:
    """Negative lower bound and its two parts against training steps (Kim et al. 2019, Figure 4)."""
    figure = Figure(figsize=(WIDTH, 3.2), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {"negative_elbo": "negative ELBO", "kl": "KL divergence", "reconstruction": "reconstruction"}
    models = list(dict.fromkeys(row["model"] for row in numbers.rows))
    for axes, (key, title) in zip(panels, titles.items(), strict=True):
        for model in models:
            curves = seed_curves([row for row in numbers.rows if row["model"] == model], key)
            plot_seeds(axes, curves, model_colour(model) or GREY, model_name(model))
        axes.set(title=title, xlabel="training steps", xlim=(0, None))
        _cut_the_beginning(axes)
    panels[0].set_ylabel("nats per frame")
    seeds = {model: len({row["seed"] for row in numbers.rows if row["model"] == model}) for model in models}
    counted = ", ".join(f"{number} of {model_name(model)}" for model, number in seeds.items())
    figure.suptitle(f"Test split. Training seeds: {counted} (thin lines), their mean (thick).", fontsize=10)
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=2, frameon=False)
    return figure


def _cut_the_beginning(axes: Axes) -> None:
    """Set the limits by what comes after the first tenth of training, cutting off the steep beginning."""
    x, y = (np.concatenate([np.asarray(line.get_data()[axis], float) for line in axes.lines]) for axis in (0, 1))
    late = y[x >= 0.1 * x.max()]
    room = 0.08 * max(np.ptp(late), 1e-3 * abs(late.max()))
    axes.set_ylim(min(y.min(), late.min()) - room, late.max() + room)


# ---------------------------------------------------------------- training seeds


def seed_curves(rows: Rows, key: str) -> dict[str, Curve]:
    """One curve per training seed."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row["seed"], []).append((float(row["step"]), float(row[key])))
    return {seed: (np.array(sorted(curve))[:, 0], np.array(sorted(curve))[:, 1]) for seed, curve in points.items()}


def plot_seeds(axes: Axes, curves: dict[str, Curve], colour: str, label: str | None, style: str = "-") -> None:
    """Thin curves of the seeds, and their mean at the steps that all of them have."""
    steps = sorted(set.intersection(*(set(x) for x, _ in curves.values())))
    mean = np.mean([[dict(zip(x, y, strict=True))[step] for step in steps] for x, y in curves.values()], axis=0)
    if len(curves) > 1:
        for x, y in curves.values():
            axes.plot(x, y, style, color=colour, linewidth=0.7, alpha=0.6)
    axes.plot(steps, mean, style, color=colour, linewidth=2, marker="." if len(steps) < 30 else "", label=label)
