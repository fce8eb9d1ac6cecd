"""The benchmark on a few episodes with models of random weights: files, numbers, resuming, refusals."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.acting.navigate import Decision, RandomAgent
from agent.training.runs import CHECKPOINT, save_run
from envs.layout import Layout
from experiments.navigation import benchmark as module
from experiments.navigation.agents import PlannerOptions
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import COLUMNS, EpisodeFile, read_episodes
from experiments.navigation.summary import summarise, summary_table
from planners.shooting import ShootingConfig
from planners.tree import TreeConfig
from world_models.registry import build_model

DETERMINED = list(COLUMNS)[:-1]  # all but the wall time


def untrained(folder: Path, kind: str, layout: str = "paper", seed: int = 0) -> Path:
    """A run folder with a model of random weights."""
    torch.manual_seed(seed)
    model: Any = build_model(kind, "quick", "ours", 32)
    run: dict[str, Any] = {"model": kind, "preset": "quick", "variant": "ours", "config": asdict(model.config)}
    run |= {"seed": seed, "layout": layout, "rows": list(Layout.parse(layout).rows)}
    folder.mkdir(parents=True)
    save_run(folder / CHECKPOINT, model, torch.optim.Adam(model.parameters()), 7, run)
    return folder


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
        episodes=10,
        planning=PlannerOptions(depth=(2,), horizon=4),
        first_seed=100_000,
        batch=4,
        device="cpu",
    )
    benchmark(config)
    return config


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have tests of their own."""
    monkeypatch.setattr(module, "plot", lambda _: None)


def rows(config: BenchmarkConfig, agent: str) -> list[str]:
    """What is determined of each row of an agent's file."""
    lines = (config.out / "episodes" / f"{agent}.csv").read_text().splitlines()
    return [line.rsplit(",", 1)[0] for line in lines]


def test_files_of_a_benchmark(finished: BenchmarkConfig) -> None:
    files = sorted(str(path.relative_to(finished.out)) for path in finished.out.rglob("*") if path.is_file())
    agents = ("hrssm", "random", "rssm", "shortest-path")
    expected = [f"episodes/{name}.csv" for name in agents] + [f"paths/{name}.npz" for name in agents]
    assert files == sorted(["config.json", "summary.json", "rewards.png", "routes.png", *expected])


def test_a_row_an_episode(finished: BenchmarkConfig) -> None:
    for agent in ("random", "hrssm", "rssm", "shortest-path"):
        header, *episodes = rows(finished, agent)
        assert header == ",".join(DETERMINED)
        assert [row.split(",")[:2] for row in episodes] == [[agent, str(100_000 + i)] for i in range(10)]
        numbers = read_episodes(finished.out / "episodes" / f"{agent}.csv")
        assert np.array_equal(numbers["reward"], np.where(numbers["success"], 100 - numbers["steps"], 0))
        assert (numbers["steps"] >= numbers["shortest_path"]).all()
    # 2 levels of at most 3 actions each; 12 transitions are three trajectories of 4.
    hrssm, rssm = (read_episodes(finished.out / "episodes" / f"{name}.csv") for name in ("hrssm", "rssm"))
    assert (hrssm["transitions"] <= 12 * hrssm["decisions"]).all()
    assert np.array_equal(rssm["transitions"], 12 * rssm["decisions"])


def test_summary_has_the_promised_numbers(finished: BenchmarkConfig) -> None:
    summary = json.loads((finished.out / "summary.json").read_text())
    assert (summary["episodes"], summary["layout"]) == (10, "paper")
    assert {"python", "torch", "numpy", "jumpy-imagination"} <= set(summary["versions"])
    assert list(summary["agents"]) == ["random", "hrssm", "rssm", "shortest-path"]
    for name, entry in summary["agents"].items():
        numbers = read_episodes(finished.out / "episodes" / f"{name}.csv")
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
    assert hrssm["planner"] == {"kind": "tree", "depth": 2, "epsilon": TreeConfig.epsilon}
    assert summary["agents"]["rssm"]["planner"]["kind"] == "shooting"
    assert summary["agents"]["shortest-path"]["normalised"] == 1
    assert [difference["agents"] for difference in summary["differences"]] == [["hrssm", "rssm"]]


