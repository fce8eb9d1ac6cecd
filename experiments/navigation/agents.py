"""The agents of a benchmark: floor and ceiling by name, and trained runs with a planner."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from agent.acting.agents import Agent, RandomAgent, ShortestPathAgent, WorldModelAgent
from envs.camera import Camera
from envs.layout import Layout
from experiments.common.trained_runs import TrainedRun, load_trained
from experiments.navigation.planning import Standard, planner_facts, planner_of
from planners.interface import Planner
from planners.registry import PLANNERS
from world_models.interface import Plannable

FLOOR, CEILING = "random", "shortest-path"
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class BenchmarkAgent:
    """An agent and its name in the benchmark."""

    name: str
    agent: Agent
    facts: dict[str, Any]
    """What determines its results apart from the episodes, as JSON: ``trained``, and for trained agents the run, the
    planner, the ``budget`` (of model transitions per decision) and possibly a ``warning``."""


def load_agents(
    sources: Sequence[str],
    planner: Standard | Planner,
    budgets: Sequence[int],
    layout: Layout,
    camera: Camera,
    device: torch.device,
) -> list[BenchmarkAgent]:
    """Load the agents of a benchmark, always with the floor first and the ceiling last.

    Sources are `random`, `shortest-path`, or LABEL=RUN with a run folder or checkpoint of `jumpy train` or with shipped
    weights (`pretrained`, `pretrained/MODEL-VARIANT`). With budgets, each run enters once per budget, as LABEL@BUDGET.

    Raises:
        ValueError: for an unknown name, a duplicate label, a run that is missing, damaged or of another frame size, or
            a budget that is too small for the planner.
    """
    runs: dict[str, TrainedRun] = {}
    for source in sources:
        if source in (FLOOR, CEILING):
            continue
        label, _, run = source.partition("=")
        if not LABEL.fullmatch(label) or not run:
            raise ValueError(
                f"unknown agent {source!r}: use {FLOOR!r}, {CEILING!r} or LABEL=RUN with the folder of a trained run; "
                f"the planner comes last, one of {', '.join((Standard.kind, *PLANNERS))}"
            )
        if label in (*runs, FLOOR, CEILING):
            raise ValueError(f"agent names must differ, got {label!r} twice: choose another LABEL for {run}")
        runs[label] = load_trained(run, device=device, data="maze", label=label)
    trained = [agent for run in runs.values() for agent in _trained(run, planner, budgets, layout, camera)]
    untrained: dict[str, Agent] = {FLOOR: RandomAgent(), CEILING: ShortestPathAgent(layout)}
    floor, ceiling = (BenchmarkAgent(name, agent, {"trained": False}) for name, agent in untrained.items())
    return [floor, *trained, ceiling]


def _trained(
    run: TrainedRun, planner: Standard | Planner, budgets: Sequence[int], layout: Layout, camera: Camera
) -> list[BenchmarkAgent]:
    """A trained run, once per budget."""
    training = run.training
    frame_size = training["config"]["frame_size"]
    if frame_size != camera.size:
        raise ValueError(
            f"{run.name} was trained on frames of {frame_size} pixels, got {camera.size}: "
            f"use --camera.size {frame_size}"
        )
    model = run.able(Plannable)
    facts = {
        "trained": True,
        "label": run.label,
        "run": run.name,
        "checkpoint": run.checkpoint,
        **{name: training[name] for name in ("model", "preset", "variant")},
        "trained_steps": run.step,
        "trained_on": training["layout"],
        "training_seed": training["seed"],
    }
    if training["rows"] != list(layout.rows):
        facts["warning"] = f"trained on layout {training['layout']}, benchmarked on {layout.name}"
    agents = []
    for budget in budgets or (planner.budget,):
        its = planner_of(planner.with_budget(budget) if budgets else planner, training["model"])
        name = f"{run.label}@{budget}" if budgets else run.label
        own = {"planner": planner_facts(its), "budget": budget}
        agents.append(BenchmarkAgent(name, WorldModelAgent(model, its), facts | own))
    return agents
