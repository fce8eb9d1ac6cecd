"""Curves over the budget, by hand."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures.budget import measure_budget, plot_budget
from tests.support.benchmark_folders import of_two_seeds, trained, walked


def test_curves_of_two_training_seeds(tmp_path: Path) -> None:
    numbers = measure_budget((of_two_seeds(tmp_path),))
    assert numbers is not None
    assert [(point["label"], point["budget"], len(point["seeds"])) for point in numbers.facts["points"]] == [
        (label, budget, 2) for label in ("hrssm", "rssm") for budget in (3, 12)
    ]
    axes = plot_budget(numbers).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    # Rewards (50 or 49, 40, 30, 80, 0, 0) of six episodes; 3 and 6 transitions per decision.
    assert np.asarray(lines["HRSSM"].get_xydata()) == pytest.approx(np.array([[3, 199.5 / 6], [6, 199.5 / 6]]))
    assert np.asarray(lines["ceiling"].get_ydata())[0] == pytest.approx(455 / 6)
    assert [text.get_text() for text in axes.texts] == ["1", "2"] * 2


def test_labels_of_one_benchmark(tmp_path: Path) -> None:
    agents = {f"{label}@{depth}": trained(label, depth) for label in ("hrssm", "mine") for depth in (1, 3)}
    for name in ("mine@1", "mine@3"):
        agents[name]["planner"] = {"kind": "mcts", "depth": 20}  # not that of a tree
    numbers = measure_budget((walked(tmp_path, agents),))
    assert numbers is not None
    axes = plot_budget(numbers).axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    assert {"floor", "ceiling", "HRSSM", "mine"} <= set(lines)
    assert np.asarray(lines["HRSSM"].get_xdata()) == pytest.approx([3, 39])
    assert len({lines[label].get_color() for label in ("HRSSM", "mine", "floor")}) == 3
    assert [text.get_text() for text in axes.texts] == ["1", "3"]


def test_one_budget_gives_no_curve(tmp_path: Path) -> None:
    assert measure_budget((walked(tmp_path, {"hrssm": trained("hrssm", 2)}, episodes=2),)) is None
