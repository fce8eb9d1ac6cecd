"""The report's plots: rewards, reward over budget, success by the length of the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from experiments.figures.benchmarks import Benchmarks, Entry
from experiments.figures.style import GREY, label_name
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.summary import Episodes
from experiments.report.charts import Plane, Point, Series, legend, round_steps

BIN = 5
"""reward in a bar"""
WAY = 8
"""steps of the shortest way that count as one length"""
ShownEntry = tuple[str, str, Entry]
"""name, colour, entry"""
DASHES = ("", "7 4", "2 3", "10 3 2 3")
"""of agents of one colour, such as one at several budgets"""


def rewards(found: Benchmarks, shown: Sequence[ShownEntry], life: int) -> str:
    """A histogram per agent; unsolved episodes have a bar of their own below 0."""
    agents: list[tuple[str, str, Episodes]] = [(name, colour, entry.episodes) for name, colour, entry in shown]
    agents += [(name, GREY, episodes) for name, episodes, _ in _baselines(found)]
    charts = [_histogram(*agent, life) for agent in agents]
    return f'<div class="charts">{"".join(charts)}</div>'


def _histogram(name: str, colour: str, episodes: Episodes, life: int) -> str:
    solved, bins = episodes["success"] == 1, -(-life // BIN)
    counts, edges = np.histogram(episodes["reward"][solved], bins=bins, range=(0, bins * BIN))
    share, unsolved = counts / len(solved), float((~solved).mean())
    top = max(float(share.max()), unsolved, 0.01) * 1.05
    plane = Plane((-2.5 * BIN, float(edges[-1])), (0.0, top), height=170, width=352)
    places = [(x, f"{x:.0f}") for x in edges[4::4].tolist()]
    plane.ticks([(-1.5 * BIN, "unsolved"), *places], [(y, f"{y:.0%}") for y in round_steps(top, 3)])
    plane.bar((-2.0 * BIN, -1.0 * BIN), (0.0, unsolved), GREY, f"not solved: {unsolved:.1%} of {len(solved)} episodes")
    for height, left in zip(share.tolist(), edges[:-1].tolist(), strict=True):
        if height:
            says = f"reward {left:.0f} to {left + BIN:.0f}: {height:.1%}"
            plane.bar((left + 0.4, left + BIN - 0.4), (0.0, height), colour, says)
    caption = f"{escape(name)}: mean reward {episodes['reward'].mean():.1f}"
    chart = plane.svg(f"Rewards of {name}", "reward", "share")
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def budget(found: Benchmarks, shown: Sequence[ShownEntry], life: int) -> str:
    """Mean reward against what a decision spends."""
    points: dict[tuple[str, str], list[Point]] = {}
    for _, colour, entry in shown:
        its = entry.episodes
        spent = float(its["transitions"].sum() / max(its["decisions"].sum(), 1))
        mean, half = float(its["reward"].mean()), _half(its["reward"])
        says = f"reward {mean:.1f} ± {half:.1f} with {spent:.0f} of {entry.facts['budget']} transitions per decision"
        key = (label_name(entry.facts["label"], entry.facts["model"]), colour)
        points.setdefault(key, []).append(Point(math.log10(max(spent, 1)), mean, mean - half, mean + half, says))
    if not points:
        return "<p>No agent plans.</p>"
    places = [point.x for each in points.values() for point in each]
    low, high = math.floor(min(places)), math.ceil(max(places) + 1e-9)
    plane = Plane((float(low), float(max(high, low + 1))), (0.0, float(life)))
    plane.ticks(
        [(float(x), f"{10**x:g}") for x in range(low, max(high, low + 1) + 1)],
        [(y, f"{y:g}") for y in round_steps(float(life))],
    )
    baselines = _baselines(found)
    for name, episodes, dashes in baselines:
        plane.level(float(episodes["reward"].mean()), f"{name}: {episodes['reward'].mean():.1f}", dashes)
    for (name, colour), its_points in points.items():
        plane.series(Series(name, colour, sorted(its_points)))
    chart = plane.svg("Mean reward over budget", "model transitions per decision", "mean reward")
    lines = "; ".join(f"{says}: {name}" for says, (name, _, _) in zip(("Dotted", "dashed"), baselines, strict=False))
    return (
        legend([(name, colour, "") for name, colour in points])
        + chart
        + f'<p class="small">{lines}. Bars: 95 % intervals.</p>'
    )


def ways(found: Benchmarks, shown: Sequence[ShownEntry]) -> str:
    """Share of solved episodes by the shortest path's length."""
    lengths = found.floor["shortest_path"]
    top = (int(lengths.max()) // WAY + 1) * WAY
    plane = Plane((0.0, float(top)), (0.0, 1.02))
    plane.ticks(
        [(x, f"{x:g}") for x in round_steps(float(top), 8)], [(y, f"{y:.0%}") for y in (0.0, 0.25, 0.5, 0.75, 1.0)]
    )
    agents = [(name, colour, entry.episodes) for name, colour, entry in shown] + [(FLOOR, GREY, found.floor)]
    series: list[Series] = []
    for number, (name, colour, episodes) in enumerate(agents):
        beside = 0.7 * (number - (len(agents) - 1) / 2)  # so that equal points do not hide each other
        points = []
        for first in range(0, top, WAY):
            inside = (episodes["shortest_path"] >= first) & (episodes["shortest_path"] < first + WAY)
            count = int(inside.sum())
            if count:
                share = float(episodes["success"][inside].mean())
                low, high = _wilson(share, count)
                says = f"ways of {first} to {first + WAY - 1} steps: {share:.1%} of {count} solved"
                points.append(Point(first + WAY / 2 + beside, share, low, high, says))
        alike = sum(other.colour == colour for other in series)
        series.append(Series(name, colour, points, dashes=DASHES[alike % len(DASHES)]))
    for each in series:
        plane.series(each)
    return legend([(each.name, each.colour, each.dashes) for each in series]) + plane.svg(
        "Success by length of the way", "steps of the shortest way", "solved"
    )


def _baselines(found: Benchmarks) -> list[tuple[str, Episodes, str]]:
    """Floor and, where it is known, ceiling: name, episodes, dashes of the line."""
    floor = [(FLOOR, found.floor, "2 4")]
    return floor + ([] if found.ceiling is None else [(CEILING, found.ceiling, "8 4")])


def _half(values: np.ndarray) -> float:
    """Half of the 95 % interval of a mean, by its standard error."""
    return float(1.96 * values.std() / math.sqrt(len(values)))


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z = 1.96
    middle, width = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return tuple((middle + sign * width) / (1 + z * z / count) for sign in (-1, 1))  # type: ignore[return-value]
