"""Figures from a benchmark's folder alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from agent.acting.agents import RandomAgent, ShortestPathAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.figures import plots
from experiments.figures.plots import PlotConfig, plot
from experiments.navigation.episode_files import EpisodeFile, read_episodes, write_paths
from experiments.navigation.summary import summarise

PAPER = Layout.paper()


def folder_of(path: Path, facts: dict[str, dict], episodes: int = 30) -> Path:
    """A finished benchmark whose trained agents walk at random."""
    for name in ("episodes", "paths"):
        (path / name).mkdir(parents=True)
    for name in facts:
        agent = ShortestPathAgent(PAPER) if name == "shortest-path" else RandomAgent(seed=len(name))
        file = EpisodeFile(path / "episodes" / f"{name}.csv", name, range(100_000, 100_000 + episodes), episodes)
        result = navigate(agent, PAPER, file.seeds, record=True)
        file.append(result | {"transitions": result["decisions"] * facts[name].get("budget", 0)})
        write_paths(path / "paths" / f"{name}.npz", result)
    numbers = summarise({name: read_episodes(path / "episodes" / f"{name}.csv") for name in facts}, facts)
    summary = {"episodes": episodes, "layout": "paper", "first_seed": 100_000} | numbers
    (path / "summary.json").write_text(json.dumps(summary))
    return path


UNTRAINED: dict[str, object] = {"trained": False}


def trained(label: str, budget: int) -> dict[str, object]:
    return {"trained": True, "label": label, "budget": budget}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by their files' names, caught where they are saved."""
    caught: dict[str, Figure] = {}
    save = plots.save_png

    def catch(figure: Figure, path: Path) -> None:
        caught[path.name] = figure
        save(figure, path)

    monkeypatch.setattr(plots, "save_png", catch)
    return caught


def test_one_budget_makes_two_pictures(tmp_path: Path, figures: dict[str, Figure]) -> None:
    run = folder_of(tmp_path, {"random": UNTRAINED, "hrssm": trained("hrssm", 2), "shortest-path": UNTRAINED})
    pictures = plot(PlotConfig(run))
    assert [path.name for path in pictures] == ["rewards.png", "routes.png"]
    for path in pictures:
        height, width, _ = imread(path).shape
        assert width == 1200
        assert height > 400


def test_histogram_counts_the_solved_episodes(tmp_path: Path, figures: dict[str, Figure]) -> None:
    run = folder_of(tmp_path, {"random": UNTRAINED, "hrssm": trained("hrssm", 2), "shortest-path": UNTRAINED})
    plot(PlotConfig(run))
    panels = figures["rewards.png"].axes  # two a row: share of unsolved episodes, rewards of the others
    for row, name in enumerate(("random", "hrssm", "shortest-path")):
        episodes = read_episodes(run / "episodes" / f"{name}.csv")
        (unsolved,) = panels[2 * row].patches
        assert unsolved.get_width() == pytest.approx(1 - episodes["success"].mean())  # type: ignore[attr-defined]
        bars = [patch.get_height() for patch in panels[2 * row + 1].patches[:20]]  # type: ignore[attr-defined]
        assert sum(bars) == episodes["success"].sum()
        assert f"{episodes['reward'].mean():.1f}" in [text.get_text() for text in panels[2 * row + 1].texts]


def test_budgets_make_a_third_picture(tmp_path: Path, figures: dict[str, Figure]) -> None:
    budgets = {f"{label}@{budget}": trained(label, budget) for label in ("hrssm", "rssm") for budget in (3, 39)}
    run = folder_of(tmp_path, {"random": UNTRAINED, **budgets, "shortest-path": UNTRAINED})
    assert plots.BUDGET in [path.name for path in plot(PlotConfig(run))]
    reward, _ = figures["budget.png"].axes
    lines = {str(line.get_label()): line for line in reward.lines}
    assert set(lines) == {"random", "shortest-path", "hrssm", "rssm"}
    assert np.asarray(lines["hrssm"].get_xdata()) == pytest.approx([3, 39])
    assert len({lines[label].get_color() for label in ("hrssm", "rssm", "random")}) == 3
    titles = [axes.get_title() for axes in figures["routes.png"].axes]
    assert [title.partition(":")[0] for title in titles[::3]] == ["random", "hrssm@39", "rssm@39"]  # the last


def test_route_ends_at_the_goal_or_at_a_cross(tmp_path: Path, figures: dict[str, Figure]) -> None:
    run = folder_of(tmp_path, {"random": UNTRAINED, "shortest-path": UNTRAINED})
    plot(PlotConfig(run))
    success = read_episodes(run / "episodes" / "random.csv")["success"][:3]
    for axes, solved in zip(figures["routes.png"].axes, success, strict=True):
        markers = [line.get_marker() for line in axes.lines]
        assert ("X" in markers) == (not solved)
        assert ("not solved" in axes.get_title()) == (not solved)


def test_a_single_episode_can_be_drawn(tmp_path: Path) -> None:
    run = folder_of(tmp_path, {"random": UNTRAINED, "h": trained("h", 1), "shortest-path": UNTRAINED}, episodes=1)
    assert all(path.exists() for path in plot(PlotConfig(run)))


def test_folder_without_a_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no finished benchmark: run 'jumpy benchmark --out"):
        plot(PlotConfig(tmp_path))
    (tmp_path / "summary.json").write_text('{"agents"')  # half written
    with pytest.raises(ValueError, match="holds no finished benchmark"):
        plot(PlotConfig(tmp_path))


def test_a_benchmark_of_an_older_version_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"agents": {"hrssm": {"label": "hrssm", "depth": 5}}}')
    with pytest.raises(ValueError, match=r"older version.*--overwrite"):
        plot(PlotConfig(tmp_path))


def test_missing_episodes_are_named(tmp_path: Path) -> None:
    run = folder_of(tmp_path, {"random": UNTRAINED, "shortest-path": UNTRAINED}, episodes=2)
    (run / "episodes" / "random.csv").unlink()
    with pytest.raises(ValueError, match=r"random\.csv is missing"):
        plot(PlotConfig(run))
