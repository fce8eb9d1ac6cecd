"""The numbers of a benchmark, by hand."""

import json

import numpy as np
import pytest

from experiments.navigation.summary import summarise, summary_table

UNTRAINED = {"trained": False}


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
    summary = summarise(runs, {"random": UNTRAINED, "h": {"trained": True, "budget": 3}, "shortest-path": UNTRAINED})
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


def test_differences_are_of_trained_agents_of_the_same_budget() -> None:
    rows = {"steps": np.array([10, 20]), "success": np.array([1, 1]), "decisions": np.array([1, 1])}
    rows |= {"transitions": np.array([3, 3]), "planning_seconds": np.array([0.1, 0.1])}
    names = ("random", "a", "b", "c", "shortest-path")
    episodes = {name: rows | {"reward": np.array([90, 80]) - place} for place, name in enumerate(names)}
    facts = {name: {"trained": True, "budget": budget} for name, budget in (("a", 3), ("b", 12), ("c", 3))}
    summary = summarise(episodes, {"random": UNTRAINED, **facts, "shortest-path": UNTRAINED})
    [difference] = summary["differences"]
    assert (difference["agents"], difference["mean_reward"]) == (["a", "c"], 2)
