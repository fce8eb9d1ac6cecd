"""Bootstrap intervals against numbers worked by hand, and their coverage."""

import numpy as np
import pytest

from experiments.common.bootstrap import PairedBootstrap, resampled_means


def test_point_values_are_statistics_of_means() -> None:
    # Means: agent (0 + 40 + 80) / 3 = 40, floor (0 + 30 + 0) / 3 = 10, ceiling (60 + 70 + 80) / 3 = 70.
    columns = {"agent": np.array([0, 40, 80]), "floor": np.array([0, 30, 0]), "ceiling": np.array([60, 70, 80])}
    bootstrap = PairedBootstrap(columns, resamples=200)
    assert bootstrap.mean("agent").value == pytest.approx(40)
    assert bootstrap.difference("agent", "floor").value == pytest.approx(30)
    assert bootstrap.ratio("agent", "ceiling").value == pytest.approx(4 / 7)
    assert bootstrap.normalised("agent", "floor", "ceiling").value == pytest.approx(30 / 60)


def test_interval_of_two_episodes() -> None:
    # Episodes 0 and 100: a resample's mean is 0, 50 or 100 with probability 1/4, 1/2, 1/4, so that both 2.5 %
    # percentiles are the extremes.
    estimate = PairedBootstrap({"agent": np.array([0, 100])}).mean("agent")
    assert (estimate.value, estimate.low, estimate.high) == (50, 0, 100)
    means, counts = np.unique(resampled_means(np.array([[0.0], [100.0]])), return_counts=True)
    assert means.tolist() == [0, 50, 100]
    assert counts / 10_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_pairing_cancels_what_episodes_share() -> None:
    # `other` is always exactly 5 below and exactly half of `agent`; unpaired intervals would be wide.
    agent = np.array([10.0, 90.0, 40.0, 60.0, 20.0])
    bootstrap = PairedBootstrap({"agent": agent, "lower": agent - 5, "half": agent / 2})
    difference, ratio = bootstrap.difference("agent", "lower"), bootstrap.ratio("half", "agent")
    assert [difference.low, difference.high] == pytest.approx([5, 5])
    assert [ratio.low, ratio.high] == pytest.approx([0.5, 0.5])


def test_interval_covers_the_true_mean() -> None:
    # 300 samples of 50 uniform draws on [0, 1]: a 95 % interval holds 1/2 in about 285 of them. A percentile interval
    # of 50 draws is a little narrow; below 265 or above 299 something is wrong.
    rng = np.random.default_rng(0)
    samples = {str(i): rng.random(50) for i in range(300)}
    bootstrap = PairedBootstrap(samples, resamples=1000)
    estimates = [bootstrap.mean(name) for name in samples]
    assert 265 <= sum(estimate.low <= 0.5 <= estimate.high for estimate in estimates) <= 299


def test_interval_matches_the_normal_one_for_many_episodes() -> None:
    # 5000 episodes: the interval is mean ± 1.96 s / sqrt(5000) within bootstrap noise.
    values = np.random.default_rng(1).integers(0, 101, 5000)
    estimate = PairedBootstrap({"agent": values}).mean("agent")
    half_width = 1.96 * values.std() / np.sqrt(5000)
    assert estimate.high - estimate.value == pytest.approx(half_width, rel=0.06)
    assert estimate.value - estimate.low == pytest.approx(half_width, rel=0.06)


def test_seed_decides_the_interval() -> None:
    columns = {"agent": np.random.default_rng(2).random(30)}
    first, again = PairedBootstrap(columns, seed=3).mean("agent"), PairedBootstrap(columns, seed=3).mean("agent")
    assert first == again != PairedBootstrap(columns, seed=4).mean("agent")


def test_undefined_ratio_is_nan_not_an_error() -> None:
    bootstrap = PairedBootstrap({"agent": np.array([1.0, 2.0]), "zero": np.zeros(2), "rare": np.array([0.0, 1.0])})
    assert np.isnan(bootstrap.ratio("agent", "zero").value)
    rare = bootstrap.ratio("agent", "rare")  # defined, but not in the resamples that miss the second episode
    assert rare.value == pytest.approx(3)
    assert np.isnan(rare.low)


@pytest.mark.parametrize("columns", [{"a": np.zeros(0)}, {"a": np.zeros(2), "b": np.zeros(3)}, {}])
def test_unpaired_columns_are_refused(columns: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="same number of episodes"):
        PairedBootstrap(columns)
