"""The commands that measure and plot leave the pictures next to their numbers."""

from pathlib import Path

import pytest

from experiments.common.numbers import Numbers, write_numbers
from experiments.figures import measured
from experiments.navigation.benchmark import BenchmarkConfig
from experiments.navigation.unseen import UnseenConfig


def test_a_benchmark_has_its_pictures(tmp_path: Path) -> None:
    summary = measured.benchmark_and_plot(BenchmarkConfig(tmp_path, episodes=2))
    assert summary["episodes"] == 2
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["rewards.png", "routes.png"]


@pytest.mark.parametrize("median", [[{"minutes": 1, "reward_over_ceiling": 0.5}], []], ids=["median", "none"])
def test_unseen_layouts_are_plotted_from_their_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, median: list
) -> None:
    def unseen(config: UnseenConfig) -> dict:
        rows = [
            {"layout": "random-1", "minutes": n, "reward_over_ceiling": 0.5, "low": 0.4, "high": 0.6} for n in (1, 2)
        ]
        facts = {"median": median, "within": {"reach": 0.95, "minutes": 10}}
        write_numbers(config.numbers, "unseen", Numbers(facts, rows), "jumpy unseen")
        return facts

    monkeypatch.setattr(measured, "unseen", unseen)
    assert measured.unseen_and_plot(UnseenConfig(numbers=tmp_path))["within"]["reach"] == 0.95
    assert (tmp_path / "unseen.png").is_file()
