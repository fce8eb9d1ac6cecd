"""Figures of planning far: benchmarks of several mazes, and the map and a walk of a run of random weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from experiments.figures.far import measure_far, plot_far
from experiments.figures.journey import measure_journey, plot_journey
from experiments.figures.map import measure_map, plot_map
from experiments.navigation.imagining import Episode
from planners.merging import Merging
from tests.support.benchmark_folders import of_two_seeds
from tests.support.navigation_runs import untrained


def test_each_maze_has_a_panel_and_each_label_its_points(tmp_path: Path) -> None:
    of_two_seeds(tmp_path / "one")
    of_two_seeds(tmp_path / "two")
    for path in (tmp_path / "two").rglob("summary.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"layout": "large-1"}))
    numbers = measure_far((tmp_path,))
    paper, large = numbers.facts["mazes"].values()
    assert list(numbers.facts["mazes"]) == ["paper", "large-1"]
    assert (paper["hallways"], large["hallways"]) == (28, 72)
    assert [(point["label"], point["budget"]) for point in paper["points"]] == [
        ("hrssm", 3), ("hrssm", 12), ("rssm", 3), ("rssm", 12)
    ]  # fmt: skip
    first = paper["points"][0]
    # 49.5, 40, 30, 80, 0, 0 over 80, 75, 70, 90, 80, 60: see `of_two_seeds`
    assert first["reward_over_ceiling"] == pytest.approx(199.5 / 455)
    assert first["training_seeds"] == [0, 1]
    # shortest paths of 20, 25, 30, 10, 20 and 40 steps; all but the last are solved
    assert first["by_distance"] == [[0.0, 1.0, 1.0], [15.0, 1.0, 3.0], [30.0, 0.5, 2.0]]
    assert len(plot_far(numbers).axes) == 4
    with pytest.raises(ValueError, match="no finished benchmark"):
        measure_far((tmp_path / "nothing",))


def test_a_map_is_drawn_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.figures.map.ARRIVALS", 2)
    run = load_trained(untrained(tmp_path / "run", "hrssm"))
    numbers = measure_map([run, run], 0)
    one, other = numbers.facts["maps"]
    assert one == other
    assert one["layout"] == "paper"
    assert 0 <= one["scores"]["node_f1"] <= 1
    assert len(one["right_node"]) == len(one["pose"]) > 0
    assert len(plot_map(numbers).axes) == 2


def test_a_journey_is_the_longest_way_and_shows_the_trees_of_its_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.figures.journey.EPISODES", 20)
    monkeypatch.setattr("experiments.figures.journey.PLANNER", Merging(transitions=20))
    numbers = measure_journey([load_trained(untrained(tmp_path / "run", "hrssm"))], 0)
    facts, layout = numbers.facts, Layout.paper()
    episode = facts["episode"]
    others = [Episode.of(layout, 100_000 + number) for number in range(20)]
    start, goal = (np.array([getattr(each, name) for each in others], np.int16) for name in ("start", "goal"))
    assert episode["shortest_path"] == Dynamics.of(layout).distance(start, goal).max()
    assert len(facts["poses"]) == episode["steps"] + 1
    assert episode["solved"] == (facts["poses"][-1][:2] == list(episode["goal"]))
    for decision in facts["decisions"]:
        assert 0 < decision["spent"] == len(decision["parent"]) <= 20
        # a chosen trajectory goes from parent to child, from the agent on
        assert [decision["parent"][node] for node in decision["chosen"]] == [-1, *decision["chosen"][:-1]]
    assert len(plot_journey(numbers).axes) == 4
