"""Who takes part in a benchmark: agents by their names, or trained runs with a planner."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from agent.acting.navigate import Agent, RandomAgent, ShortestPathAgent, WorldModelAgent
from envs.camera import Camera
from envs.layout import Layout
from experiments.common.trained_runs import TrainedRun, load_trained
from planners.plan import PlanConfig
from planners.shooting import ShootingConfig
from planners.tree import TreeConfig, full_tree

FLOOR, CEILING = "random", "shortest-path"
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class PlannerOptions:
    """How trained agents plan."""

    planner: Literal["auto", "tree", "shooting"] = "auto"
    """tree: exhaustive search; shooting: random trajectories with the budget of a full tree, 3 + 9 + … + 3^depth model
    transitions a decision; auto: shooting for rssm, whose transitions are single steps, tree for all others"""
    depth: tuple[int, ...] = (TreeConfig.depth,)
    """Transitions of the longest trajectory of a tree. Several depths: each run enters once a depth, as LABEL@DEPTH."""
    horizon: int = ShootingConfig.horizon
    """Transitions of each trajectory of shooting."""
    epsilon: float = TreeConfig.epsilon
    """Cosines within this of the best count as equal; the earliest arrival wins."""

    def __post_init__(self) -> None:
        """Refuse no depth and a depth twice; the planners check the rest."""
        if not self.depth or len(set(self.depth)) != len(self.depth) or min(self.depth) < 1:
            raise ValueError(f"--depth needs one or more different numbers from 1 up, got {list(self.depth)}")

    def config(self, model: str, depth: int) -> PlanConfig:
        """The planner of a model (its name) at a depth."""
        if self.planner == "shooting" or (self.planner == "auto" and model == "rssm"):
            return ShootingConfig(self.horizon, full_tree(depth), self.epsilon)
        return TreeConfig(depth, self.epsilon)


@dataclass(frozen=True)
class Competitor:
    """An agent under its name in the benchmark."""

    name: str
    agent: Agent
    facts: dict[str, Any] = field(default_factory=dict)
    """what decides its results beside the episodes, as JSON: run, checkpoint, what it was trained on, planner"""


def enter(
    sources: Sequence[str], planning: PlannerOptions, layout: Layout, camera: Camera, device: torch.device
) -> list[Competitor]:
    """The agents of a benchmark, floor first and ceiling last, whether named or not.

    Args:
        sources: `random`, `shortest-path`, or LABEL=RUN with a run folder or checkpoint of `jumpy train`, or with
            shipped weights (`pretrained`, `pretrained/MODEL-VARIANT`).
        planning: how trained agents plan.
        layout: the maze of the benchmark.
        camera: what trained agents look through.
        device: where their models run.

    Raises:
        ValueError: for an unknown name, a label twice, or a run that is missing, damaged or of another frame size.
    """
    runs: dict[str, TrainedRun] = {}
    for source in sources:
        if source in (FLOOR, CEILING):
            continue
        label, _, run = source.partition("=")
        if not LABEL.fullmatch(label) or not run:
            raise ValueError(
                f"unknown agent {source!r}: use {FLOOR!r}, {CEILING!r} or LABEL=RUN with the folder of a trained run"
            )
        if label in (*runs, FLOOR, CEILING):
            raise ValueError(f"agent names must differ, got {label!r} twice: choose another LABEL for {run}")
        runs[label] = load_trained(run, device=device, data="maze", label=label)
    trained = [entry for run in runs.values() for entry in _trained(run, planning, layout, camera)]
    return [Competitor(FLOOR, RandomAgent()), *trained, Competitor(CEILING, ShortestPathAgent(layout))]


def _trained(run: TrainedRun, planning: PlannerOptions, layout: Layout, camera: Camera) -> list[Competitor]:
    """A trained run, once for each depth."""
    training = run.training
    frame_size = training["config"]["frame_size"]
    if frame_size != camera.size:
        raise ValueError(
            f"{run.name} was trained on frames of {frame_size} pixels, asked for are {camera.size}: "
            f"use --camera.size {frame_size}"
        )
    facts = {
        "trained": True,
        "label": run.label,
        "run": run.name,
        "checkpoint": run.checkpoint,
        "model": training["model"],
        "preset": training["preset"],
        "training_seed": training["seed"],
    }
    facts |= {"variant": training["variant"], "trained_steps": run.step, "trained_on": training["layout"]}
    if training["rows"] != list(layout.rows):
        facts["warning"] = f"trained on layout {training['layout']}, benchmarked on {layout.name}"
    entries = []
    for depth in planning.depth:
        config = planning.config(training["model"], depth)
        kind = "tree" if isinstance(config, TreeConfig) else "shooting"
        name = run.label if len(planning.depth) == 1 else f"{run.label}@{depth}"
        planner = {"depth": depth, "budget": full_tree(depth), "planner": {"kind": kind, **asdict(config)}}
        entries.append(Competitor(name, WorldModelAgent(run.model, config), facts | planner))
    return entries