@pytest.mark.usefixtures("no_figures")
def test_second_run_only_reads(finished: BenchmarkConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("an episode was run again")

    before = (finished.out / "summary.json").read_bytes()
    monkeypatch.setattr(module, "navigate", never)
    benchmark(finished)
    assert (finished.out / "summary.json").read_bytes() == before


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.usefixtures("no_figures")
def test_killed_benchmark_goes_on_with_the_same_results(
    finished: BenchmarkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(finished, out=tmp_path / "killed")
    calls = 0
    navigate = module.navigate

    def until_the_eighth(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 8:  # the second batch of the third agent
            raise Killed
        return navigate(*arguments, **options)

    monkeypatch.setattr(module, "navigate", until_the_eighth)
    with pytest.raises(Killed):
        benchmark(config)
    assert len(rows(config, "hrssm")) == 11
    assert len(rows(config, "rssm")) == 5
    cut = config.out / "episodes" / "hrssm.csv"
    cut.write_bytes(cut.read_bytes()[:-150])  # a half-written row, too
    monkeypatch.setattr(module, "navigate", navigate)
    benchmark(config)
    for agent in ("random", "hrssm", "rssm", "shortest-path"):
        assert rows(config, agent) == rows(finished, agent)
        paths = [np.load(run.out / "paths" / f"{agent}.npz") for run in (config, finished)]
        assert all(np.array_equal(paths[0][name], paths[1][name]) for name in ("seed", "steps", "pose", "goal"))


def test_depths_of_a_run_enter_side_by_side(runs: dict[str, Path], tmp_path: Path) -> None:
    planning = PlannerOptions(depth=(1, 2))
    agents = (f"hrssm={runs['hrssm']}", "random", "shortest-path")
    config = BenchmarkConfig(tmp_path / "depths", agents, 2, planning, first_seed=100_000, device="cpu")
    summary = benchmark(config)
    assert list(summary["agents"]) == ["random", "hrssm@1", "hrssm@2", "shortest-path"]
    assert summary["differences"] == []
    assert (config.out / "budget.png").exists()


@pytest.mark.usefixtures("no_figures")
def test_other_layout_is_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = untrained(tmp_path / "run", "hrssm", "random-7")
    planning = PlannerOptions(depth=(1,))
    summary = benchmark(BenchmarkConfig(tmp_path / "out", (f"h={run}",), 2, planning, first_seed=100_000))
    assert summary["agents"]["h"]["warning"] == "trained on layout random-7, benchmarked on paper"
    assert "h: trained on layout random-7, benchmarked on paper" in capsys.readouterr().out


def test_planner_follows_the_model() -> None:
    options = PlannerOptions(depth=(3,), horizon=9, epsilon=0.1)
    assert options.config("hrssm", 3) == TreeConfig(3, 0.1)
    assert options.config("rssm", 3) == ShootingConfig(9, 3 + 9 + 27, 0.1)
    assert replace(options, planner="tree").config("rssm", 3) == TreeConfig(3, 0.1)
    assert replace(options, planner="shooting").config("hrssm", 3) == ShootingConfig(9, 39, 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"episodes": 12},
            "holds a benchmark with --episodes 10, asked for is 12: choose another --out, or --overwrite",
        ),
        ({"layout": "random-1"}, "with --layout paper, asked for is random-1"),
        ({"agents": ()}, "with --agents \\['random', 'hrssm', 'rssm', 'shortest-path'\\], asked for is"),
        ({"planning": PlannerOptions(depth=(1,), horizon=4)}, "with hrssm: depth 2, asked for is 1"),
        ({"batch": 5}, "with --batch 4, asked for is 5"),
    ],
)
def test_another_benchmark_in_the_folder_is_refused(finished: BenchmarkConfig, change: dict, message: str) -> None:
    before = {path: path.read_bytes() for path in finished.out.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        benchmark(replace(finished, **change))
    assert before == {path: path.read_bytes() for path in finished.out.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_figures")
def test_retrained_model_is_refused_and_overwrite_replaces(tmp_path: Path) -> None:
    run = untrained(tmp_path / "run", "hrssm")
    planning = PlannerOptions(depth=(1,))
    config = BenchmarkConfig(tmp_path / "out", (f"h={run}",), 2, planning, first_seed=100_000)
    benchmark(config)
    again = untrained(tmp_path / "again", "hrssm", seed=1)
    (again / CHECKPOINT).replace(run / CHECKPOINT)
    with pytest.raises(ValueError, match=r"with h: checkpoint [0-9a-f]+\.\.\., asked for is [0-9a-f]+"):
        benchmark(config)
    summary = benchmark(replace(config, episodes=3, overwrite=True))
    assert summary["episodes"] == 3
    assert len(rows(config, "h")) == 4


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        (("dreamer",), "unknown agent 'dreamer': use 'random', 'shortest-path' or LABEL=RUN"),
        (("a/b=run",), "unknown agent 'a/b=run'"),
        (("h=",), "unknown agent 'h='"),
        (("h=no/such/run",), "there is no run no/such/run"),
        (("random=run",), "agent names must differ, got 'random' twice"),
    ],
)
def test_unknown_agents_are_refused(agents: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark(BenchmarkConfig(tmp_path / "out", agents, 5))
    assert not (tmp_path / "out").exists()


def test_wrong_frame_size_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    config = BenchmarkConfig(tmp_path / "out", (f"h={runs['hrssm']}",), 5)
    with pytest.raises(ValueError, match=r"trained on frames of 32 pixels, .* use --camera\.size 32"):
        benchmark(replace(config, camera=replace(config.camera, size=16)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "--episodes must be at least 1, got 0"),
        ({"batch": -1}, "--batch must be at least 1, got -1"),
        ({"first_seed": -5}, "--first-seed must be 0 or more, got -5"),
    ],
)
def test_impossible_numbers_are_refused(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkConfig(tmp_path, **options)


@pytest.mark.parametrize("depth", [(), (0,), (2, 2)])
def test_impossible_depths_are_refused(depth: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="--depth needs one or more different numbers from 1 up"):
        PlannerOptions(depth=depth)


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds other files and no benchmark"):
            benchmark(BenchmarkConfig(tmp_path, episodes=3, overwrite=overwrite))
    assert (tmp_path / "episodes" / "mine.txt").read_text() == "mine"


def test_episode_file_of_other_seeds_is_refused(finished: BenchmarkConfig) -> None:
    path = finished.out / "episodes" / "random.csv"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"random.csv, line 2: expected the episode of random with seed 0, got"):
        EpisodeFile(path, "random", range(10), 4)
    assert path.read_bytes() == before


