"""Benchmarks that fit together, and those that do not."""

import json
import shutil
from pathlib import Path

import pytest

from experiments.figures.benchmarks import colours_of, headline, read_benchmarks
from experiments.figures.style import GREY
from tests.support.benchmark_folders import SEEDS, of_two_seeds, trained, walked


def test_entries_are_ordered_by_label_budget_and_seed(tmp_path: Path) -> None:
    found = read_benchmarks([of_two_seeds(tmp_path)])
    keys = [(label, budget, seed) for label in ("hrssm", "rssm") for budget in (3, 12) for seed in (0, 1)]
    assert [entry.key for entry in found.entries] == keys
    assert found.facts == {"episodes": 6, "first_seed": SEEDS[0], "layout": "paper", "life_steps": 100}


def test_two_measurements_of_one_agent_have_to_agree(tmp_path: Path) -> None:
    own = of_two_seeds(tmp_path) / "ours-quick" / "seed-0"
    once = read_benchmarks([tmp_path])
    shutil.copytree(own / "rssm-tree@1,2", tmp_path / "dlh-ours-quick" / "seed-0" / "rssm-tree@1,2")
    assert {entry.key for entry in read_benchmarks([tmp_path]).entries} == {entry.key for entry in once.entries}
    walked(own / "other", {"rssm@1": trained("rssm", 1, "rssm")}, 6)
    with pytest.raises(ValueError, match=r"both measured rssm.*budget 3.*--benchmarks"):
        read_benchmarks([tmp_path])


@pytest.mark.parametrize(("old", "new"), [('"variant": "ours"', '"variant": "vta"'), ('"paper"', '"random-1"')])
def test_benchmarks_of_different_kinds_raise(tmp_path: Path, old: str, new: str) -> None:
    path = of_two_seeds(tmp_path) / "ours-quick" / "seed-1" / "rssm-tree@1,2" / "summary.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match="of one kind"):
        read_benchmarks([tmp_path])


def test_of_benchmarks_of_different_lengths_the_common_episodes_count(tmp_path: Path) -> None:
    own = of_two_seeds(tmp_path) / "ours-quick" / "seed-1" / "rssm-tree@1,2"
    for file in (own / "episodes").iterdir():
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
    (own / "summary.json").write_text((own / "summary.json").read_text().replace('"episodes": 6', '"episodes": 4', 1))
    found = read_benchmarks([tmp_path])
    assert found.facts["episodes"] == 4 and found.ceiling is not None
    for episodes in (found.floor, found.ceiling, *(entry.episodes for entry in found.entries)):
        assert episodes["seed"].tolist() == [*SEEDS][:4]


def test_missing_episodes_raise(tmp_path: Path) -> None:
    run = walked(tmp_path, {}, episodes=2)
    (run / "episodes" / "random.csv").unlink()
    with pytest.raises(ValueError, match=r"random\.csv is missing"):
        read_benchmarks([run])


def test_labels_of_one_model_have_different_colours(tmp_path: Path) -> None:
    agents = [trained("hrssm", 1), trained("mine", 1), trained("rssm", 1, "rssm")]
    colours = colours_of(agents)
    assert len({*colours.values(), GREY}) == 4
    assert colours["rssm"] == colours_of(agents[2:])["rssm"]  # whatever the other agents are


def test_headline_warns_of_another_maze(tmp_path: Path) -> None:
    run = walked(tmp_path, {"h": trained("h", 1) | {"warning": "trained elsewhere"}, "f": trained("f", 1)}, episodes=2)
    found = read_benchmarks([run])
    agents = [entry.facts for entry in found.entries]
    assert headline(found.facts, agents) == "2 episodes, layout paper, ours, quick.\ntrained elsewhere"
    other = agents[0] | {"variant": "vta", "warning": None}
    assert headline(found.facts, [other, agents[1]]) == "2 episodes, layout paper."
    assert json.loads((run / "summary.json").read_text())["agents"]["h"]["budget"] == 3
