"""Layouts and training seeds side by side: the numbers of one after the other, and what fails costs no other."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.system.pieces import Workers
from agent.training.runs import CHECKPOINT
from experiments.navigation.navigation import NavigationConfig, navigation
from experiments.navigation.unseen import UnseenConfig, unseen
from planners.tree import TreeSearch
from tests.support.navigation_runs import untrained

pytestmark = pytest.mark.cluster

RAY = Workers(engine="ray", processes=2)


def points(config: UnseenConfig) -> dict[str, list[dict[str, Any]]]:
    """Every layout's points without their times."""
    found = {name: json.loads((config.out / name / "unseen.json").read_text())["points"] for name in config.layouts}
    return {
        name: [{key: value for key, value in point.items() if "minutes" not in key} for point in its]
        for name, its in found.items()
    }


def test_layouts_side_by_side_have_the_points_of_one_after_the_other(tmp_path: Path, capfd) -> None:
    torch.set_num_threads(1)
    layouts = ("random-1", "random-2")
    alone = UnseenConfig(
        tmp_path / "alone", layouts, 1000, 2, 2, 4, depth=1, device="cpu", numbers=tmp_path / "alone-numbers"
    )
    unseen(alone)
    beside = replace(alone, out=tmp_path / "beside", numbers=tmp_path / "numbers", processes=2)
    capfd.readouterr()
    unseen(beside)
    assert points(beside) == points(alone)
    assert "train to step" not in capfd.readouterr().out
    assert "train to step 2" in (beside.out / "random-2" / "log.txt").read_text()
    assert (beside.numbers / "unseen.csv").exists()


def test_seeds_side_by_side_have_the_rows_of_one_after_the_other(tmp_path: Path) -> None:
    runs = tuple(untrained(tmp_path / f"hrssm-{seed}", "hrssm", seed=seed) for seed in (0, 1))
    alone = NavigationConfig(
        hrssm=runs,
        out=tmp_path / "alone",
        json=tmp_path / "alone.json",
        episodes=4,
        first_seed=100_000,
        hrssm_planner=TreeSearch(depth=1),
        device="cpu",
    )
    rows = navigation(alone)
    beside = replace(alone, out=tmp_path / "beside", json=tmp_path / "beside.json", **RAY.workers)
    assert navigation(beside) == rows
    shutil.rmtree(beside.out / "ours-quick" / "seed-1" / "hrssm@3")
    (beside.out / "ours-quick" / "seed-1" / "hrssm@3").write_text("in the way")
    with pytest.raises(ValueError, match=r"1 of 2 failed.*seed 1: .*hrssm@3"):
        navigation(replace(beside, overwrite=True))
    assert (runs[0] / CHECKPOINT).exists()
