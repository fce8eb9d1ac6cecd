"""`jumpy demo`: the whole job at a small size, from collecting data to the figures."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.data.collect import CollectConfig, collect
from agent.system.atomic_files import locked
from agent.system.children import python
from agent.system.signals import Interrupted
from agent.system.threads import threads
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT
from agent.training.train import train
from experiments.common.command_line import arguments
from experiments.common.stage_timer import Stages
from experiments.figures.measured import benchmark_and_plot
from experiments.figures.registry import PLOTS
from experiments.navigation.benchmark import BenchmarkConfig
from experiments.navigation.planning import PlannerChoice, Standard
from experiments.report.command import ReportConfig, report

REPORT = "demo.json"
STAGES = ("collect", "train", "benchmark")
COMMAND = "from experiments.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class DemoConfig:
    """Collect data, train both world models, benchmark them, plot the figures, write the report.

    An interrupted demo resumes where it stopped.
    """

    out: Path = Path("runs/demo")
    """Folder of the data set, the runs and the benchmark."""
    frames: int = 200_000
    """Frames to collect."""
    hrssm_steps: int = 1000
    """Training steps of HRSSM; fewer than the quick preset's, for about the training time of RSSM."""
    rssm_steps: int | None = None
    """Training steps of RSSM; default: the quick preset's."""
    episodes: int = 500
    """Benchmark episodes."""
    planner: PlannerChoice = field(default_factory=Standard)
    """How trained agents plan: one word, optionally with its options, as in 'tree --depth 5'."""
    seed: int = 0
    """Seed of the data and of the models' weights."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    overwrite: bool = False
    """Replace a demo that is already there."""


def demo(config: DemoConfig) -> dict[str, Any]:
    """Run all stages, each of which reuses its finished work, and return the benchmark's summary.

    Raises:
        ValueError: if the folder holds a demo with other options, or another process writes to it.
        KeyboardInterrupt: if a training was stopped; its run is saved.
    """
    with locked(config.out):
        return _run(config)


def _run(config: DemoConfig) -> dict[str, Any]:
    """Run all stages."""
    out = config.out
    if config.overwrite:
        (out / REPORT).unlink(missing_ok=True)
    stages = Stages(out / REPORT, STAGES)
    with stages.run("collect", "random navigation"):
        collect(CollectConfig(out / "data", steps=config.frames, seed=config.seed, overwrite=config.overwrite))
    with stages.run("train", "both world models"):
        _train(config)
    with stages.run("benchmark", "both models at equal budgets, floor and ceiling"):
        agents = (f"hrssm={out / 'hrssm'}", f"rssm={out / 'rssm'}")
        options: dict[str, Any] = {"device": config.device, "overwrite": config.overwrite}
        summary = benchmark_and_plot(
            BenchmarkConfig(out / "benchmark", agents, config.episodes, config.planner, **options)
        )
    minutes = stages.read()["minutes"]
    print("\n" + ", ".join(f"{name} {minutes[name]:.1f} min" for name in (*STAGES, "total")))
    figures = [out / "benchmark" / f"{name}.png" for name in PLOTS]
    print(f"figures: {', '.join(str(path) for path in figures if path.exists())}")
    report(ReportConfig((out / "benchmark",)))
    return summary


def _train(config: DemoConfig) -> None:
    """Train both models in parallel, one core each, to their last steps, from where they stopped."""
    other, log = _training(config, "rssm", config.rssm_steps), config.out / "rssm.log"
    print(f"rssm trains in parallel with hrssm and logs to {log}", flush=True)
    # two processes of one thread are faster than two threads, one model after the other
    with threads(1), log.open("wb") as messages:
        process = subprocess.Popen(
            python(COMMAND, "train", *arguments(other)),
            stdout=messages,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        try:
            train(_training(config, "hrssm", config.hrssm_steps))
            status = process.wait()
        except BaseException:
            process.terminate()  # it saves first
            process.wait()
            raise
        finally:
            process.kill()  # in case a second signal ended the wait
    if status < 0:
        raise OSError("training rssm was killed, perhaps for lack of memory: repeat the command to resume")
    if status > 128:
        raise Interrupted(status - 128)
    if status:
        raise ValueError(f"training rssm failed: {(log.read_text().splitlines() or ['it left no message'])[-1]}")


def _training(config: DemoConfig, model: str, steps: int | None) -> TrainConfig:
    """How a model is trained."""
    data, run = config.out / "data", config.out / model
    resume = (run / CHECKPOINT).exists() and not config.overwrite
    options: dict[str, Any] = {"seed": config.seed, "device": config.device, "overwrite": config.overwrite}
    return TrainConfig(data, run, model, "quick", "ours", steps=steps, resume=resume, **options)
