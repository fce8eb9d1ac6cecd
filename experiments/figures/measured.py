"""`jumpy benchmark` and `jumpy unseen`: measure, then plot what was measured."""

from __future__ import annotations

from typing import Any

from experiments.figures.commands import FigureConfig, PlotConfig, figure, plot
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.unseen import NAME, UnseenConfig, unseen


def benchmark_and_plot(config: BenchmarkConfig) -> dict[str, Any]:
    """Run a benchmark and plot its figures into its folder; returns and raises as `benchmark`."""
    return benchmark(config, lambda: plot(PlotConfig(config.out)))


def unseen_and_plot(config: UnseenConfig) -> dict[str, Any]:
    """Measure unseen layouts and plot their curves; returns and raises as `unseen`."""
    facts = unseen(config)
    figure(FigureConfig(NAME, numbers=config.numbers))
    return facts
