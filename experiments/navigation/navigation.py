"""`jumpy navigation`: do trained runs really navigate? The worst training seed against what is to be reached.

| row | what | worst | reach |
|---|---|---|---|
| `success` | share of the episodes that HRSSM solves | least | 0.995 |
| `reward_over_ceiling` | its mean reward over the shortest path's | least | 0.97 |
| `solved_in_50` | share solved within 50 steps over the shortest path's share | least | 0.97 |
| `rssm_gap_N` | mean reward minus RSSM's, each with a budget of N transitions | least | 0, interval above it |
| `boundary_f1`, `boundary_f1_exact` | boundaries within a frame, and exact, test split | least | 0.97, 0.95 |
| `jump_accuracy_K` | imagined hallway is the true one after K passages | least | K = 1: 0.99, K = 5: 0.95 |
| `elbo_gap` | (nelbo - RSSM's) / RSSM's, nats a frame without the constant, test split | largest | 0.02 |

The reach is meant for the variant `ours`. Intervals are paired bootstrap intervals over episodes (`elbo_gap`: test
batches); the boundaries and the jumps have none.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from agent.data.replay import Replay
from agent.system.device import choose_device
from agent.system.versions import versions
from agent.training.boundary_scores import boundary_scores
from agent.training.evaluate import EvaluationConfig, negative_bounds
from envs.camera import Camera
from envs.layout import Layout
from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.trained_runs import TrainedRun, check_agreement, check_same_likelihood, load_trained
from experiments.navigation.agents import CEILING
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import EPISODES, read_episodes
from experiments.navigation.jump_accuracy import jump_accuracy
from experiments.navigation.planning import PlannerOption, check_budgets, planner_facts
from experiments.navigation.summary import SOON, Episodes
from experiments.navigation.targets import GAP, Measured, merged, targets_table, worst, write
from planners.interface import Planner
from planners.shooting import Shooting
from planners.tree import TreeSearch, full_tree


@dataclass(frozen=True)
class NavigationConfig:
    """Measure trained runs, one per training seed, and merge the rows into a JSON file.

    A measurement that was cut off goes on where it stopped, with the same results. Where RSSM plans best with another
    planner at each budget, call the command once per planner, with its --budgets.
    """

    hrssm: tuple[Path, ...]
    """HRSSM runs, one per training seed."""
    rssm: tuple[Path, ...] = ()
    """RSSM runs in the same order; without them the rows that need them are left out."""
    data: Path | None = None
    """Data set whose test split scores the boundaries and the bound; without it these rows are left out."""
    out: Path = Path("runs/navigation")
    """Folder of the benchmarks behind the rows."""
    json: Path = Path("experiments/results/navigation.json")
    """File that the rows are merged into; other variants and presets stay as they are."""
    episodes: int = 5000
    """Number of episodes."""
    gap_episodes: int | None = None
    """Episodes of the rssm_gap rows, the first of all: RSSM spends the whole budget; default: all of them."""
    first_seed: int = 0
    """Seed of the first episode. 0 to 4999 are for reports alone; use 100000 and above to develop and to choose."""
    hrssm_planner: PlannerOption = field(default_factory=TreeSearch)
    """How HRSSM plans; in the rssm_gap rows with their budgets."""
    rssm_planner: PlannerOption = field(default_factory=Shooting)
    """How RSSM plans, with these budgets. Choose it on development seeds."""
    budgets: tuple[int, ...] = tuple(full_tree(depth) for depth in range(1, 9))
    """Budgets of the rssm_gap rows, in model transitions per decision."""
    camera: Camera = field(default_factory=Camera)
    """What the agents look through."""
    evaluation: EvaluationConfig = field(default_factory=lambda: EvaluationConfig(batches=32))
    """How much of the test split is read."""
    batch: int = 100
    """Episodes side by side."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    overwrite: bool = False
    """Begin anew, and replace rows that were measured otherwise."""

    def __post_init__(self) -> None:
        """Check that every run has a partner, and the numbers."""
        if not self.hrssm or len(self.rssm) not in (0, len(self.hrssm)):
            raise ValueError(f"--rssm needs a run for each of --hrssm, got {len(self.rssm)} and {len(self.hrssm)}")
        check_budgets("--budgets", self.budgets)
        if self.gap_episodes is not None and not 1 <= self.gap_episodes <= self.episodes:
            raise ValueError(
                f"--gap-episodes must be from 1 to the {self.episodes} of --episodes, got {self.gap_episodes}"
            )


def navigation(config: NavigationConfig) -> dict[str, dict[str, Any]]:
    """Measure every run, print the table and merge the rows into the file.

    Returns:
        The rows, each with ``value`` (worst seed), ``mean``, ``ci95`` (of the worst seed) and ``seeds``.

    Raises:
        ValueError: if runs or data do not belong together, or the file or folder holds another measurement.
        OSError: if a file cannot be written.
    """
    device = choose_device(config.device)
    hrssm, rssm = (
        [load_trained(run, kind, device, "maze") for run in getattr(config, kind)] for kind in ("hrssm", "rssm")
    )
    check_agreement([*hrssm, *rssm])
    replay = None if config.data is None else hrssm[0].data_of([Replay.open(config.data)])
    if rssm and replay:
        check_same_likelihood([*hrssm, *rssm])
    training = hrssm[0].training
    measured = Measured(training["variant"], training["preset"], _about(config, replay, hrssm, rssm))
    merged(config.json, measured, config.overwrite)  # checked before hours of work
    seeds = [_measure(config, replay, one, other) for one, other in zip_longest(hrssm, rssm)]
    rows = {row: worst(row, [estimates[row] for estimates in seeds]) for row in seeds[0]}
    write(config.json, merged(config.json, replace(measured, rows=rows), config.overwrite))
    print(
        f"{measured.variant}, {measured.preset}, {len(seeds)} training seeds, {config.episodes} episodes"
        f"\n{targets_table(rows)}"
    )
    return rows


