"""Agents added to numbers that are there leave these as they are, and must be of the same episodes."""

from pathlib import Path
from typing import Any

import pytest

from experiments.common.numbers import read_numbers
from experiments.figures.artefact import Sources
from experiments.figures.commands import FigureConfig, figure
from tests.support.benchmark_folders import trained, walked


def measure(numbers: Path, benchmark: Path, name: str, **options: Any) -> Any:
    """Measure a figure's numbers from one benchmark, and read them."""
    sources = Sources(benchmarks=(benchmark,))
    figure(FigureConfig(name, measure=True, numbers=numbers, sources=sources, **options))
    return read_numbers(numbers, name, ("json", "csv") if name == "vta-8" else ("json",))


def agents(label: str) -> dict[str, Any]:
    """One label with two budgets."""
    return {f"{label}@{depth}": trained(label, depth) for depth in (1, 2)}


@pytest.mark.parametrize(("name", "listed"), [("vta-8", "agents"), ("budget", "points")])
def test_added_agents_stand_behind_the_others(tmp_path: Path, name: str, listed: str) -> None:
    one, other = (walked(tmp_path / label, agents(label)) for label in ("hrssm", "mine"))
    before = measure(tmp_path / "numbers", one, name)
    with pytest.raises(ValueError, match=r"already there.*--overwrite"):
        measure(tmp_path / "numbers", other, name)
    after = measure(tmp_path / "numbers", other, name, add=True)
    alone = measure(tmp_path / "alone", other, name)
    assert after.facts[listed] == before.facts[listed] + alone.facts[listed]
    assert after.facts["before"] == [{key: before.facts[key] for key in ("command", "commit", "versions")}]
    assert "--add" in after.facts["command"]
    for row, earlier in zip(after.rows, before.rows, strict=True):
        assert {column: row[column] for column in earlier} == earlier
    with pytest.raises(ValueError, match="mine is already there"):
        measure(tmp_path / "numbers", other, name, add=True)


def test_other_episodes_and_other_figures_are_not_added_to(tmp_path: Path) -> None:
    one = walked(tmp_path / "hrssm", agents("hrssm"))
    fewer = walked(tmp_path / "mine", agents("mine"), episodes=3)
    measure(tmp_path / "numbers", one, "vta-8")
    with pytest.raises(ValueError, match="have episodes 30, these 3"):
        measure(tmp_path / "numbers", fewer, "vta-8", add=True)
    with pytest.raises(ValueError, match="takes no --add with --overwrite"):
        measure(tmp_path / "numbers", one, "vta-8", add=True, overwrite=True)
