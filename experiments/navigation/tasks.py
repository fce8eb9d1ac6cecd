"""Where agents navigate: in a maze, or in an environment that is known by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from agent.acting.agents import Agent, ShortestPathAgent
from agent.acting.navigate import Result, navigate, navigate_elsewhere
from envs.camera import Camera
from envs.dynamics import ACTIONS, Dynamics
from envs.goal_episodes import GoalEpisodes, GoalTask
from envs.layout import Layout
from experiments.common.trained_runs import TrainedRun, place_of
from world_models.interface import CROP
from world_models.registry import complete


@dataclass(frozen=True)
class MazeTask:
    """Goals are cells of a maze; the ceiling is the shortest path."""

    layout: Layout
    camera: Camera
    pays: ClassVar[int] = 500
    """episodes for which a process of their own pays"""

    @property
    def name(self) -> str:
        """The layout's."""
        return self.layout.name

    @property
    def facts(self) -> dict[str, Any]:
        """What a summary says of it."""
        return {"layout": self.layout.name, "life_steps": Dynamics.of(self.layout).life_steps}

    @property
    def settings(self) -> dict[str, Any]:
        """What determines its episodes, by the command line's names."""
        camera = {f"--camera.{name}": value for name, value in asdict(self.camera).items()}
        return {"--layout": self.layout.name} | camera

    @property
    def shapes(self) -> dict[str, Any]:
        """What a model that acts in it must have learned from."""
        return {"frame_size": self.camera.size, "actions": ACTIONS, "goal": CROP}

    @property
    def ceiling(self) -> tuple[Agent | None, ...]:
        """Its best agent."""
        return (ShortestPathAgent(self.layout),)

    def navigate(self, agent: Agent | None, seeds: Sequence[int], batch: int) -> Result:
        """See `agent.acting.navigate.navigate`, recorded."""
        assert agent is not None
        return navigate(agent, self.layout, seeds, self.camera, batch, record=True)

    def differs(self, run: TrainedRun) -> bool:
        """Whether a run was trained elsewhere."""
        return run.training.get("rows") != list(self.layout.rows)


@dataclass(frozen=True)
class EnvironmentTask:
    """Goals are those of an environment that is known by its id; the ceiling is what it names, if it does."""

    goals: GoalTask
    actions: int
    goal: tuple[int, ...]
    """shape of a goal"""
    names_paths: bool
    """whether it names its shortest paths"""
    pays: ClassVar[int] = 50
    """episodes for which a process of their own pays"""

    @classmethod
    def of(cls, goals: GoalTask) -> EnvironmentTask:
        """The task in an environment, of which one episode is begun; raises as `GoalEpisodes`."""
        probe = GoalEpisodes(goals, [0])
        goal, mask = probe.observation()["desired_goal"], probe.info()["action_mask"]
        probe.close()
        return cls(goals, mask.shape[1], goal.shape[1:], bool(probe.shortest_path[0]))

    @property
    def name(self) -> str:
        """The environment's id."""
        return self.goals.environment.env

    @property
    def facts(self) -> dict[str, Any]:
        """What a summary says of it."""
        return {"environment": self.settings, "life_steps": self.goals.max_steps}

    @property
    def settings(self) -> dict[str, Any]:
        """What determines its episodes, by the command line's names."""
        environment = self.goals.environment
        limits = {"--life-steps": self.goals.max_steps, "--goal-walk": self.goals.walk}
        return environment.settings | {"--camera.size": environment.size} | limits

    @property
    def shapes(self) -> dict[str, Any]:
        """What a model that acts in it must have learned from."""
        return {"frame_size": self.goals.environment.size, "actions": self.actions, "goal": self.goal}

    @property
    def ceiling(self) -> tuple[Agent | None, ...]:
        """None, who does not act, where the environment names its shortest paths; nobody where it does not."""
        return (None,) if self.names_paths else ()

    def navigate(self, agent: Agent | None, seeds: Sequence[int], batch: int) -> Result:
        """See `agent.acting.navigate.navigate_elsewhere`; without an agent, the shortest paths that are named."""
        if agent is not None:
            return navigate_elsewhere(agent, self.goals, seeds, batch)
        episodes = GoalEpisodes(self.goals, seeds)
        episodes.close()
        first, way, zero = episodes.observation(), episodes.shortest_path, np.zeros(len(seeds), np.int64)
        if not way.all():
            raise ValueError(
                f"{self.goals.environment.env} names its shortest path in some episodes, but not with seed "
                f"{seeds[int(way.argmin())]}: shortest_path must be in the information of every reset"
            )
        steps, success = way.clip(max=episodes.max_steps), way <= episodes.max_steps
        result = {"seed": np.asarray(seeds), "steps": steps, "reward": success * (episodes.max_steps - steps)}
        result |= {"success": success, "shortest_path": way, "decisions": zero, "transitions": zero}
        result |= {"planning_seconds": np.zeros(len(seeds)), "start": first["observation"]}
        return result | {"end": first["observation"], "goal": first["desired_goal"]}

    def differs(self, run: TrainedRun) -> bool:
        """Whether a run was trained elsewhere."""
        return run.training.get("environment") != self.goals.environment.settings


Task = MazeTask | EnvironmentTask


def check_fits(run: TrainedRun, task: Task) -> None:
    """Check that a run's model can act in a task.

    Raises:
        ValueError: if its frames, actions or goals have other sizes.
    """
    config, wanted = complete(run.training["model"], run.training["config"]), task.shapes
    where, here = place_of(run.training), place_of(task.facts)
    if (size := config["frame_size"]) != wanted["frame_size"]:
        raise ValueError(
            f"{run.name} was trained on frames of {size} pixels, got {wanted['frame_size']}: use --camera.size {size}"
        )
    for name, what in (("actions", "actions"), ("goal", "goals of shape")):
        found, needed = (tuple(each) if name == "goal" else each for each in (config[name], wanted[name]))
        if found != needed:
            raise ValueError(
                f"{run.name} was trained on {where} with {what} {found}, {here} has {what} {needed}: give runs that "
                "were trained on the same environment"
            )
