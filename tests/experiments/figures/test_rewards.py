"""Reward distributions: every episode counts, of one benchmark and of several training seeds."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from experiments.figures.rewards import histogram, measure_rewards, plot_rewards, reward
from experiments.navigation.episode_files import read_episodes, read_summary
from tests.support.benchmark_folders import SEEDS, of_two_seeds, trained, walked


def test_every_episode_is_kept_though_rewards_are_equal(tmp_path: Path) -> None:
    numbers = measure_rewards((of_two_seeds(tmp_path),))
    column = [row["hrssm budget=3 seed=1"] for row in numbers.rows]
    assert column == [51, 60, 70, 20, 100, ""]  # the last two earn 0, one of them is solved
    assert [row["episode"] for row in numbers.rows] == list(SEEDS)
    steps = np.array([float(value or "nan") for value in column])
    assert reward(steps, 100).tolist() == [49, 40, 30, 80, 0, 0]
    counts, _ = histogram(steps, 100)
    assert counts.sum() == 5


def test_unsolved_episodes_have_a_panel_of_their_own(tmp_path: Path) -> None:
    figure = plot_rewards(measure_rewards((of_two_seeds(tmp_path),)))
    bars = [patch.get_height() for patch in figure.axes[1].patches]  # type: ignore[attr-defined]
    assert bars == pytest.approx([1 / 6] * 4 + [0.5, 0])


def test_a_budget_names_the_depth_of_trees_alone(tmp_path: Path) -> None:
    agents = {label: trained(label, 2) for label in ("hrssm", "mine")}
    agents["mine"]["planner"] = {"kind": "mcts", "depth": 20}
    below = plot_rewards(measure_rewards((walked(tmp_path, agents),))).axes[1]
    assert below.get_xticklabels()[0].get_text() == "12\nL=2"


@pytest.mark.parametrize("labels", [(), ("hrssm",), ("hrssm", "b"), ("hrssm", "b", "c")])
def test_shapes_and_means_of_one_benchmark(tmp_path: Path, labels: tuple[str, ...]) -> None:
    run = walked(tmp_path, {label: trained(label, 2) for label in labels})
    above, _ = plot_rewards(measure_rewards((run,))).axes
    means, solved = [], []
    for name in (*labels, "random", "shortest-path"):
        episodes = read_episodes(run, name, read_summary(run))
        means.append(f"{episodes['reward'].mean():.1f}")
        solved.append(histogram(np.where(episodes["success"] == 1, episodes["steps"], np.nan), 100)[0])
    assert [text.get_text() for text in above.texts] == means
    widths = np.array([patch.get_width() for patch in above.patches]).reshape(len(means), -1)  # type: ignore[attr-defined]
    for width, counts in zip(widths, solved, strict=True):
        np.testing.assert_allclose(width / width.max(), counts / counts.max())
    places = np.array([patch.get_x() for patch in above.patches]).reshape(len(means), -1)  # type: ignore[attr-defined]
    ends = [(left.min(), (left + width).max()) for left, width in zip(places, widths, strict=True)]
    assert all(one[1] <= other[0] + 1e-9 for one, other in pairwise(ends))  # they do not overlap
