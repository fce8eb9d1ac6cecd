"""Charts as SVG, in which every mark says its value when one points at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

WIDTH, LEFT, BOTTOM, TOP, RIGHT = 720, 52, 44, 14, 22


class Point(NamedTuple):
    """A value with its interval."""

    x: float
    y: float
    low: float
    high: float
    says: str


class Series(NamedTuple):
    """Points of one agent, joined where `line`."""

    name: str
    colour: str
    points: Sequence[Point]
    line: bool = True
    dashes: str = ""
    """of the line, where several agents have one colour"""


@dataclass
class Plane:
    """Axes with room for marks; the units are those of the values."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: int = 280
    width: int = WIDTH
    marks: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a value."""
        (left, right), (low, high) = self.x, self.y
        wide, tall = self.width - LEFT - RIGHT, self.height - TOP - BOTTOM
        return LEFT + wide * (x - left) / (right - left), TOP + tall * (1 - (y - low) / (high - low))

    def ticks(self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]]) -> None:
        """Grid lines and labels."""
        for value, text in y:
            _, at = self.at(self.x[0], value)
            self.marks.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{self.width - RIGHT}"/>')
            self.marks.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        for value, text in x:
            at, _ = self.at(value, self.y[0])
            foot = self.height - BOTTOM
            self.marks.append(f'<text x="{at:.1f}" y="{foot + 17}" text-anchor="middle">{escape(text)}</text>')

    def bar(self, x: tuple[float, float], y: tuple[float, float], colour: str, says: str) -> None:
        """A rectangle between two corners."""
        (left, top), (right, bottom) = self.at(x[0], y[1]), self.at(x[1], y[0])
        size = f'x="{left:.1f}" y="{top:.1f}" width="{max(0, right - left):.1f}" height="{max(0, bottom - top):.1f}"'
        self.marks.append(f'<rect {size} fill="{colour}">{title(says)}</rect>')

    def level(self, y: float, says: str, dashes: str) -> None:
        """A line across all values."""
        _, at = self.at(self.x[0], y)
        self.marks.append(
            f'<path class="level" stroke-dasharray="{dashes}" d="M{LEFT} {at:.1f}H{self.width - RIGHT}">'
            f"{title(says)}</path>"
        )

    def series(self, series: Series) -> None:
        """Points with their intervals."""
        places = [self.at(point.x, point.y) for point in series.points]
        if series.line and len(places) > 1:
            way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            dashes = f'stroke-dasharray="{series.dashes}" ' if series.dashes else ""
            self.marks.append(f'<path class="line" stroke="{series.colour}" {dashes}d="M{way}"/>')
        for point, (x, y) in zip(series.points, places, strict=True):
            (_, low), (_, high) = self.at(point.x, point.low), self.at(point.x, point.high)
            self.marks.append(
                f'<g stroke="{series.colour}" fill="{series.colour}">{title(f"{series.name}: {point.says}")}'
                f'<path d="M{x:.1f} {low:.1f}V{high:.1f}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4"/></g>'
            )

    def svg(self, name: str, x: str, y: str) -> str:
        """The chart, with the axes' titles; `name` is for screen readers."""
        middle = (TOP + self.height - BOTTOM) / 2
        titles = (
            f'<text class="axis" x="{(LEFT + self.width - RIGHT) / 2}" y="{self.height - 6}" text-anchor="middle">'
            f'{escape(x)}</text><text class="axis" transform="translate(13 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(y)}</text>'
        )
        view = f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(name, quote=True)}"'
        return f'<svg class="chart" {view}>{"".join(self.marks)}{titles}</svg>'


def legend(series: Sequence[tuple[str, str, str]]) -> str:
    """Names with their colours and the dashes of their lines."""
    parts = (
        f'<span><svg width="26" height="12"><path d="M0 6H26" stroke="{colour}" stroke-width="4" '
        f'stroke-dasharray="{dashes}"/></svg> {escape(name)}</span>'
        for name, colour, dashes in series
    )
    return f'<p class="legend">{" ".join(parts)}</p>'


def round_steps(high: float, number: int = 5) -> list[float]:
    """Round values from 0 up to about `high`."""
    size = next(
        float(base * 10**power) for power in range(-3, 9) for base in (1, 2, 5) if base * 10**power * number >= high
    )
    return [size * step for step in range(int(high / size + 1e-9) + 1)]


def title(text: str) -> str:
    """What a mark says."""
    return f"<title>{escape(text)}</title>"