def test_numbers_by_hand() -> None:
    # Rewards over the ceiling: (90 + 0) / (90 + 70) = 9/16. Normalised, floor (0 + 10) / 2: (45 - 5) / (80 - 5) = 8/15.
    def episodes(reward: list[int], steps: list[int], decisions: list[int], transitions: list[int]) -> dict:
        columns = {"reward": reward, "steps": steps, "decisions": decisions, "transitions": transitions}
        arrays = {name: np.array(column) for name, column in columns.items()}
        return arrays | {"success": (arrays["reward"] > 0).astype(int), "planning_seconds": np.array([0.5, 0.1])}

    runs = {
        "random": episodes([0, 10], [100, 90], [0, 0], [0, 0]),
        "h": episodes([90, 0], [10, 100], [2, 4], [24, 66]),
        "shortest-path": episodes([90, 70], [10, 30], [2, 2], [0, 0]),
    }
    summary = summarise(runs, {"random": {}, "h": {"trained": True, "budget": 3, "label": "h"}, "shortest-path": {}})
    entry = summary["agents"]["h"]
    assert entry["mean_reward"] == 45
    assert entry["success"] == 0.5
    assert entry["median_steps"] == 55
    assert entry["transitions_per_decision"] == 15
    assert entry["ms_per_decision"] == pytest.approx(100)
    assert entry["reward_over_ceiling"] == pytest.approx(9 / 16)
    assert entry["normalised"] == pytest.approx(8 / 15)
    assert summary["agents"]["random"]["solved_in_50"] == 0
    assert summary["agents"]["random"]["ms_per_decision"] is None  # no decision
    text = summary_table(summary | {"episodes": 2, "layout": "paper", "first_seed": 0})
    assert "45.0 [0.0, 90.0]" in text
    assert json.loads(json.dumps(summary)) == summary  # plain numbers


def test_agents_write_their_transitions(tmp_path: Path) -> None:
    class Costly(RandomAgent):
        def act(self, observation: dict, info: dict, deciding: np.ndarray) -> Decision:
            return super().act(observation, info, deciding)._replace(transitions=5 * deciding.astype(np.int64))

    file = EpisodeFile(tmp_path / "a.csv", "a", range(6), 4)
    for seeds in file.remaining:
        file.append(module.navigate(Costly(), Layout.paper(), seeds))
    numbers = read_episodes(tmp_path / "a.csv")
    assert np.array_equal(numbers["transitions"], 5 * numbers["decisions"])
    assert not EpisodeFile(tmp_path / "a.csv", "a", range(6), 4).remaining


@pytest.mark.usefixtures("no_figures")
def test_number_of_processes_changes_no_result(
    runs: dict[str, Path], finished: BenchmarkConfig, tmp_path: Path
) -> None:
    config = replace(finished, out=tmp_path / "two", agents=(f"hrssm={runs['hrssm']}",), processes=2)
    benchmark(config)
    for agent in ("random", "hrssm", "shortest-path"):
        assert rows(config, agent) == rows(finished, agent)


class Dying(RandomAgent):
    """An agent whose process is killed, as for memory."""

    looks = True

    def act(self, *arguments: Any, **options: Any) -> Decision:
        os._exit(9)


def test_killed_process_is_told_in_one_line(finished: BenchmarkConfig) -> None:
    config = replace(finished, processes=2)
    with pytest.raises(OSError, match=r"one of 2 processes was killed.* it goes on where it stopped"):
        list(module._results(Dying(), config, Layout.paper(), [range(2), range(2, 4)]))
