"""Metrics frame by frame, from the results of `jumpy predict`."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures.frame_metrics import measure_frame_metrics, plot_frame_metrics
from experiments.video.predict import PredictConfig, predict
from tests.support.video_runs import FRAMES, run_of, videos


def test_curves_are_those_of_the_predictions(tmp_path: Path) -> None:
    data, out = videos(tmp_path / "data"), tmp_path / "out"
    run = run_of("dlh", data, tmp_path / "dlh")
    predict(PredictConfig(data, out, str(run), context=6, samples=2, sequences=2, device="cpu"))
    numbers = measure_frame_metrics((out,))
    rows = [{name: str(value) for name, value in row.items()} for row in numbers.rows]
    panels = plot_frame_metrics(type(numbers)(numbers.facts, rows)).axes
    best = [dict(np.load(path)) for path in sorted((out / "sequences").iterdir())]
    assert len(panels) == 2  # LPIPS was not measured
    for axes, metric in zip(panels, ("ssim", "psnr"), strict=True):
        step, mean = np.asarray(axes.lines[0].get_xydata()).T
        assert step.tolist() == list(range(1, FRAMES - 6 + 1))
        np.testing.assert_allclose(mean, np.mean([video[metric] for video in best], 0), rtol=1e-4, atol=1e-6)


def test_unfinished_predictions_raise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no finished prediction.*jumpy predict"):
        measure_frame_metrics((tmp_path,))
