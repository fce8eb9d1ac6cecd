"""Boundaries while training, and where they fall at the end."""

from dataclasses import replace
from pathlib import Path

from experiments.common.numbers import Numbers
from experiments.common.trained_runs import load_trained
from experiments.figures.structure_prior import measure_structure_prior, plot_structure_prior
from tests.support.curves import curve_rows


def test_rows_and_profile_of_a_run(maze_runs: Path) -> None:
    run = replace(load_trained(maze_runs / "hrssm"), label="with")
    numbers = measure_structure_prior([run], (maze_runs / "data",))
    assert [(row["label"], row["step"]) for row in numbers.rows] == [("with", 1), ("with", 2)]
    assert list(numbers.facts["runs"][0]["profile"]) == [str(k) for k in range(-3, 4)]


def test_bars_are_means_over_seeds() -> None:
    rows = curve_rows("boundary_share", "boundary_f1", "boundary_f1_exact", "true_share")
    runs = [{"label": label, "profile": {"-1": 0.2, "0": 0.8, "1": None}} for label in ("hrssm", "rssm", "rssm")]
    bars = plot_structure_prior(Numbers({"runs": runs}, rows)).axes[2].patches
    assert [bar.get_height() for bar in bars] == [0.2, 0.8, 0.0] * 2  # type: ignore[attr-defined]
