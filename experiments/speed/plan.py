"""`jumpy speed plan`: how long decisions and a whole benchmark take.

A decision's time does not depend on the weights, so those models are untrained; a benchmark needs a trained one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from agent.system.atomic_files import write_json
from agent.system.device import choose_device
from agent.system.threads import threads
from experiments.common.hardware import about, foreign_load
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from planners.interface import ModelFunctions
from planners.tree import TreeConfig, full_tree, plan_tree
from world_models.interface import ACTIONS
from world_models.registry import build_model

BATCHES = (1, 64)
DEVELOPMENT = 100_000
"""first of the seeds that no report uses"""


@dataclass(frozen=True)
class SpeedPlanConfig:
    """Measure exhaustive planning in which every action counts as legal."""

    model: str = "hrssm"
    """world model"""
    preset: str = "quick"
    """its sizes"""
    depth: int = 5
    """depth of the tree"""
    repeats: int = 20
    """decisions measured, after two for warming up; medians are reported"""
    device: str = "auto"
    """auto, cpu or cuda"""
    run: str | None = None
    """trained run, or shipped weights as in `jumpy benchmark`, with which 5000 episodes of development seeds are timed;
    without one that is not measured"""
    episodes: int = 5000
    """episodes of the benchmark"""
    json: Path | None = None
    """write the numbers to this file too"""


def speed_plan(config: SpeedPlanConfig) -> None:
    """Print, and write if asked, milliseconds a decision for one episode and for a batch of 64, and a benchmark's time.

    One episode is planned on one thread, which is faster than two for so small a batch.

    Raises:
        ValueError: an unknown model, preset or device, or no repeats.
    """
    if config.repeats < 1:
        raise ValueError(f"--repeats must be at least 1, got {config.repeats}")
    device = choose_device(config.device)
    model: Any = build_model(config.model, config.preset, "ours", 32).to(device).eval()
    functions = replace(ModelFunctions.of(model), legal=_all_legal)
    result: dict[str, Any] = {}
    for batch in BATCHES:
        name = f"tree_depth{config.depth}" + (f"_batch{batch}" if batch > 1 else "") + "_ms"
        with threads(1 if batch == 1 else torch.get_num_threads()), foreign_load() as foreign:
            result[name] = 1000 * _median_decision(model, functions, batch, config, device)
            result["foreign_load"] = foreign()
        print(f"depth {config.depth}, {batch:3d} episodes at once: {result[name]:8.2f} ms a call")
    result["transitions_per_s"] = BATCHES[-1] * full_tree(config.depth) / result[name] * 1000
    print(f"{result['transitions_per_s']:,.0f} model transitions a second")
    result[f"benchmark_{config.episodes}_s"] = None if config.run is None else _benchmark_seconds(config)
    if config.run is not None:
        print(f"benchmark of {config.episodes} episodes: {result[f'benchmark_{config.episodes}_s']:.1f} s")
    result |= {"model": config.model, "preset": config.preset}
    if config.json is not None:
        write_json(config.json, result | {"about": about(device)})


def _benchmark_seconds(config: SpeedPlanConfig) -> float:
    """Seconds of `jumpy benchmark` with one trained run, floor, ceiling and figures included."""
    with tempfile.TemporaryDirectory() as folder:
        agents = (f"{config.model}={config.run}",)
        since = time.perf_counter()
        benchmark(
            BenchmarkConfig(
                Path(folder) / "benchmark", agents, config.episodes, first_seed=DEVELOPMENT, device=config.device
            )
        )
        return time.perf_counter() - since


@torch.inference_mode()
def _median_decision(
    model: Any, functions: ModelFunctions, batch: int, config: SpeedPlanConfig, device: torch.device
) -> float:
    """Seconds of one `plan_tree` call over a batch of random contexts."""
    torch.manual_seed(0)
    size = model.config.frame_size
    context = model.config.options.context
    x = torch.rand(batch, context, 3, size, size, device=device) * 2 - 1
    a = torch.randint(ACTIONS, (batch, context - 1), device=device)
    state = model.observe(x, a, torch.full((batch,), context, device=device))
    goal = model.goal_feature(torch.rand(batch, 3, 3, 3, device=device) * 2 - 1)
    root = torch.ones(batch, ACTIONS, dtype=torch.bool, device=device)
    seconds = []
    for _ in range(config.repeats + 2):
        since = time.perf_counter()
        float(plan_tree(functions, state, goal, root, TreeConfig(config.depth)).score.sum())  # waits for a GPU
        seconds.append(time.perf_counter() - since)
    return statistics.median(seconds[2:])


def _all_legal(state: Any) -> torch.Tensor:
    return torch.ones(len(state[0]), ACTIONS, dtype=torch.bool, device=state[0].device)
