"""Routes on the map, from a benchmark's folder alone."""

from pathlib import Path

from matplotlib.figure import Figure

from experiments.figures.routes import measure_routes, plot_routes
from experiments.navigation.episode_files import read_episodes, read_summary
from tests.support.benchmark_folders import trained, walked


def _drawn(run: Path) -> Figure:
    numbers = measure_routes((run,))
    assert numbers is not None
    return plot_routes(numbers)


def test_route_ends_at_the_goal_or_at_a_cross(tmp_path: Path) -> None:
    run = walked(tmp_path, {})
    success = read_episodes(run, "random", read_summary(run))["success"][:3]
    for axes, solved in zip(_drawn(run).axes, success, strict=True):
        markers = [line.get_marker() for line in axes.lines]
        assert ("X" in markers) == (not solved)
        assert ("not solved" in axes.get_title()) == (not solved)


def test_of_each_label_the_largest_budget_is_shown(tmp_path: Path) -> None:
    agents = {f"{label}@{depth}": trained(label, depth) for label in ("hrssm", "mine") for depth in (3, 1)}
    figure = _drawn(walked(tmp_path, agents))
    titles = [axes.get_title().partition(":")[0] for axes in figure.axes[::3]]
    assert titles == ["random", "hrssm@3", "mine@3"]


def test_a_single_episode_can_be_shown(tmp_path: Path) -> None:
    assert len(_drawn(walked(tmp_path, {"h": trained("h", 1)}, episodes=1)).axes) == 2
