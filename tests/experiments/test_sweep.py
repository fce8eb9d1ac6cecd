"""Sweeps: every point and seed has a row, a failed one is named and costs no other, wrong lists are one line."""

import csv
import json
from pathlib import Path

import pytest

from agent.data.collect import CollectConfig, collect
from experiments.sweep import SweepConfig, read_list, sweep
from tests.support.files import content
from tests.support.maze_runs import step_of
from tests.support.sweeps import write_list


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "maze"
    collect(CollectConfig(folder, steps=1000))
    return folder


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_point_has_rows_and_a_failed_one_costs_no_other(data: Path, tmp_path: Path, capsys) -> None:
    both = 'seeds = [0, 1]\n[grid]\nlearning-rate = [1e-3]\n[[point]]\nname = "wrong"\ntrain = "--options horizon=99"\n'
    config = SweepConfig(write_list(tmp_path / "list.toml", data, both), tmp_path / "out", processes=1)
    with pytest.raises(ValueError, match=r"2 of 4 failed, repeat.*wrong, seed 0: .*frames.*wrong, seed 1"):
        sweep(config)
    assert [(row["point"], row["seed"], row["steps"]) for row in rows(config.out)] == [
        ("learning-rate-0.001", str(seed), "3") for seed in (0, 1)
    ]
    shown = capsys.readouterr()
    assert "learning-rate-0.001" in shown.out
    assert "train rssm" not in shown.err  # one bar for all
    assert "train rssm" in (config.out / "learning-rate-0.001/seed-0/log.txt").read_text()
    point = json.loads((config.out / "sweep.json").read_text())["points"]["learning-rate-0.001"]
    assert point["seeds"] == [0, 1]
    low, high = point["reward_over_ceiling_ci95"]
    assert low <= point["reward_over_ceiling"] <= high
    assert point["worst_seed"] <= point["reward_over_ceiling"]

    before = {name: value for name, value in content(config.out).items() if "benchmark" in name or "run" in name}
    write_list(config.list, data, "seeds = [0, 1]\n[grid]\nlearning-rate = [1e-3, 2e-3]\n")
    sweep(config)
    assert len(rows(config.out)) == 4
    assert before.items() <= content(config.out).items()  # what is there is not made again
    assert step_of(config.out / "learning-rate-0.002/seed-1/run") == 3


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", r"needs points.*got 0 points"),
        ("seeds = [1, 1]\n[grid]\nsteps = [3]\n", r"different seeds.*\[1, 1\]"),
        ("[grid]\nstpes = [3]\n", r"list.toml: .*stpes"),
        ("grids = 3\n[grid]\nsteps = [3]\n", r"not a sweep.*unknown entry grids"),
        ("[grid]\nseed = [3]\n", r"gives --seed to seed-3: leave it out"),
        ('[[point]]\nname = "a/b"\ntrain = ""\n', r"not a sweep.*name.*a/b"),
        ('[[point]]\nname = "a"\ntrain = ""\n[[point]]\nname = "a"\ntrain = ""\n', r"two points have one name"),
        ('[[point]]\nname = "a"\ntrain = "--options nothing=1"\n', r"list.toml: unknown option 'nothing'"),
        ("[grid\n", r"not a sweep"),
    ],
)
def test_a_wrong_list_is_one_line_before_any_work(data: Path, tmp_path: Path, rest: str, message: str) -> None:
    path = write_list(tmp_path / "list.toml", data, rest)
    with pytest.raises(ValueError, match=message):
        sweep(SweepConfig(path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_missing_data_and_a_missing_list_are_named(tmp_path: Path) -> None:
    path = write_list(tmp_path / "list.toml", tmp_path / "nowhere", "[grid]\nsteps = [3]\n")
    with pytest.raises(ValueError, match="nowhere"):
        read_list(path, tmp_path / "out")
    with pytest.raises(ValueError, match=r"there is no list .*other\.toml"):
        read_list(tmp_path / "other.toml", tmp_path / "out")


def test_the_example_is_a_list(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "experiments/configs/sweep.toml"
    path = tmp_path / "list.toml"
    path.write_text(example.read_text().replace("data/paper", str(data)))
    pieces = read_list(path, tmp_path)
    assert len(pieces) == 15
    assert pieces[0].point == "learning-rate-0.001_options-horizon=36"
    assert (pieces[-1].training.variant, pieces[-1].training.recipe.steps) == ("vta", 3000)
