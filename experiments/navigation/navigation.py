"""`jumpy navigation`: do trained runs really navigate? The worst training seed against targets.

| row | what | worst | target |
|---|---|---|---|
| `success` | share of episodes that the model solves | least | 0.995 |
| `reward_over_ceiling` | mean reward over the shortest path's | least | 0.97 |
| `solved_in_50` | share solved within 50 steps over the shortest path's share | least | 0.97 |
| `rssm_gap_N` | mean reward minus RSSM's, each with a budget of N transitions | least | 0, interval above it |
| `boundary_f1`, `boundary_f1_exact` | boundaries within one frame, and exact, test split | least | 0.97, 0.95 |
| `jump_accuracy_K` | imagined hallway is the true one after K passages | least | K = 1: 0.99, K = 5: 0.95 |
| `frame_accuracy_K` | sampled frame shows the true hallway after K passages | least | 0.95 |
| `one_hallway` | subsequences, frame by frame, that show one hallway, the true one | least | 0.95 |
| `skips_hallway`, `repeats_hallway` | those that do not show it, that show the one before it | largest | – |
| `elbo_gap` | (nelbo - RSSM's) / RSSM's, nats per frame without the constant, test split | largest | 0.02 |

The model is HRSSM or another one that plans, DLH; RSSM is the baseline. Where a model jumps from choice to choice
(`ModelSpec.jumps_over_bends`), its boundaries and jumps are compared with the passages where more than one action is
legal, and `passage_f1_exact` counts all; it has no `elbo_gap`, since its windows are others.

The targets are for the variant `ours`. Intervals are paired bootstrap intervals over episodes (`elbo_gap`: test
batches); boundaries, jumps and frames have none.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agent.data.replay import Replay
from agent.system.atomic_files import locked, write_json
from agent.system.device import choose_device
from agent.system.pieces import Workers, run_pieces
from agent.system.versions import versions
from agent.training.boundary_scores import boundary_scores
from agent.training.evaluate import EvaluationConfig, negative_bounds
from envs.camera import Camera
from envs.layout import Layout
from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.long_pieces import Failure, attempted, check_finished, logged
from experiments.common.results import RESULTS, check_not_installed
from experiments.common.trained_runs import TrainedRun, check_agreement, check_same_likelihood, load_trained
from experiments.navigation.agents import CEILING
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import read_episodes
from experiments.navigation.imagined_frames import imagined_frames
from experiments.navigation.jump_accuracy import jump_accuracy
from experiments.navigation.planning import PlannerOption, check_budgets, planner_facts
from experiments.navigation.summary import SOON, Episodes, solved_soon
from experiments.navigation.targets import GAP, Measured, merged, rows_key, targets_table, worst
from planners.interface import Planner
from planners.shooting import Shooting
from planners.tree import TreeSearch, full_tree
from world_models.hrssm.hrssm import HRSSM
from world_models.interface import Plannable, Segmenting, Trainable
from world_models.registry import spec_of


@dataclass(frozen=True)
class NavigationConfig(Workers):
    """Measure trained runs, one per training seed, and merge the rows into a JSON file.

    An interrupted measurement resumes where it stopped, with the same results. If RSSM's best planner depends on the
    budget, call the command once per planner, with its --budgets.
    """

    hrssm: tuple[Path, ...] = ()
    """HRSSM runs, one per training seed."""
    dlh: tuple[Path, ...] = ()
    """DLH runs, one per training seed, instead of --hrssm."""
    rssm: tuple[Path, ...] = ()
    """RSSM runs in the same order; without them the rows that need them are omitted."""
    data: Path | None = None
    """Data set whose test split scores the boundaries and the bound; without it these rows are omitted."""
    out: Path = Path("runs/navigation")
    """Folder of the benchmarks behind the rows."""
    json: Path = RESULTS / "navigation.json"
    """File into which the rows are merged; other variants and presets stay as they are."""
    episodes: int = 5000
    """Number of episodes."""
    gap_episodes: int | None = None
    """Use only the first so many episodes for the rssm_gap rows, since RSSM spends the whole budget; default: all."""
    first_seed: int = 0
    """Seed of the first episode. Use 0 to 4999 only for reports, 100000 and above to develop and to choose."""
    hrssm_planner: PlannerOption = field(default_factory=TreeSearch)
    """How HRSSM (or DLH) plans; in the rssm_gap rows, with their budgets."""
    rssm_planner: PlannerOption = field(default_factory=Shooting)
    """How RSSM plans, with the same budgets. Choose it on development seeds."""
    budgets: tuple[int, ...] = tuple(full_tree(depth) for depth in range(1, 9))
    """Budgets of the rssm_gap rows, in model transitions per decision."""
    camera: Camera = field(default_factory=Camera)
    """Camera of the agents."""
    evaluation: EvaluationConfig = field(default_factory=lambda: EvaluationConfig(batches=32))
    """How much of the test split is evaluated."""
    batch: int = 100
    """Episodes in parallel."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""
    overwrite: bool = False
    """Measure again, and replace rows with other settings."""

    def __post_init__(self) -> None:
        """Validate the pairs of runs and the numbers."""
        super().__post_init__()
        if bool(self.hrssm) == bool(self.dlh):
            raise ValueError(
                f"one model is measured at a time, got {len(self.hrssm)} runs of --hrssm and {len(self.dlh)} of --dlh: "
                "give runs of one of them"
            )
        if len(self.rssm) not in (0, len(self.runs)):
            raise ValueError(f"--rssm needs a run for each of --{self.kind}, got {len(self.rssm)} and {len(self.runs)}")
        check_budgets("--budgets", self.budgets)
        if self.gap_episodes is not None and not 1 <= self.gap_episodes <= self.episodes:
            raise ValueError(f"--gap-episodes must be from 1 to --episodes {self.episodes}, got {self.gap_episodes}")

    @property
    def kind(self) -> str:
        """The measured model's name in the registry."""
        return "dlh" if self.dlh else "hrssm"

    @property
    def runs(self) -> tuple[Path, ...]:
        """Its runs."""
        return self.dlh or self.hrssm


