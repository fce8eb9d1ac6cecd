"""The command `jumpy`: finds the configuration and function of a subcommand, and turns errors into one line."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

from agent.system.cpu_tuning import tune_cpu
from agent.system.memory import is_out_of_memory
from agent.system.signals import exit_status, interrupt_on_signal
from agent.system.torchrun import end_quietly, speaks
from experiments.common.command_line import parse


class Command(NamedTuple):
    """Where a subcommand lives. Modules are imported only when their subcommand runs, which keeps help fast."""

    module: str
    config: str
    """a dataclass; or a dictionary from the names that may follow to their configuration and help"""
    function: str
    summary: str


COMMANDS = {
    "collect": Command("agent.data.collect", "CollectConfig", "collect", "random navigation into a data set"),
    "videos": Command("agent.data.make_videos", "VIDEOS", "make_videos", "videos with known change points"),
    "import": Command("agent.data.imports", "IMPORTS", "import_data", "published videos; data sets of Minari"),
    "train": Command("agent.training.train", "TrainConfig", "train", "a world model on a data set"),
    "runs": Command("experiments.runs", "RunsConfig", "runs", "the next piece of a list of long trainings"),
    "sweep": Command("experiments.sweep", "SweepConfig", "sweep", "trainings with other options, in one table"),
    "benchmark": Command(
        "experiments.figures.measured", "BenchmarkConfig", "benchmark_and_plot", "a comparison of agents"
    ),
    "navigation": Command("experiments.navigation.navigation", "NavigationConfig", "navigation", "runs versus targets"),
    "unseen": Command("experiments.figures.measured", "UnseenConfig", "unseen_and_plot", "new mazes, from nothing"),
    "view": Command("experiments.view.command", "ViewConfig", "view", "a page on which one sees agents imagine"),
    "plot": Command("experiments.figures.commands", "PlotConfig", "plot", "the figures of a benchmark"),
    "report": Command("experiments.report.command", "ReportConfig", "report", "a benchmark as one HTML file"),
    "figure": Command("experiments.figures.commands", "FigureConfig", "figure", "the results, from their numbers"),
    "predict": Command("experiments.video.predict", "PredictConfig", "predict", "test videos, open loop, best of many"),
    "table": Command("experiments.figures.commands", "TableConfig", "table", "our results and the published ones"),
    "inspect": Command("experiments.inspect", "InspectConfig", "inspect", "what a folder or file of ours is"),
    "ship": Command("experiments.common.publish_weights", "ShipConfig", "ship", "weights of a finished run"),
    "export": Command("experiments.export", "ExportConfig", "export", "data sets and models for other tools"),
    "speed env": Command("experiments.speed.env", "SpeedEnvConfig", "speed_env", "our view against Miniworld"),
    "speed plan": Command("experiments.speed.plan", "SpeedPlanConfig", "speed_plan", "planning decisions"),
    "speed train": Command("experiments.speed.train", "SpeedTrainConfig", "speed_train", "training steps"),
    "speed gpu": Command("experiments.speed.gpu", "SpeedGpuConfig", "speed_gpu", "all of it on a GPU, in ten minutes"),
    "speed demo": Command("experiments.speed.demo", "SpeedDemoConfig", "speed_demo", "the demo's stages"),
    "speed": Command("experiments.speed.table", "SpeedConfig", "speed", "a table of what the four above measured"),
    "demo": Command("experiments.demo", "DemoConfig", "demo", "all of it: data, both models, benchmark, plots"),
}

HELP = (["-h"], ["--help"])
VERSION = (["-V"], ["--version"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `jumpy` with the given arguments (the process's own if None) and return the exit status.

    0 after success; 2 after an error that the user can fix; 1 after a training that diverged; 130 after Ctrl-C, 143
    after SIGTERM, 129 after SIGHUP; 141 when nobody reads the output any more. Errors are one line on stderr.
    """
    tune_cpu()  # before a subcommand imports torch
    _print_anything()
    try:
        with interrupt_on_signal():
            _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
        return 141
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"jumpy: error: not enough memory ({_one_line(error)}): ask for less at once", file=sys.stderr)
        return 2
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"jumpy: error: {_one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2
    except KeyboardInterrupt as stop:
        print("jumpy: interrupted", file=sys.stderr)
        return exit_status(stop)
    return 0


def _print_anything() -> None:
    """Let the output show ? for signs that its encoding lacks: a finished job must not fail while it reports."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _run(arguments: list[str]) -> None:
    """Find the subcommand, read its configuration and call its function."""
    if arguments[:1] in VERSION:
        return print(f"jumpy {version('jumpy-imagination')}")
    if arguments[:1] in (*HELP, ["help"]):
        return print(_help({name: command.summary for name, command in COMMANDS.items()}))
    name, rest = " ".join(arguments[:1]), arguments[1:]
    if name == "speed" and rest and not rest[0].startswith("-"):
        name, rest = " ".join(arguments[:2]), arguments[2:]
    if name not in COMMANDS:
        what = f"unknown command {name!r}" if name else "no command was given"
        raise ValueError(f"{what}: use one of {', '.join(COMMANDS)}, or see jumpy --help")
    command = COMMANDS[name]
    module, about = import_module(command.module), None
    config = getattr(module, command.config)
    if isinstance(config, dict):
        if rest[:1] in HELP:
            return print(_help({f"{name} {choice}": about.split("\n")[0] for choice, (_, about) in config.items()}))
        if not rest or rest[0] not in config:
            what = f"got {rest[0]!r}" if rest else "none was given"
            raise ValueError(f"jumpy {name} needs the name of a data set, {what}: use one of {', '.join(config)}")
        name, (config, about), rest = f"{name} {rest[0]}", config[rest[0]], rest[1:]
    try:
        parsed = parse(config, f"jumpy {name}", rest, about)
    except ValueError:
        if speaks():
            raise
        raise end_quietly(2) from None
    if parsed is not None:
        getattr(module, command.function)(parsed)


def _one_line(error: Exception) -> str:
    """What was wrong, without line breaks."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename} ({error.strerror}): give a path that can be used"
    return " ".join(str(error).split())


def _help(summaries: dict[str, str]) -> str:
    """The overview of subcommands."""
    rows = [f"  jumpy {name:<22} {summary}" for name, summary in summaries.items()]
    return "\n".join(["World models that imagine in jumps. Each command has its own --help.", "", *rows])


if __name__ == "__main__":
    sys.exit(main())
