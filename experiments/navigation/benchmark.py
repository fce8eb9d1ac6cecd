"""`jumpy benchmark`: agents on the same navigation episodes, between a floor and a ceiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agent.acting.agents import Agent, WorldModelAgent
from agent.system.atomic_files import locked, write_json
from agent.system.cores import usable_cores
from agent.system.device import choose_device
from agent.system.pieces import Workers, run_pieces
from agent.system.versions import versions
from envs.camera import Camera
from envs.goal_episodes import GoalTask
from envs.layout import Layout
from envs.named import EnvironmentOptions, NamedEnvironment
from experiments.common.films import encoder
from experiments.common.json_files import FILES, digests
from experiments.common.result_folder import begin_or_resume
from experiments.common.trained_runs import TrainedRun, place_of
from experiments.navigation.agents import BenchmarkAgent, load_agents, load_runs
from experiments.navigation.episode_files import (
    EPISODES,
    PATHS,
    SUMMARY,
    EpisodeFile,
    Rules,
    read_episodes,
    read_paths,
    read_summary,
    write_paths,
    written,
)
from experiments.navigation.film import FILMS_FOLDER, write_films
from experiments.navigation.planning import PlannerChoice, Standard, check_budgets
from experiments.navigation.summary import summarise, summary_table
from experiments.navigation.tasks import EnvironmentTask, MazeTask, Task


@dataclass(frozen=True)
class BenchmarkConfig(EnvironmentOptions, Workers):
    """Run agents on the same episodes, always with the random agent and, where it is known, the shortest path.

    It takes place in the maze; where a run was trained in another environment, in that one, or in that of --env. Goals
    are those of its observations, otherwise what a random walk from the same start sees last. The shortest path is
    known where the environment names it, as `shortest_path` in the information of a reset.

    An interrupted benchmark resumes where it stopped, with the same results.
    """

    out: Path
    """Folder of the results."""
    agents: tuple[str, ...] = ("random", "shortest-path")
    """The agents: random, shortest-path, or LABEL=RUN. RUN is the folder of a trained run, shipped weights as
    pretrained/MODEL-VARIANT, or just pretrained: the `ours` weights of the model LABEL, hrssm, rssm or dlh. A folder
    called pretrained is ./pretrained."""
    episodes: int = 5000
    """Number of episodes."""
    planner: PlannerChoice = field(default_factory=Standard)
    """How trained agents plan: one word, optionally with its options, as in 'tree --depth 5'."""
    budgets: tuple[int, ...] = ()
    """Budgets of the planner in model transitions per decision: each run enters once per budget, as LABEL@BUDGET."""
    layout: str = "paper"
    """The maze: paper, random-SEED, large-SEED, huge-SEED, or the text file of a map."""
    first_seed: int = 0
    """Seed of the first episode. Use 0 to 4999 only for reports, 100000 and above to develop and to choose."""
    camera: Camera = field(default_factory=Camera)
    """Camera of the trained agents; in another environment only its size counts."""
    life_steps: int | None = None
    """Steps of an episode in another environment; default: 100. A maze has its own."""
    goal_walk: int | None = None
    """Steps of the random walk that sees a goal in an environment without goals of its own; default: 60."""
    batch: int = 100
    """Episodes in parallel, and per write."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    video: int = 0
    """Film so many of the first episodes, at most --batch: what each trained agent sees, the map, what it imagines
    (films/AGENT.mp4 and .gif)."""
    overwrite: bool = False
    """Replace a benchmark that is already there."""

    def __post_init__(self) -> None:
        """Validate the numbers."""
        Workers.__post_init__(self)
        EnvironmentOptions.__post_init__(self)
        for name in ("episodes", "batch", "life_steps", "goal_walk"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        if self.first_seed < 0:
            raise ValueError(f"--first-seed must be 0 or more, got {self.first_seed}")
        check_budgets("--budgets", self.budgets)
        if not 0 <= self.video <= min(self.batch, self.episodes):
            most = min(self.batch, self.episodes)
            raise ValueError(f"--video must be from 0 to {most}, the episodes of the first batch, got {self.video}")

    @property
    def seeds(self) -> range:
        """Seeds of the episodes."""
        return range(self.first_seed, self.first_seed + self.episodes)


def benchmark(config: BenchmarkConfig, plot: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Run every agent, print the table, write and return `summary.json`; last call `plot`, still holding the lock.

    Raises:
        ValueError: if an agent, a run or the layout cannot be used, or the folder holds something else.
        OSError: if the folder cannot be written.
    """
    device = choose_device(config.device)
    runs = load_runs(config.agents, device)
    task = _task(config, runs)
    agents = load_agents(runs, config.planner, config.budgets, task)
    products, identity = (SUMMARY, EPISODES, PATHS, FILMS_FOLDER), _identity(config, task, agents, device)
    if config.video:
        encoder()  # which may be missing
    with locked(config.out):
        begin_or_resume(config.out, "benchmark", identity, products, config.overwrite)
        head = {"episodes": config.episodes, "first_seed": config.first_seed} | task.facts
        before = _finished_before(config.out, [agent.name for agent in agents]) or head
        for agent in agents:
            _run(agent, config, task, before)
        summary = _summary(config.out, agents, head, device)
        write_json(config.out / SUMMARY, summary)
        print(summary_table(summary))
        plot()
        for agent in agents if config.video else ():
            _film(agent, config, task)
    return summary


def _task(config: BenchmarkConfig, runs: Mapping[str, TrainedRun]) -> Task:
    """Where the benchmark takes place: as named, or where a run was trained.

    Raises:
        ValueError: if options of the maze and of another environment are mixed, or the environment is unknown.
    """
    environment = config.named(config.camera.size)
    elsewhere = [run for run in runs.values() if "environment" in run.training]
    if environment is None and elsewhere:
        known = elsewhere[0].training["environment"]
        if "--env" not in known:
            raise ValueError(f"{elsewhere[0].name} was trained on {place_of(elsewhere[0].training)}: give its --env")
        environment = NamedEnvironment.of(known, config.camera.size)
    if environment is None:
        if config.life_steps or config.goal_walk:
            raise ValueError("--life-steps and --goal-walk are for another environment: give its --env, or leave them")
        return MazeTask(Layout.parse(config.layout), config.camera)
    if config.layout != "paper" or config.video:
        option = "--layout" if config.layout != "paper" else "--video"
        raise ValueError(f"{option} is for the maze, and this benchmark is in {environment.env}: leave it out")
    goals = GoalTask(environment, config.life_steps or GoalTask.max_steps, config.goal_walk or GoalTask.walk)
    return EnvironmentTask.of(goals)


def _film(agent: BenchmarkAgent, config: BenchmarkConfig, task: Task) -> None:
    """The films of a trained agent's first episodes in a maze, walked again as they were."""
    if isinstance(agent.agent, WorldModelAgent) and isinstance(task, MazeTask):
        (walked,) = _results(agent.agent, config, task, [config.seeds[: config.batch]])
        first = {name: array[: config.video] for name, array in walked.items()}
        write_films(config.out / FILMS_FOLDER, agent.name, agent.agent, task.layout, task.camera, first)


def _summary(out: Path, agents: list[BenchmarkAgent], head: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The numbers of the finished episodes, and the SHA-256 of the files behind them."""
    episodes = {agent.name: read_episodes(out, agent.name, head) for agent in agents}
    numbers = summarise(episodes, {agent.name: agent.facts for agent in agents})
    files = {FILES: digests(out, written(list(episodes)))}
    return head | {"device": str(device)} | numbers | {"versions": versions()} | files


def _finished_before(out: Path, agents: Sequence[str]) -> dict[str, Any] | None:
    """The summary of a benchmark that was finished before, with its episodes checked; None if it has to be made."""
    try:
        summary = read_summary(out)
    except ValueError:
        return None
    if not all((out / EPISODES / f"{name}.csv").exists() for name in agents):
        (out / SUMMARY).unlink()  # the episodes that were lost take other times
        return None
    for name in agents:
        read_episodes(out, name, summary)
    return summary


def _run(agent: BenchmarkAgent, config: BenchmarkConfig, task: Task, before: dict[str, Any]) -> None:
    """Run the remaining episodes of an agent, batch by batch, and the first batch if its paths were lost."""
    name = agent.name
    for folder in (EPISODES, PATHS):
        (config.out / folder).mkdir(exist_ok=True)
    path = config.out / EPISODES / f"{name}.csv"
    file = EpisodeFile(path, name, config.seeds, config.batch, Rules.of(before))
    if file.finished:
        try:
            read_paths(config.out, name, before)
        except ValueError:
            (first,) = _results(agent.agent, config, task, [config.seeds[: config.batch]])
            write_paths(config.out / PATHS / f"{name}.npz", first)
    with tqdm(initial=file.finished, total=config.episodes, desc=name, unit=" episodes") as progress:
        batches = file.remaining
        for seeds, result in zip(batches, _results(agent.agent, config, task, batches), strict=True):
            if not file.finished:
                write_paths(config.out / PATHS / f"{name}.npz", result)
            file.append(result)
            progress.update(len(seeds))


def _results(
    agent: Agent | None, config: BenchmarkConfig, task: Task, batches: Sequence[Sequence[int]]
) -> Iterator[dict[str, np.ndarray]]:
    """Run batches of episodes, given by their seeds, and yield the results in the same order.

    Every process uses one thread, whatever their number: small decisions are faster so, and rounding depends on it.
    There are as many processes as cores, but not more than pay, since each takes seconds to start; in the maze, agents
    that look at nothing need no longer than that, and stay in this process.
    """
    run = partial(task.navigate, agent, batch=config.batch)
    looks = agent is not None and agent.looks
    if isinstance(task, MazeTask) and not looks:
        return map(run, batches)
    gpu = looks and choose_device(config.device).type == "cuda"
    default = 1 if gpu else min(usable_cores(), max(1, sum(map(len, batches)) // task.pays))
    return run_pieces(run, batches, config, default, gpu=gpu)


def _identity(
    config: BenchmarkConfig, task: Task, agents: list[BenchmarkAgent], device: torch.device
) -> dict[str, Any]:
    """What determines the results, by option name where there is one."""
    settings: dict[str, Any] = {"--episodes": config.episodes} | task.settings
    settings |= {"--first-seed": config.first_seed, "--batch": config.batch, "--device": str(device)}
    settings["--agents"] = [agent.name for agent in agents]
    return settings | {f"{agent.name}: {name}": value for agent in agents for name, value in agent.facts.items()}