def navigation(config: NavigationConfig) -> dict[str, dict[str, Any]]:
    """Measure every run, print the table, merge the rows into the file and return them.

    Raises:
        ValueError: if runs and data do not match, or the file or folder holds another measurement.
        OSError: if a file cannot be written.
    """
    check_not_installed(config.json, "--json")
    device = choose_device(config.device)
    runs, rssm = (
        [load_trained(run, kind, device, "maze") for run in sources]
        for kind, sources in ((config.kind, config.runs), ("rssm", config.rssm))
    )
    check_agreement([*runs, *rssm])
    replay = None if config.data is None else runs[0].data_of([Replay.open(config.data)])
    if rssm and replay and not spec_of(config.kind).jumps_over_bends:
        check_same_likelihood([*runs, *rssm])
    training = runs[0].training
    about = _about(config, replay, runs, rssm)
    measured = Measured(rows_key(config.kind, training["variant"]), training["preset"], about)
    merged(config.json, measured, config.overwrite)  # checked before hours of work
    pairs = list(zip_longest(runs, rssm))
    work = partial(_measured, config, None if replay is None else replay.folder)
    bar = tqdm(total=len(pairs), desc="navigation", unit=" seeds", disable=not config.several)
    with locked(config.out), bar:
        found = []
        for each in run_pieces(work, pairs, config, gpu=device.type == "cuda"):
            found.append(each)
            bar.update()
    check_finished(found)
    seeds = [each for each in found if not isinstance(each, Failure)]
    rows = {row: worst(row, [estimates[row] for estimates in seeds]) for row in seeds[0]}
    with locked(config.json.parent, wait=True):
        write_json(config.json, merged(config.json, replace(measured, rows=rows), config.overwrite))
    print(f"{measured.variant}, {measured.preset}, {len(seeds)} training seeds, {config.episodes} episodes")
    print(targets_table(rows))
    return rows


# ---------------------------------------------------------------- one training seed


def _measured(
    config: NavigationConfig, data: Path | None, pair: tuple[TrainedRun, TrainedRun | None]
) -> dict[str, Estimate] | Failure:
    """Every row of one training seed; beside others, what it prints goes into a log."""
    run, rssm = pair
    replay = None if data is None else Replay.open(data, verify=False)
    folder = _folder(config, run)
    with logged(folder) if config.several else nullcontext():
        return attempted(f"seed {run.training['seed']}", partial(_measure, config, replay, run, rssm))


def _folder(config: NavigationConfig, run: TrainedRun) -> Path:
    """The folder of a seed's benchmarks."""
    training = run.training
    name = f"{rows_key(config.kind, training['variant'])}-{training['preset']}"
    return config.out / name / f"seed-{training['seed']}"


def _measure(
    config: NavigationConfig, replay: Replay | None, run: TrainedRun, rssm: TrainedRun | None
) -> dict[str, Estimate]:
    """Every row of one training seed."""
    rows, choices = _benchmarks(config, run, rssm), spec_of(config.kind).jumps_over_bends
    if replay is not None:
        rows |= _boundary_rows(run.able(Segmenting), replay, config.evaluation.episodes, choices)
    layout = Layout.parse(run.training["layout"])
    accuracy = jump_accuracy(run.able(Plannable), layout, config.camera, over_bends=choices)
    rows |= {f"jump_accuracy_{passages}": Estimate(share) for passages, share in enumerate(accuracy, 1)}
    if isinstance(run.model, HRSSM):  # it alone samples whole subsequences
        frames = imagined_frames(run.model, layout, config.camera)
        rows |= {name: Estimate(share) for name, share in frames.items()}
    if replay is not None and rssm is not None and not choices:
        models = {"hrssm": (run.able(Trainable), run.step), "rssm": (rssm.able(Trainable), rssm.step)}
        bounds = PairedBootstrap(negative_bounds(models, replay, config.evaluation))
        rows["elbo_gap"] = bounds.estimate(lambda mean: (mean["hrssm"] - mean["rssm"]) / mean["rssm"])
    return rows