# ---------------------------------------------------------------- one training seed


def _measure(
    config: NavigationConfig, replay: Replay | None, hrssm: TrainedRun, rssm: TrainedRun | None
) -> dict[str, Estimate]:
    """Every row of one training seed."""
    rows = _benchmarks(config, hrssm, rssm)
    if replay is not None:
        device = next(hrssm.model.parameters()).device
        scores = boundary_scores(hrssm.model, replay, device, config.evaluation.episodes)
        rows |= {name: _exactly(scores[name]) for name in ("boundary_f1", "boundary_f1_exact")}
    accuracy = jump_accuracy(hrssm.model, Layout.parse(hrssm.training["layout"]), config.camera)
    rows |= {f"jump_accuracy_{passages}": _exactly(share) for passages, share in enumerate(accuracy, 1)}
    if replay is not None and rssm is not None:
        models = {"hrssm": (hrssm.model, hrssm.step), "rssm": (rssm.model, rssm.step)}
        bounds = PairedBootstrap(negative_bounds(models, replay, config.evaluation))
        rows["elbo_gap"] = bounds.estimate(lambda mean: (mean["hrssm"] - mean["rssm"]) / mean["rssm"])
    return rows


def _benchmarks(config: NavigationConfig, hrssm: TrainedRun, rssm: TrainedRun | None) -> dict[str, Estimate]:
    """The rows that come from episodes."""
    folder = config.out / "-".join(str(hrssm.training[name]) for name in ("variant", "preset"))
    folder /= f"seed-{hrssm.training['seed']}"
    agent, ceiling = _episodes(config, hrssm, folder, config.hrssm_planner, config.hrssm_planner.budget)
    columns = {"success": agent["success"], "soon": _soon(agent), "ceiling soon": _soon(ceiling)}
    columns |= {"reward": agent["reward"], "ceiling": ceiling["reward"]}
    bootstrap = PairedBootstrap(columns)
    rows = {"success": bootstrap.mean("success"), "reward_over_ceiling": bootstrap.ratio("reward", "ceiling")}
    rows[f"solved_in_{SOON}"] = bootstrap.ratio("soon", "ceiling soon")
    return rows if rssm is None else rows | _gaps(config, hrssm, rssm, folder, agent)


def _gaps(
    config: NavigationConfig, hrssm: TrainedRun, rssm: TrainedRun, folder: Path, agent: Episodes
) -> dict[str, Estimate]:
    """The rssm_gap rows; `agent` holds HRSSM's episodes at its planner's own budget."""
    some = config.gap_episodes or config.episodes
    fewer = replace(config, episodes=some)
    columns = {}
    for budget in config.budgets:
        ours, theirs = config.hrssm_planner.with_budget(budget), config.rssm_planner.with_budget(budget)
        own = budget == config.hrssm_planner.budget
        episodes = agent if own else _episodes(fewer, hrssm, folder, ours, budget)[0]
        columns[f"hrssm {budget}"] = episodes["reward"][:some]
        columns[f"rssm {budget}"] = _episodes(fewer, rssm, folder, theirs, budget)[0]["reward"]
    bootstrap = PairedBootstrap(columns)
    return {f"{GAP}{budget}": bootstrap.difference(f"hrssm {budget}", f"rssm {budget}") for budget in config.budgets}


def _episodes(
    config: NavigationConfig, run: TrainedRun, folder: Path, planner: Planner, budget: int
) -> tuple[Episodes, Episodes]:
    """Benchmark a run at a budget, in a folder of its own; return its episodes, and the ceiling's."""
    kind = run.training["model"]
    out = folder / f"{kind}@{budget}"
    benchmark(
        BenchmarkConfig(
            out=out,
            agents=(f"{kind}={run.name}",),
            episodes=config.episodes,
            planner=planner,
            budgets=(budget,),
            layout=run.training["layout"],
            first_seed=config.first_seed,
            camera=config.camera,
            batch=config.batch,
            device=config.device,
            overwrite=config.overwrite,
        )
    )
    agent, ceiling = (read_episodes(out / EPISODES / f"{name}.csv") for name in (f"{kind}@{budget}", CEILING))
    return agent, ceiling


def _soon(episodes: Episodes) -> np.ndarray:
    return episodes["success"] * (episodes["steps"] <= SOON)


def _exactly(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan)


def _about(
    config: NavigationConfig, replay: Replay | None, hrssm: list[TrainedRun], rssm: list[TrainedRun]
) -> dict[str, Any]:
    """How the rows are measured, as JSON."""
    about: dict[str, Any] = {"episodes": config.episodes, "layout": hrssm[0].training["layout"]}
    about |= {"first_seed": config.first_seed, "planner": planner_facts(config.hrssm_planner)}
    about |= {"camera": asdict(config.camera), "versions": versions()}
    if rssm:
        about["gap_episodes"] = config.gap_episodes or config.episodes
        for budget in config.budgets:  # one entry per row: calls with other budgets may have other planners
            planners = {"hrssm": config.hrssm_planner, "rssm": config.rssm_planner}
            about[f"{GAP}{budget}"] = {
                kind: planner_facts(planner.with_budget(budget)) for kind, planner in planners.items()
            }
    if replay is not None:
        about |= {"data": {"seed": replay.manifest.origin["data_seed"], "episodes": replay.episodes}}
        about |= {"evaluation": asdict(config.evaluation)}
    for kind, runs in (("hrssm", hrssm), ("rssm", rssm)):
        if runs:
            about[kind] = [{"run": run.name, "seed": run.training["seed"], "trained_steps": run.step} for run in runs]
    return about
