"""`jumpy speed plan`: how long decisions and a whole benchmark take.

The time of a decision does not depend on the weights, so its model is untrained; a benchmark needs a trained one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro

from agent.system.device import choose_device
from agent.system.threads import threads
from experiments.common.hardware import about, foreign_load
from experiments.common.json_files import write_shared_json
from experiments.common.numbers import print_numbers
from experiments.figures.measured import benchmark_and_plot
from experiments.navigation.benchmark import BenchmarkConfig
from experiments.navigation.planning import PlannerOption, planner_facts
from planners.interface import ModelFunctions, Planner
from planners.tree import TreeSearch
from world_models.interface import ACTIONS
from world_models.registry import build_model

BATCHES = (1, 64)
DEVELOPMENT = 100_000
"""first seed that no report uses"""


@dataclass(frozen=True)
class SpeedPlanConfig:
    """Measure planning with every action counted as legal."""

    model: str = "hrssm"
    """world model"""
    preset: str = "quick"
    """its sizes"""
    planner: tyro.conf.OmitArgPrefixes[tyro.conf.OmitSubcommandPrefixes[PlannerOption]] = field(
        default_factory=lambda: TreeSearch(depth=5)
    )
    """the planner: one word, which may be followed by its options, as in 'tree --depth 5'"""
    repeats: int = 20
    """decisions measured, after two warm-up decisions; medians are reported"""
    device: str = "auto"
    """auto, cpu or cuda"""
    run: str | None = None
    """trained run, or shipped weights as in `jumpy benchmark`, whose benchmark on development seeds is timed; without
    one it is not measured"""
    episodes: int = 5000
    """episodes of the benchmark"""
    json: Path | None = None
    """write the numbers to this file too"""


def speed_plan(config: SpeedPlanConfig) -> None:
    """Print, and write if asked, milliseconds per call for one episode and for a batch of 64, and a benchmark's time.

    One episode is planned on one thread, which is faster than two for so small a batch.

    Raises:
        ValueError: for an unknown model, preset or device, or no repeats.
    """
    if config.repeats < 1:
        raise ValueError(f"--repeats must be at least 1, got {config.repeats}")
    device = choose_device(config.device)
    model: Any = build_model(config.model, config.preset, "ours", 32).to(device).eval()
    result: dict[str, Any] = {}
    for batch in BATCHES:
        foreign = foreign_load()
        with threads(1 if batch == 1 else torch.get_num_threads()):
            seconds, spent = median_decision(model, batch, config.planner, config.repeats, device)
        result |= {f"decision_batch{batch}_ms": 1000 * seconds, "foreign_load": foreign()}
    result["transitions_per_s"] = spent / seconds
    result[f"benchmark_{config.episodes}_s"] = None if config.run is None else _benchmark_seconds(config)
    result |= {"model": config.model, "preset": config.preset, "planner": planner_facts(config.planner)}
    print_numbers(result)
    if config.json is not None:
        write_shared_json(config.json, result | {"about": about(device)})


def _benchmark_seconds(config: SpeedPlanConfig) -> float:
    """Seconds of `jumpy benchmark` with one trained run, including floor, ceiling and figures."""
    with tempfile.TemporaryDirectory() as folder:
        out, agents = Path(folder) / "benchmark", (f"{config.model}={config.run}",)
        since = time.perf_counter()
        benchmark_and_plot(BenchmarkConfig(out, agents, config.episodes, first_seed=DEVELOPMENT, device=config.device))
        return time.perf_counter() - since


@torch.inference_mode()
def median_decision(model: Any, batch: int, planner: Planner, repeats: int, device: torch.device) -> tuple[float, int]:
    """Seconds per call of the planner for a batch of random contexts, and the transitions that it spends."""
    torch.manual_seed(0)
    size, context = model.config.frame_size, model.context
    x = torch.rand(batch, context, 3, size, size, device=device) * 2 - 1
    a = torch.randint(ACTIONS, (batch, context - 1), device=device)
    state = model.observe(x, a, torch.full((batch,), context, device=device))
    goal = model.goal_feature(torch.rand(batch, 3, 3, 3, device=device) * 2 - 1)
    every = partial(torch.ones, dtype=torch.bool, device=device)
    functions = replace(ModelFunctions.of(model), legal=lambda state: every(len(state[0]), ACTIONS))
    root, generator = every(batch, ACTIONS), torch.Generator().manual_seed(0)
    seconds, spent = [], 0
    for _ in range(repeats + 2):
        since = time.perf_counter()
        plan = planner.plan(functions, state, goal, root, generator)
        spent = int(plan.transitions.sum())  # waits for a GPU
        seconds.append(time.perf_counter() - since)
    return statistics.median(seconds[2:]), spent