def _boundary_rows(model: Segmenting, replay: Replay, episodes: int, choices: bool) -> dict[str, Estimate]:
    """The rows of the test split's boundaries, of choices alone or of all passages."""
    device = next(model.parameters()).device
    scores = boundary_scores(model, replay, device, episodes, choices)
    rows = {name: scores[name] for name in ("boundary_f1", "boundary_f1_exact")}
    if choices:
        rows["passage_f1_exact"] = boundary_scores(model, replay, device, episodes)["boundary_f1_exact"]
    return {name: Estimate(value) for name, value in rows.items()}


def _benchmarks(config: NavigationConfig, run: TrainedRun, rssm: TrainedRun | None) -> dict[str, Estimate]:
    """The rows that come from episodes."""
    folder = _folder(config, run)
    agent, ceiling = _episodes(config, run, folder, config.hrssm_planner, config.hrssm_planner.budget)
    columns = {"success": agent["success"], "reward": agent["reward"], "ceiling": ceiling["reward"]}
    columns |= {"soon": solved_soon(agent), "ceiling soon": solved_soon(ceiling)}
    bootstrap = PairedBootstrap(columns)
    rows = {"success": bootstrap.mean("success"), "reward_over_ceiling": bootstrap.ratio("reward", "ceiling")}
    rows[f"solved_in_{SOON}"] = bootstrap.ratio("soon", "ceiling soon")
    return rows if rssm is None else rows | _gaps(config, run, rssm, folder, agent)


def _gaps(
    config: NavigationConfig, run: TrainedRun, rssm: TrainedRun, folder: Path, agent: Episodes
) -> dict[str, Estimate]:
    """The rssm_gap rows; `agent` holds the model's episodes at its planner's own budget."""
    some = config.gap_episodes or config.episodes
    fewer = replace(config, episodes=some)
    columns = {}
    for budget in config.budgets:
        ours, theirs = config.hrssm_planner.with_budget(budget), config.rssm_planner.with_budget(budget)
        own = budget == config.hrssm_planner.budget
        episodes = agent if own else _episodes(fewer, run, folder, ours, budget)[0]
        columns[f"model {budget}"] = episodes["reward"][:some]
        columns[f"rssm {budget}"] = _episodes(fewer, rssm, folder, theirs, budget)[0]["reward"]
    bootstrap = PairedBootstrap(columns)
    return {f"{GAP}{budget}": bootstrap.difference(f"model {budget}", f"rssm {budget}") for budget in config.budgets}


def _episodes(
    config: NavigationConfig, run: TrainedRun, folder: Path, planner: Planner, budget: int
) -> tuple[Episodes, Episodes]:
    """Benchmark a run at a budget in a separate folder; return its episodes, and the ceiling's."""
    kind, layout = run.training["model"], run.training["layout"]
    name = f"{kind}@{budget}"
    shared = ("episodes", "first_seed", "camera", "batch", "device", "overwrite")
    options: dict[str, Any] = {option: getattr(config, option) for option in shared}
    options["processes"] = 1 if config.several else None
    agents = (f"{kind}={run.name}",)
    own = BenchmarkConfig(folder / name, agents, planner=planner, budgets=(budget,), layout=layout, **options)
    summary = benchmark(own)
    agent, ceiling = (read_episodes(folder / name, each, summary) for each in (name, CEILING))
    return agent, ceiling


def _about(
    config: NavigationConfig, replay: Replay | None, runs: list[TrainedRun], rssm: list[TrainedRun]
) -> dict[str, Any]:
    """How the rows are measured, as JSON."""
    about: dict[str, Any] = {"episodes": config.episodes, "layout": runs[0].training["layout"]}
    about |= {"first_seed": config.first_seed, "planner": planner_facts(config.hrssm_planner)}
    about |= {"camera": asdict(config.camera), "versions": versions()}
    if rssm:
        about["gap_episodes"] = config.gap_episodes or config.episodes
        planners = {config.kind: config.hrssm_planner, "rssm": config.rssm_planner}
        for budget in config.budgets:  # one entry per row: calls with other budgets may have other planners
            facts = {kind: planner_facts(planner.with_budget(budget)) for kind, planner in planners.items()}
            about[f"{GAP}{budget}"] = facts
    if replay is not None:
        about |= {"data": {"seed": replay.manifest.origin["data_seed"], "episodes": replay.episodes}}
        about |= {"evaluation": asdict(config.evaluation)}
    for kind, some in ((config.kind, runs), ("rssm", rssm)):
        if some:
            about[kind] = [{"run": run.name, "seed": run.training["seed"], "trained_steps": run.step} for run in some]
    return about
