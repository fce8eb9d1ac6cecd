"""The benchmark on a few episodes with models of random weights: files, numbers, resuming, refusals."""

import json
import shutil
import time
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from agent.system import pieces
from agent.training.runs import CHECKPOINT
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import COLUMNS, read_episodes, read_paths, read_summary
from experiments.navigation.planning import Standard
from experiments.navigation.tasks import MazeTask
from planners.interface import ModelFunctions, Plan, Planner
from planners.shooting import Shooting
from planners.tree import TreeSearch
from tests.support.files import content
from tests.support.navigation_runs import untrained
from tests.support.processes import Marked, linux

DETERMINED = list(COLUMNS)[:-1]  # all but the wall time


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {kind: untrained(folder / kind, kind) for kind in ("hrssm", "rssm")}


@pytest.fixture(scope="module")
def finished(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    """A small benchmark, run once for all tests that only look."""
    config = BenchmarkConfig(
        out=tmp_path_factory.mktemp("finished") / "benchmark",
        agents=tuple(f"{label}={run}" for label, run in runs.items()),
        episodes=6,
        planner=Standard(budget=12),
        first_seed=100_000,
        batch=4,
        device="cpu",
    )
    benchmark(config)
    return config


def rows(config: BenchmarkConfig, agent: str) -> list[str]:
    """What is determined of each row of an agent's file."""
    lines = (config.out / "episodes" / f"{agent}.csv").read_text().splitlines()
    return [line.rsplit(",", 1)[0] for line in lines]


def test_files_of_a_benchmark(finished: BenchmarkConfig) -> None:
    files = sorted(str(path.relative_to(finished.out)) for path in finished.out.rglob("*") if path.is_file())
    agents = ("hrssm", "random", "rssm", "shortest-path")
    expected = [f"episodes/{name}.csv" for name in agents] + [f"paths/{name}.npz" for name in agents]
    assert files == sorted(["config.json", "summary.json", *expected])


def test_one_row_per_episode(finished: BenchmarkConfig) -> None:
    for agent in ("random", "hrssm", "rssm", "shortest-path"):
        header, *episodes = rows(finished, agent)
        assert header == ",".join(DETERMINED)
        assert [row.split(",")[:2] for row in episodes] == [[agent, str(100_000 + i)] for i in range(6)]
        numbers = read_episodes(finished.out, agent, read_summary(finished.out))
        assert np.array_equal(numbers["reward"], np.where(numbers["success"], 100 - numbers["steps"], 0))
        assert (numbers["steps"] >= numbers["shortest_path"]).all()
    # A tree of 2 levels of at most 3 actions each; one trajectory of 12 transitions.
    hrssm, rssm = (read_episodes(finished.out, name, read_summary(finished.out)) for name in ("hrssm", "rssm"))
    assert (hrssm["transitions"] <= 12 * hrssm["decisions"]).all()
    assert np.array_equal(rssm["transitions"], 12 * rssm["decisions"])


def test_summary_has_the_promised_numbers(finished: BenchmarkConfig) -> None:
    summary = json.loads((finished.out / "summary.json").read_text())
    assert (summary["episodes"], summary["layout"]) == (6, "paper")
    assert {"python", "torch", "numpy", "jumpy-imagination"} <= set(summary["versions"])
    assert list(summary["agents"]) == ["random", "hrssm", "rssm", "shortest-path"]
    for name, entry in summary["agents"].items():
        numbers = read_episodes(finished.out, name, summary)
        assert entry["mean_reward"] == pytest.approx(numbers["reward"].mean())
        assert entry["success"] == pytest.approx(numbers["success"].mean())
        assert entry["median_steps"] == np.median(numbers["steps"])
        for key in ("mean_reward", "success", "reward_over_ceiling", "normalised", "solved_in_50"):
            low, high = entry[f"{key}_ci95"]
            assert low <= entry[key] <= high
        assert entry["ms_per_decision"] > 0
    hrssm = summary["agents"]["hrssm"]
    assert hrssm["trained_on"] == "paper"
    assert "warning" not in hrssm
    assert (hrssm["trained"], hrssm["label"], hrssm["training_seed"], hrssm["budget"]) == (True, "hrssm", 0, 12)
    assert hrssm["planner"] == {"kind": "tree", "depth": 2, "tie_tolerance": TreeSearch.tie_tolerance}
    rssm = {"kind": "shooting", "horizon": 30, "transitions": 12, "tie_tolerance": Shooting.tie_tolerance}
    assert summary["agents"]["rssm"]["planner"] == rssm
    assert not summary["agents"]["random"]["trained"]
    assert summary["agents"]["shortest-path"]["normalised"] == 1
    assert [difference["agents"] for difference in summary["differences"]] == [["hrssm", "rssm"]]


def test_second_run_only_reads(finished: BenchmarkConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("an episode was run again")

    before = (finished.out / "summary.json").read_bytes()
    monkeypatch.setattr(MazeTask, "navigate", never)
    benchmark(finished)
    assert (finished.out / "summary.json").read_bytes() == before


def test_lost_paths_are_made_again_and_altered_rows_are_refused(finished: BenchmarkConfig, tmp_path: Path) -> None:
    config = replace(finished, out=shutil.copytree(finished.out, tmp_path / "copy"))
    summary, lost, cut = read_summary(config.out), config.out / "paths/random.npz", config.out / "paths/hrssm.npz"
    before = content(config.out)
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    for name in ("random", "hrssm"):
        with pytest.raises(ValueError, match=rf"{name}\.npz .*run the benchmark again"):
            read_paths(config.out, name, summary)
    benchmark(config)
    assert content(config.out) == before
    rows = config.out / "episodes/rssm.csv"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:4]))
    with pytest.raises(ValueError, match=r"rssm\.csv was altered.*--overwrite"):
        benchmark(config)
    rows.unlink()
    benchmark(config)
    assert read_episodes(config.out, "rssm", read_summary(config.out))["seed"].size == 6


