"""The agents on the page: the floor, the ceiling, and trained runs, which may change or vanish while they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.acting.agents import Agent, WorldModelAgent
from agent.training.runs import CHECKPOINT
from envs.camera import Camera
from envs.layout import Layout
from experiments.common.pretrained import find_run
from experiments.common.trained_runs import load_trained, place_of
from experiments.figures.style import GREY, label_colours, label_name
from experiments.navigation.agents import BenchmarkAgent, load_agents, load_runs
from experiments.navigation.imagining import Imaginer
from experiments.navigation.planning import Standard
from experiments.navigation.tasks import MazeTask
from planners.interface import Planner
from planners.registry import PLANNERS
from world_models.interface import Plannable

UNTRAINED = (("random", GREY), ("shortest path", "#e69f00"))
"""names and colours of the floor and the ceiling"""
MOST_TRANSITIONS = 30_000
"""budget of a decision on the page: more would keep the others waiting for seconds"""


class Gone(ValueError):
    """A run that was shown cannot be read any more."""


@dataclass
class ShownAgent:
    """An agent on the page."""

    name: str
    display: str
    colour: str
    agent: Agent
    facts: dict[str, Any]
    imaginer: Imaginer | None = None
    """None of an agent without a model"""
    planner: Planner | None = None
    file: Path | None = None
    read: tuple[int, int] | None = None
    """time and size of the checkpoint that was read"""

    def fresh(self, layout: Layout, device: torch.device) -> ShownAgent:
        """Itself, with its run read again if that was trained further.

        Raises:
            Gone: if the run was deleted, or is damaged.
        """
        if self.file is None:
            return self
        try:
            now = _stamp(self.file)
            if now != self.read:
                run = load_trained(self.file, device=device, data="maze")
                self.imaginer = Imaginer(run.able(Plannable), layout)
                self.read = now
        except (OSError, ValueError) as error:
            self.read = None
            raise Gone(
                f"the run of {self.name}, {self.file}, cannot be read any more ({type(error).__name__}): put it "
                "back, or go on with the other agents"
            ) from error
        return self


def show_agents(
    sources: Sequence[str], layout: str | None, camera: Camera, device: torch.device
) -> tuple[Layout, list[ShownAgent]]:
    """Load the agents of a page, the floor and the ceiling last; without a layout, in the maze of the first run.

    Raises:
        ValueError: as `load_agents`, or if a run was trained in another maze.
    """
    maze = Layout.parse(layout) if layout else _layout_of(sources)
    runs = load_runs(sources, device)
    if elsewhere := [run for run in runs.values() if "layout" not in run.training]:
        raise ValueError(
            f"{elsewhere[0].name} was trained on {place_of(elsewhere[0].training)}, the page shows only mazes: see its "
            "benchmark with 'jumpy report'"
        )
    loaded = load_agents(runs, Standard(), (), MazeTask(maze, camera))
    for each in loaded:
        if "warning" in each.facts:
            raise ValueError(
                f"{each.facts['run']} was trained in the maze {each.facts['trained_on']}, the page shows {maze.name}: "
                f"use --layout {each.facts['trained_on']}, or --agents of one maze"
            )
    trained = [each for each in loaded if each.facts["trained"]]
    colours = label_colours({each.name: each.facts["model"] for each in trained})
    files = dict(source.split("=", 1) for source in sources if "=" in source)
    shown = [_trained(each, colours[each.name], files[each.name], maze) for each in trained]
    untrained = [each for each in loaded if not each.facts["trained"]]
    shown += [
        ShownAgent(each.name, display, colour, each.agent, each.facts)
        for each, (display, colour) in zip(untrained, UNTRAINED, strict=True)
        if each.agent is not None
    ]
    return maze, shown


def _layout_of(sources: Sequence[str]) -> Layout:
    """The maze in which the first run was trained; that of the paper where there is no run."""
    for label, _, run in (source.partition("=") for source in sources):
        if run and "layout" in (training := load_trained(run, label=label).training):
            return Layout(training["layout"], tuple(training["rows"]))
    return Layout.paper()


def _trained(each: BenchmarkAgent, colour: str, source: str, layout: Layout) -> ShownAgent:
    agent = each.agent
    assert isinstance(agent, WorldModelAgent)
    path, _ = find_run(source, each.name)
    file = path / CHECKPOINT if path.is_dir() else path
    display = label_name(each.name, each.facts["model"])
    imaginer = Imaginer(agent.model, layout)
    return ShownAgent(each.name, display, colour, agent, each.facts, imaginer, agent.planner, file, _stamp(file))


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


# ---------------------------------------------------------------- planners that are changed on the page


def planner_options() -> dict[str, list[dict[str, Any]]]:
    """The numbers and switches of every planner, with their defaults."""
    return {
        kind: [{"name": each.name, "default": each.default} for each in fields(planner)]
        for kind, planner in PLANNERS.items()
    }


def planner_from(kind: Any, options: Any) -> Planner:
    """A planner as the page describes it.

    Raises:
        ValueError: if there is no such planner, an option is unknown or of another type, or it may spend too much.
    """
    if not isinstance(kind, str) or kind not in PLANNERS:
        raise ValueError(f"unknown planner {kind!r}: use one of {', '.join(PLANNERS)}")
    known: dict[str, Any] = {each.name: each.default for each in fields(PLANNERS[kind])}
    if not isinstance(options, dict) or not set(options) <= set(known):
        raise ValueError(f"{kind} has the options {', '.join(known)}, got {options!r}")
    for name, value in options.items():
        wanted = type(known[name])
        if wanted is float and type(value) is int:
            options = options | {name: float(value)}
        elif type(value) is not wanted or not np.isfinite(value):
            raise ValueError(f"{kind}'s {name} must be a {wanted.__name__}, got {value!r}")
    planner = PLANNERS[kind](**options)
    if planner.budget > MOST_TRANSITIONS:
        raise ValueError(
            f"on the page a decision may spend {MOST_TRANSITIONS} model transitions, got {planner.budget}: choose a "
            "smaller depth or budget"
        )
    return planner
