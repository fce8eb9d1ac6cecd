"""Means with bootstrap intervals, paired over episodes.

All agents of a benchmark run the same episodes, so *episodes* are resampled, with the rows of every agent. Differences,
ratios and normalised scores are computed within each resample, which cancels what makes an episode hard for all agents.
Intervals are percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num

Means = Mapping[str, np.ndarray | float]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; all NaN if the value is undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def to_json(self, key: str = "value") -> dict[str, Any]:
        """The value under `key`, and its interval as ``ci95`` (``KEY_ci95`` for another key); None if undefined."""
        value, *ends = (number if math.isfinite(number) else None for number in (self.value, self.low, self.high))
        return {key: value, "ci95" if key == "value" else f"{key}_ci95": None if None in ends else ends}


class PairedBootstrap:
    """Estimates with 95 % intervals of statistics of means over the same episodes.

    Example:
        >>> rewards = {"hrssm": np.array([80.0, 0.0, 60.0]), "ceiling": np.array([90.0, 70.0, 80.0])}
        >>> bootstrap = PairedBootstrap(rewards)
        >>> over_ceiling = bootstrap.estimate(lambda mean: mean["hrssm"] / mean["ceiling"])
    """

    def __init__(self, columns: Mapping[str, Num[np.ndarray, " episodes"]], resamples: int = 10_000, seed: int = 0):
        """Resample the episodes once for all estimates. Row e of every column is the same episode.

        Raises:
            ValueError: if there is no column or no episode, or the columns differ in length.
        """
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"Paired columns need the same number of episodes, at least one, got {lengths}.")
        values = np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)  # (E, K)
        self._means = dict(zip(columns, values.mean(axis=0), strict=True))
        self._resampled = dict(zip(columns, resampled_means(values, resamples, seed).T, strict=True))

    def estimate(self, statistic: Callable[[Means], np.ndarray | float]) -> Estimate:
        """The statistic of the means and its 95 % percentile interval.

        Args:
            statistic: elementwise function of the columns' means, called with floats and with arrays (one entry per
                resample).

        Returns:
            NaN for all three if the statistic is not finite, or for the interval if it is not finite in some resample
            (a ratio with a denominator of zero).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(self._means))
            resampled = np.asarray(statistic(self._resampled))
        if not np.isfinite(value):
            return Estimate(np.nan)
        if not np.isfinite(resampled).all():
            return Estimate(value)
        low, high = np.percentile(resampled, [2.5, 97.5])
        return Estimate(value, float(low), float(high))

    def mean(self, name: str) -> Estimate:
        """The mean of one column."""
        return self.estimate(lambda mean: mean[name])

    def difference(self, name: str, other: str) -> Estimate:
        """Mean of `name` minus mean of `other`."""
        return self.estimate(lambda mean: mean[name] - mean[other])

    def ratio(self, name: str, other: str) -> Estimate:
        """Mean of `name` over mean of `other`: a ratio of means, not a mean of ratios."""
        return self.estimate(lambda mean: mean[name] / mean[other])

    def normalised(self, name: str, floor: str, ceiling: str) -> Estimate:
        """(name - floor) / (ceiling - floor) of means: 0 is as good as the floor, 1 as good as the ceiling."""
        return self.estimate(lambda mean: (mean[name] - mean[floor]) / (mean[ceiling] - mean[floor]))


def resampled_means(
    values: Float[np.ndarray, "episodes columns"], resamples: int = 10_000, seed: int = 0, rows: int = 500
) -> Float[np.ndarray, "resamples columns"]:
    """Column means over episodes sampled with replacement, the same sample for all columns.

    A matrix product of the counts of each episode computes all columns, for `rows` resamples at a time.
    """
    rng = np.random.default_rng(seed)
    episodes = len(values)
    means = np.empty((resamples, values.shape[1]))
    for first in range(0, resamples, rows):
        number = min(rows, resamples - first)
        sample = rng.integers(0, episodes, (number, episodes), dtype=np.int32)
        sample += np.arange(number, dtype=np.int32)[:, None] * episodes
        counts = np.bincount(sample.ravel(), minlength=number * episodes).reshape(number, episodes)
        means[first : first + number] = counts.astype(np.float64) @ values / episodes
    return means
