"""Learning curves from a run's own evaluations."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from agent.training.runs import TENSORBOARD
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import load_trained
from experiments.figures.learning_curves import measure_learning_curves, plot_learning_curves, read_scalars
from tests.support.curves import curve_rows


def test_bound_is_divergence_and_reconstruction(maze_runs: Path) -> None:
    runs = [load_trained(maze_runs / model) for model in ("hrssm", "rssm")]
    numbers = measure_learning_curves(runs)
    assert [(row["model"], row["step"]) for row in numbers.rows] == [(m, s) for m in ("hrssm", "rssm") for s in (1, 2)]
    for row in numbers.rows:
        assert row["negative_elbo"] == pytest.approx(row["kl"] + row["reconstruction"], rel=1e-4)
    assert [run["trained_steps"] for run in numbers.facts["runs"]] == [2, 2]


def test_thick_line_is_the_mean_of_the_training_seeds() -> None:
    bound = plot_learning_curves(Numbers({}, curve_rows("negative_elbo", "kl", "reconstruction"))).axes[0]
    mean = next(line for line in bound.lines if line.get_label() == "HRSSM")
    # Both training seeds were measured at the steps 1 and 2: the means of (2, 3) and of (1.5, 2.5).
    assert np.asarray(mean.get_xydata()).tolist() == [[1, 2.5], [2, 2]]


def test_a_run_without_tensorboard_files_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no TensorBoard files"):
        read_scalars(tmp_path)


def test_a_damaged_tensorboard_file_is_refused_by_name_and_a_cut_one_read_to_its_end(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / TENSORBOARD)) as writer:
        for step in range(3):
            writer.add_scalar("test/nelbo", 1.5 * step, step)
    (path,) = (tmp_path / TENSORBOARD).iterdir()
    before = path.read_bytes()
    for place in np.random.default_rng(0).integers(8 * len(before), size=200):
        altered = bytearray(before)
        altered[place // 8] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=rf"{path} is damaged"):
            read_scalars(tmp_path)
    path.write_bytes(before[:-3])  # as a kill leaves it
    assert read_scalars(tmp_path) == {"nelbo": {0: 0.0, 1: 1.5}}
