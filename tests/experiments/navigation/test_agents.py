"""Who takes part in a benchmark, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from envs.camera import Camera
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from experiments.navigation.agents import load_agents, load_runs
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.planning import Standard
from experiments.navigation.tasks import MazeTask
from planners.tree import TreeSearch
from tests.support.navigation_runs import untrained

CPU, PAPER = torch.device("cpu"), MazeTask(Layout.paper(), Camera())


def test_floor_and_ceiling_take_part_unnamed_and_a_run_knows_where_it_comes_from(tmp_path: Path) -> None:
    run = untrained(tmp_path / "run", "hrssm", "random-7", seed=5)
    floor, agent, ceiling = load_agents(load_runs((f"h={run}",), CPU), TreeSearch(2), (), PAPER)
    assert (floor.name, floor.facts) == ("random", {"trained": False})
    assert (ceiling.name, ceiling.facts) == ("shortest-path", {"trained": False})
    assert agent.name == "h"
    assert agent.facts == {
        "trained": True,
        "label": "h",
        "run": str(run),
        "checkpoint": load_trained(run).checkpoint,
        "model": "hrssm",
        "preset": "quick",
        "variant": "ours",
        "trained_steps": 7,
        "trained_on": "random-7",
        "training_seed": 5,
        "warning": "trained on layout random-7, benchmarked on paper",
        "planner": {"kind": "tree", "depth": 2, "tie_tolerance": 0.2},
        "budget": 12,
    }


def test_each_budget_enters_under_its_number(tmp_path: Path) -> None:
    runs = load_runs((f"r={untrained(tmp_path / 'run', 'rssm')}",), CPU)
    _, *agents, _ = load_agents(runs, Standard(), (3, 40), PAPER)
    assert [agent.name for agent in agents] == ["r@3", "r@40"]
    assert [agent.facts["budget"] for agent in agents] == [3, 40]
    assert [agent.facts["planner"]["transitions"] for agent in agents] == [3, 40]
    _, *agents, _ = load_agents(runs, TreeSearch(), (40,), PAPER)
    assert [agent.facts["planner"]["depth"] for agent in agents] == [3]
    assert agents[0].facts["budget"] == 40  # what it was allowed
    with pytest.raises(ValueError, match=r"tree.*at least 3.*got 2"):
        load_agents(runs, TreeSearch(), (2,), PAPER)


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        (("dreamer",), "unknown agent 'dreamer'.*'random', 'shortest-path' or LABEL=RUN.*standard, tree, shooting"),
        (("a/b=run",), "unknown agent 'a/b=run'"),
        (("h=",), "unknown agent 'h='"),
        (("h=no/such/run",), "there is no run no/such/run"),
        (("random=run",), "agent names must differ, got 'random' twice"),
    ],
)
def test_unknown_agents_are_an_error(agents: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark(BenchmarkConfig(tmp_path / "out", agents, 5))
    assert not (tmp_path / "out").exists()


def test_wrong_frame_size_is_an_error(tmp_path: Path) -> None:
    config = BenchmarkConfig(tmp_path / "out", (f"h={untrained(tmp_path / 'run', 'hrssm')}",), 5)
    with pytest.raises(ValueError, match=r"trained on frames of 32 pixels, .* use --camera\.size 32"):
        benchmark(replace(config, camera=replace(config.camera, size=16)))
