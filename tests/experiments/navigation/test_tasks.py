"""Benchmarks in environments that are known by their ids, without any code about them."""

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from experiments.cli import main
from experiments.figures.commands import PlotConfig, plot
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import read_episodes, read_summary
from experiments.navigation.planning import Standard
from tests.support.ring import Ring

MAZE = BenchmarkConfig(Path(), ("hrssm=pretrained",), 4, Standard(12), first_seed=100_000, batch=4, device="cpu")
SAME = ("seed", "steps", "reward", "success", "shortest_path", "transitions")


@pytest.fixture
def ring():
    gymnasium.register("Ring-v0", lambda **options: Ring(**options))
    yield
    del gymnasium.registry["Ring-v0"]


def test_the_maze_by_its_id_is_the_benchmark_of_the_maze(tmp_path: Path) -> None:
    one = benchmark(replace(MAZE, out=tmp_path / "maze"))
    other = benchmark(replace(MAZE, out=tmp_path / "id", env="envs:JumpyMaze-v0"))
    assert list(one["agents"]) == list(other["agents"]) == ["random", "hrssm", "shortest-path"]
    for agent in one["agents"]:
        found, expected = (
            read_episodes(tmp_path / name, agent, read_summary(tmp_path / name)) for name in ("id", "maze")
        )
        assert all(np.array_equal(found[name], expected[name]) for name in SAME)
        assert agent == "shortest-path" or np.array_equal(found["decisions"], expected["decisions"])  # nobody walks it
    assert "trained on layout paper, benchmarked on envs:JumpyMaze-v0" in other["agents"]["hrssm"]["warning"]


def test_without_a_known_shortest_path_there_is_no_ceiling(ring: None, tmp_path: Path, capsys) -> None:
    config = BenchmarkConfig(tmp_path / "ring", episodes=3, first_seed=7, env="Ring-v0", life_steps=40)
    summary = benchmark(config)
    assert list(summary["agents"]) == ["random"] and summary["environment"]["--env"] == "Ring-v0"
    assert summary["agents"]["random"]["reward_over_ceiling"] is None
    table = capsys.readouterr().out
    assert "no ceiling" in table and "normalised" not in table
    assert sorted(path.name for path in plot(PlotConfig(config.out))) == ["rewards.png", "seen.png"]
    assert main(["report", str(config.out)]) == 0 and main(["inspect", str(config.out)]) == 0
    assert main(["figure", "far", "--measure", "--benchmarks", str(config.out), "--numbers", str(tmp_path)]) == 2
    assert "of mazes" in capsys.readouterr().err
    before = (config.out / "summary.json").read_bytes()
    benchmark(config)
    assert (config.out / "summary.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--agents", "h=pretrained/hrssm-ours", "--env", "Ring-v0"], "goals of shape"),
        (["--env", "Ring-v0", "--layout", "random-3"], "--layout is for the maze"),
        (["--env", "Ring-v0", "--video", "1"], "--video is for the maze"),
        (["--env", "Pendulum-v1"], "only Discrete"),
        (["--life-steps", "50"], "give its --env"),
        (["--actions", "1"], "give its --env"),
        (["--env", "Ring-v0", "--actions", "1", "1"], "different"),
        (["--env", "Ring-v0", "--actions", "2"], "only sees its start"),
    ],
)
def test_what_cannot_be_benchmarked_is_one_line_and_leaves_nothing(ring, tmp_path, capsys, options, message) -> None:
    assert main(["benchmark", "--out", str(tmp_path / "out"), "--episodes", "2", *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("jumpy: error:") and message in error
    assert not (tmp_path / "out").exists()
