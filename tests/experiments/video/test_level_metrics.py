"""Metrics of a hierarchy's levels: by hand, and for a perfect one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agent.data.replay import Replay
from experiments.common.trained_runs import TrainedRun
from experiments.video import level_metrics
from tests.support.video_runs import FRAMES, TESTED, videos
from world_models.dlh.dlh import Changes
from world_models.interface import Batch, Losses


def test_changes_by_hand():
    true = np.array([[0, 1, 0, 0, 1, 0, 0, 1]], bool)
    second = np.array([[1, 1, 0, 0, 0, 1, 0, 0]], bool)  # exact, a frame late, none
    third = np.array([[1, 1, 0, 0, 0, 0, 0, 0]], bool)
    columns = level_metrics.changing(np.stack([np.ones_like(true), second, third], -1), true)
    assert {name: values.item() for name, values in columns.items()} == {
        "levels_used": pytest.approx((7 + 2 + 1) / 7),
        "change": pytest.approx(3 / 7),
        "found": 2,
        "true": 3,
        "paired": 2,
        "paired_exact": 1,
        "paired_other": 2,  # there is no other
    }
    found = level_metrics.estimates(columns, level_metrics.CHANGES)
    assert found["f1"].value == pytest.approx(2 * 2 / (2 + 3))
    assert found["f1_exact"].value == pytest.approx(2 * 1 / (2 + 3))
    assert (found["precision"].value, found["recall"].value) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


def test_by_chance_is_what_another_videos_changes_would_give():
    true = np.array([[0, 1, 0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0]], bool)
    columns = level_metrics.changing(np.stack([true, true], -1), true)
    found = level_metrics.estimates(columns, level_metrics.CHANGES)
    assert (found["f1"].value, found["f1_chance"].value) == (1.0, pytest.approx((1 + 1) / (3 + 1)))


def test_chances_leave_out_what_cannot_be_foreseen():
    change = np.array([[True, True, True, False, True, False]])
    p = np.array([[1.0, 1.0, 0.5, 0.25, 0.75, 0.0]])
    columns = level_metrics.chances(change, p, "pn")
    numbers = {name: values.item() for name, values in columns.items()}
    assert numbers == {"p_change": 1.25, "n_change": 2, "p_static": 0.25, "n_static": 2}


@pytest.mark.parametrize("recolour", [0.0, 0.3])
def test_generators_chance_is_how_often_colours_change(recolour, tmp_path):
    """The fraction of frames that change is the chance given to them: 1 where a ball bounces, elsewhere lambda."""
    replay = Replay.open(videos(tmp_path / "data", recolour))
    everything = np.arange(replay.episodes)
    fields = replay.slices(everything, np.zeros_like(everything), FRAMES)
    chance = level_metrics.generator_chance(fields["bounce"] > 0, recolour)[:, 1:]
    change = fields["change"][:, 1:]
    assert set(np.unique(chance).round(6)) == {recolour, 1.0}
    assert (change[chance == 1] == 1).all()
    assert change[chance < 1].mean() == pytest.approx(recolour, abs=0.07)
    two = level_metrics.generator_chance(np.array([[[True, False], [False, False]]]), 0.3)
    np.testing.assert_allclose(two, [[1.0, 1 - 0.7**2]])


class Seer(nn.Module):
    """A hierarchy of three levels whose second level changes with the colour and knows the chance of that."""

    def __init__(self, fields: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.change = torch.from_numpy(fields["change"]).float()
        self.bounce = torch.from_numpy(fields["bounce"][..., 0]).float()
        self.config: Any = type("Config", (), {"options": type("Options", (), {"levels": 3})})

    def infer(self, x: Tensor, a: Tensor) -> Changes:
        one = torch.ones_like(self.change)
        return Changes(torch.stack([one, self.change, 0 * one], -1), torch.stack([one, self.bounce, 0 * one], -1))

    def loss(self, batch: Batch, step: int) -> Losses:
        assert batch.observation.shape[0] == 1
        divergences = {"kl_s_1": torch.tensor(6.0), "kl_s_2": torch.tensor(3.0), "kl_s_3": torch.tensor(1.0)}
        return Losses({"kl_e": torch.tensor(0.5)}, {}, divergences)


def test_a_perfect_hierarchy_has_the_generators_numbers(tmp_path, monkeypatch):
    replay = Replay.open(videos(tmp_path / "data"))
    test = np.array(replay.split("test"))
    fields = replay.slices(test, np.zeros_like(test), FRAMES)
    monkeypatch.setattr(level_metrics, "DLH", Seer)
    run = TrainedRun(Path("run"), "run", "dlh", Seer(fields), {"video": {"recolour": 0.0}}, 0, None)
    columns = level_metrics.measure(run, replay)
    assert {len(values) for values in columns.values()} == {TESTED}
    changes = level_metrics.estimates(columns, level_metrics.CHANGES)
    assert {each.value for name, each in changes.items() if name != "f1_chance"} == {1.0}
    assert 0 < changes["f1_chance"].value < 1
    names = [name for name in level_metrics.STATISTICS if not name.startswith("kl_") or name in columns]
    found = {name: each.value for name, each in level_metrics.estimates(columns, [*names, "kl_share_above_2"]).items()}
    assert found["levels_used"] == pytest.approx(found["one_plus_change"])
    assert found["levels_used"] == pytest.approx(1 + fields["change"][:, 1:].mean())
    assert (found["kl"], found["kl_e"], found["kl_share_above_2"]) == (10.0, 0.5, pytest.approx(0.1))
    assert (found["p_change"], found["p_static"]) == (1.0, 0.0)
    assert (found["generator_change"], found["generator_static"]) == (1.0, 0.0)
