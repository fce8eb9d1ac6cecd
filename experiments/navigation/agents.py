"""The agents of a benchmark: floor and ceiling by name, and trained runs with a planner."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from agent.acting.agents import Agent, RandomAgent, WorldModelAgent
from experiments.common.trained_runs import TrainedRun, load_trained, place_of
from experiments.navigation.planning import Standard, planner_facts, planner_within
from experiments.navigation.tasks import Task, check_fits
from planners.interface import Planner
from planners.registry import PLANNERS
from world_models.interface import Plannable

FLOOR, CEILING = "random", "shortest-path"
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class BenchmarkAgent:
    """An agent and its name in the benchmark."""

    name: str
    agent: Agent | None
    """None: nobody acts, the environment names its shortest paths"""
    facts: dict[str, Any]
    """What determines its results apart from the episodes, as JSON: ``trained``, and for trained agents the run, the
    planner, the ``budget`` (of model transitions per decision) and possibly a ``warning``."""


def load_runs(sources: Sequence[str], device: torch.device) -> dict[str, TrainedRun]:
    """The trained runs among the agents of a benchmark, by label.

    Sources are `random`, `shortest-path`, or LABEL=RUN with a run folder or checkpoint of `jumpy train` or with shipped
    weights (`pretrained`, `pretrained/MODEL-VARIANT`).

    Raises:
        ValueError: for an unknown name, a duplicate label, or a run that is missing, damaged or of videos.
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
        runs[label] = load_trained(run, device=device, data="acting", label=label)
    return runs


def load_agents(
    runs: Mapping[str, TrainedRun], planner: Standard | Planner, budgets: Sequence[int], task: Task
) -> list[BenchmarkAgent]:
    """The agents of a benchmark, always with the floor first, and last the ceiling where it is known.

    With budgets, each run enters once per budget, as LABEL@BUDGET.

    Raises:
        ValueError: for a run whose model does not fit the task, or a budget that is too small for the planner.
    """
    trained = [agent for run in runs.values() for agent in _trained(run, planner, budgets, task)]
    floor = BenchmarkAgent(FLOOR, RandomAgent(), {"trained": False})
    ceiling = [BenchmarkAgent(CEILING, agent, {"trained": False}) for agent in task.ceiling]
    return [floor, *trained, *ceiling]


def _trained(run: TrainedRun, planner: Standard | Planner, budgets: Sequence[int], task: Task) -> list[BenchmarkAgent]:
    """A trained run, once per budget."""
    check_fits(run, task)
    training, model = run.training, run.able(Plannable)
    facts = {
        "trained": True,
        "label": run.label,
        "run": run.name,
        "checkpoint": run.checkpoint,
        **{name: training[name] for name in ("model", "preset", "variant")},
        "trained_steps": run.step,
        "trained_on": training.get("layout") or training["environment"],
        "training_seed": training["seed"],
    }
    if task.differs(run):
        facts["warning"] = f"trained on {place_of(training)}, benchmarked on {task.name}"
    agents = []
    for budget in budgets or (None,):
        its, spends = planner_within(planner, training["model"], budget, task.shapes["actions"])
        name = f"{run.label}@{budget}" if budgets else run.label
        own = {"planner": planner_facts(its), "budget": spends}
        agents.append(BenchmarkAgent(name, WorldModelAgent(model, its), facts | own))
    return agents