class Killed(Exception):
    """Stands for a kill."""


def test_killed_benchmark_goes_on_with_the_same_results(
    finished: BenchmarkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(finished, out=tmp_path / "killed")
    calls = 0
    navigate = MazeTask.navigate

    def until_the_sixth(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 6:  # the second batch of the third agent
            raise Killed
        return navigate(*arguments, **options)

    monkeypatch.setattr(MazeTask, "navigate", until_the_sixth)
    with pytest.raises(Killed):
        benchmark(config)
    assert len(rows(config, "hrssm")) == 7
    assert len(rows(config, "rssm")) == 5
    cut = config.out / "episodes" / "hrssm.csv"
    cut.write_bytes(cut.read_bytes()[:-150])  # a half-written row, too
    monkeypatch.setattr(MazeTask, "navigate", navigate)
    benchmark(config)
    for agent in ("random", "hrssm", "rssm", "shortest-path"):
        assert rows(config, agent) == rows(finished, agent)
        paths = [np.load(run.out / "paths" / f"{agent}.npz") for run in (config, finished)]
        assert all(np.array_equal(paths[0][name], paths[1][name]) for name in ("seed", "steps", "pose", "goal"))


def test_budgets_of_a_run_enter_side_by_side(runs: dict[str, Path], tmp_path: Path) -> None:
    agents = (*(f"{label}={run}" for label, run in runs.items()), "random", "shortest-path")
    config = BenchmarkConfig(tmp_path / "budgets", agents, 2, budgets=(3, 15), first_seed=100_000, device="cpu")
    summary = benchmark(config)
    assert list(summary["agents"]) == ["random", "hrssm@3", "hrssm@15", "rssm@3", "rssm@15", "shortest-path"]
    assert [difference["agents"] for difference in summary["differences"]] == [
        ["hrssm@3", "rssm@3"],
        ["hrssm@15", "rssm@15"],
    ]
    assert [summary["agents"][f"hrssm@{budget}"]["planner"]["depth"] for budget in (3, 15)] == [1, 2]
    assert [summary["agents"][f"rssm@{budget}"]["budget"] for budget in (3, 15)] == [3, 15]


@dataclass(frozen=True)
class First:
    """A planner of one's own, which needs no entry in the registry: the first legal action."""

    kind: ClassVar[str] = "first"
    budget: int = 0

    def with_budget(self, transitions: int) -> Planner:
        return replace(self, budget=transitions)

    def plan(
        self,
        functions: ModelFunctions,
        state: Any,
        goal_feature: torch.Tensor,
        root_mask: torch.Tensor,
        generator: torch.Generator,
    ) -> Plan:
        nothing = torch.zeros(len(root_mask), dtype=torch.int64)
        return Plan(root_mask.int().argmax(1), torch.zeros(len(root_mask)), nothing, nothing)


def test_any_planner_can_be_given(runs: dict[str, Path], tmp_path: Path) -> None:
    agents = tuple(f"{label}={run}" for label, run in runs.items())
    own = BenchmarkConfig(tmp_path / "own", agents, 2, First(), first_seed=100_000, device="cpu")
    entries = benchmark(own)["agents"]
    assert entries["rssm"]["planner"] == {"kind": "first", "budget": 0}
    assert entries["rssm"]["transitions_per_decision"] == 0
    same = replace(own, out=tmp_path / "same", planner=TreeSearch(depth=1))
    assert [benchmark(same)["agents"][label]["planner"]["kind"] for label in runs] == ["tree", "tree"]


def test_other_layout_is_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = untrained(tmp_path / "run", "hrssm", "random-7")
    planner = TreeSearch(depth=1)
    summary = benchmark(BenchmarkConfig(tmp_path / "out", (f"h={run}",), 2, planner, first_seed=100_000))
    assert summary["agents"]["h"]["warning"] == "trained on layout random-7, benchmarked on paper"
    assert "h: trained on layout random-7, benchmarked on paper" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"episodes": 12},
            "holds a benchmark with --episodes 6, asked for is 12: choose another --out, or --overwrite",
        ),
        ({"layout": "random-1"}, "with --layout paper, asked for is random-1"),
        ({"agents": ()}, "with --agents \\['random', 'hrssm', 'rssm', 'shortest-path'\\], asked for is"),
        ({"planner": Standard(budget=3)}, r"with hrssm: planner.depth 2, asked for is 1"),
        ({"batch": 5}, "with --batch 4, asked for is 5"),
    ],
)
def test_another_benchmark_in_the_folder_is_an_error(finished: BenchmarkConfig, change: dict, message: str) -> None:
    before = {path: path.read_bytes() for path in finished.out.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        benchmark(replace(finished, **change))
    assert before == {path: path.read_bytes() for path in finished.out.rglob("*") if path.is_file()}


def test_retrained_model_is_an_error_and_overwrite_replaces(tmp_path: Path) -> None:
    run = untrained(tmp_path / "run", "hrssm")
    config = BenchmarkConfig(tmp_path / "out", (f"h={run}",), 2, TreeSearch(depth=1), first_seed=100_000)
    benchmark(config)
    again = untrained(tmp_path / "again", "hrssm", seed=1)
    (again / CHECKPOINT).replace(run / CHECKPOINT)
    with pytest.raises(ValueError, match=r"with h: checkpoint [0-9a-f]+\.\.\., asked for is [0-9a-f]+"):
        benchmark(config)
    summary = benchmark(replace(config, episodes=3, overwrite=True))
    assert summary["episodes"] == 3
    assert len(rows(config, "h")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "--episodes must be at least 1, got 0"),
        ({"batch": -1}, "--batch must be at least 1, got -1"),
        ({"first_seed": -5}, "--first-seed must be 0 or more, got -5"),
        ({"budgets": (0, 3)}, r"--budgets.*from 1 up, got \[0, 3\]"),
        ({"budgets": (3, 3)}, r"--budgets.*different numbers.*got \[3, 3\]"),
    ],
)
def test_impossible_numbers_are_an_error(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkConfig(tmp_path, **options)


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds other files and no benchmark"):
            benchmark(BenchmarkConfig(tmp_path, episodes=3, overwrite=overwrite))
    assert (tmp_path / "episodes" / "mine.txt").read_text() == "mine"


def test_number_of_processes_changes_no_result(
    runs: dict[str, Path], finished: BenchmarkConfig, tmp_path: Path
) -> None:
    config = replace(finished, out=tmp_path / "two", agents=(f"hrssm={runs['hrssm']}",), processes=2)
    benchmark(config)
    for agent in ("random", "hrssm", "shortest-path"):
        assert rows(config, agent) == rows(finished, agent)


@linux
def test_workers_do_not_outlive_a_benchmark_that_is_killed_while_they_start(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    options = f"--agents h={runs['hrssm']} --episodes 1000 --processes 2 --device cpu --out {tmp_path / 'benchmark'}"
    killed = Marked("-m", "experiments.cli", "benchmark", *options.split(), folder=tmp_path)
    killed.wait_for(lambda: len(killed.family()) == 3)
    killed.end()
    assert killed.left() == []


def test_interrupted_benchmark_waits_for_no_worker() -> None:
    with pytest.raises(KeyboardInterrupt), pieces.pool_of(2) as pool:
        pool.submit(time.sleep, 600)
        raise KeyboardInterrupt
    assert active_children() == []


def test_overwriting_spares_what_no_benchmark_made(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')  # of another tool
    (tmp_path / "episodes").mkdir()
    with pytest.raises(ValueError, match=r"holds other files and no benchmark.*--out"):
        benchmark(BenchmarkConfig(tmp_path, episodes=1, overwrite=True))
    assert (tmp_path / "episodes").exists()
    benchmark(BenchmarkConfig(tmp_path / "own", episodes=1))
    (tmp_path / "own" / "photo.png").touch()
    benchmark(BenchmarkConfig(tmp_path / "own", episodes=2, overwrite=True))
    assert (tmp_path / "own" / "photo.png").exists()
