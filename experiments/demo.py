"""`jumpy demo`: the whole job at a small size, from collecting data to the figures."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.data.collect import CollectConfig, collect
from agent.system.threads import threads
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT
from agent.training.train import train
from experiments.common.command_line import arguments
from experiments.common.stage_timer import Stages, check_reached
from experiments.figures.registry import PLOTS
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.planning import PlannerChoice, Standard

REPORT = "demo.json"
STAGES = ("collect", "train", "benchmark")


@dataclass(frozen=True)
class DemoConfig:
    """Collect data, train both world models, benchmark them, draw the figures.

    A demo that was cut off goes on where it stopped.
    """

    out: Path = Path("runs/demo")
    """Folder of the data set, the runs and the benchmark."""
    frames: int = 200_000
    """Frames to collect."""
    hrssm_steps: int = 1000
    """Training steps of HRSSM; fewer than the quick preset's, in about the time that RSSM takes."""
    rssm_steps: int | None = None
    """Training steps of RSSM; default: the quick preset's."""
    episodes: int = 500
    """Benchmark episodes."""
    planner: PlannerChoice = field(default_factory=Standard)
    """How trained agents plan: one word, which may be followed by its options, as in 'tree --depth 5'."""
    seed: int = 0
    """Of the data and of the models' weights."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    overwrite: bool = False
    """Begin anew where the folder holds a demo already."""


def demo(config: DemoConfig) -> dict[str, Any]:
    """Run all stages; each reuses what it finished before.

    Returns:
        The benchmark's summary.

    Raises:
        ValueError: if the folder holds a demo of other options.
        KeyboardInterrupt: if a training was stopped; its run is saved.
    """
    out, data = config.out, config.out / "data"
    out.mkdir(parents=True, exist_ok=True)
    if config.overwrite:
        (out / REPORT).unlink(missing_ok=True)
    stages = Stages(out / REPORT, STAGES)
    with stages.run("collect", "random navigation"):
        collect(CollectConfig(out=data, steps=config.frames, seed=config.seed, overwrite=config.overwrite))
    with stages.run("train", "both world models"):
        _train(config, data)
    with stages.run("benchmark", "both models at equal budget, the floor and the ceiling"):
        summary = benchmark(
            BenchmarkConfig(
                out=out / "benchmark",
                agents=("random", f"hrssm={out / 'hrssm'}", f"rssm={out / 'rssm'}", "shortest-path"),
                episodes=config.episodes,
                planner=config.planner,
                device=config.device,
                overwrite=config.overwrite,
            )
        )
    _report(out, stages)
    return summary


def _train(config: DemoConfig, data: Path) -> None:
    """Train both models side by side, a core each, to their last steps, from where they stopped."""
    beside, log = _training(config, data, "rssm", config.rssm_steps), config.out / "rssm.log"
    print(f"rssm trains beside hrssm, its messages go to {log}", flush=True)
    # two processes of one thread are faster than two threads, one model after the other
    with threads(1), log.open("wb") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.cli", "train", *arguments(beside)],
            stdout=messages,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        try:
            train(_training(config, data, "hrssm", config.hrssm_steps))
            check_reached(config.out / "hrssm")
        except BaseException:
            process.terminate()  # it saves first
            raise
        finally:
            status = process.wait()
    if status:
        raise ValueError(f"training rssm failed: {log.read_text().splitlines()[-1]}")
    check_reached(beside.out)


def _training(config: DemoConfig, data: Path, model: Literal["hrssm", "rssm"], steps: int | None) -> TrainConfig:
    """How a model is trained."""
    run = config.out / model
    return TrainConfig(
        data=data,
        out=run,
        model=model,
        preset="quick",
        variant="ours",
        steps=steps,
        seed=config.seed,
        device=config.device,
        resume=(run / CHECKPOINT).exists() and not config.overwrite,
        overwrite=config.overwrite,
    )


def _report(out: Path, stages: Stages) -> None:
    """Say how long it took and where the figures are."""
    minutes = stages.read()["minutes"]
    print("\n" + ", ".join(f"{name} {minutes[name]:.1f} min" for name in (*STAGES, "total")))
    figures = [out / "benchmark" / f"{name}.png" for name in PLOTS]
    print(f"figures: {', '.join(str(path) for path in figures if path.exists())}")
