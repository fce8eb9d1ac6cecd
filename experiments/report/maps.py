"""Maps of single episodes as SVG: the ways taken and the tree that was imagined at a wrong turn. Units are cells."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from envs.layout import WALL, Layout
from experiments.navigation.imagining import ACTION_NAMES, Imagination
from experiments.navigation.tree_drawing import curves, strongest
from experiments.report.charts import title
from experiments.report.worst import Walk

MAZE = "maze"
"""id of the symbol that all maps use"""


def maze_symbol(layout: Layout) -> str:
    """The empty map, drawn once for all."""
    height, width = layout.shape
    cells = (
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="#{red:02x}{green:02x}{blue:02x}"/>'
        for y, x in np.argwhere(layout.cells != WALL)
        for red, green, blue in [layout.picture[y, x].tolist()]
    )
    body = f'<rect width="{width}" height="{height}" fill="#e4e4df"/><g opacity=".42">{"".join(cells)}</g>'
    return f'<svg width="0" height="0"><symbol id="{MAZE}" viewBox="0 0 {width} {height}">{body}</symbol></svg>'


def walk_map(layout: Layout, walk: Walk, colour: str) -> str:
    """The way taken, the shortest one, and where it went wrong."""
    gx, gy = walk.episode.goal
    marks = [
        f'<polyline class="best" points="{_points(walk.shortest)}">{title(f"shortest: {len(walk.shortest) - 1} steps")}'
        "</polyline>",
        f'<polyline class="way" stroke="{colour}" points="{_points(walk.poses)}">'
        f"{title(f'taken: {len(walk.poses) - 1} steps')}</polyline>",
        _start(walk.episode.start[0], walk.episode.start[1], "start"),
        _goal(gx, gy),
    ]
    if walk.turn is not None:
        x, y = walk.poses[walk.turn.t, :2] + 0.5
        taken, right = ACTION_NAMES[walk.turn.taken], ACTION_NAMES[walk.turn.right]
        says = f"step {walk.turn.t}: {taken}; the shortest way goes {right}"
        marks.append(f'<g class="turn"><circle cx="{x}" cy="{y}" r=".75"/>{title(says)}</g>')
    return _map(layout, marks, f"Map of episode {walk.episode.seed}")


def tree_map(layout: Layout, walk: Walk, found: Imagination, t: int, colour: str) -> str:
    """The imagined tree; of jumps between the same hallways the one with the largest cosine is drawn."""
    x, y = walk.poses[t, :2].tolist()
    ways, cosine = curves(layout, found, x, y), found.tree.cosine.cpu().numpy()
    marks = []
    for node in strongest(found):
        fit = float(np.clip(cosine[node], 0, 1))
        action = ACTION_NAMES[int(found.tree.action[node])]
        says = f"depth {int(found.tree.depth[node])}, {action}, cosine {cosine[node]:.2f}"
        marks.append(
            f'<path class="jump" stroke="{colour}" stroke-width="{0.05 + 0.16 * fit:.2f}" '
            f'opacity="{0.2 + 0.7 * fit:.2f}" d="{_curve(ways[node])}">{title(says)}</path>'
        )
    way = "".join(_curve(ways[node]) for node in found.trajectory)
    score = f"chosen: cosine {float(found.plan.score[0]):.2f} after {int(found.plan.arrival[0])}"
    marks.append(
        f'<path class="casing" d="{way}"/><path class="chosen" stroke="{colour}" d="{way}">{title(score)}</path>'
    )
    marks.append(_start(x, y, "the agent"))
    return _map(layout, [*marks, _goal(*walk.episode.goal)], f"What was imagined in episode {walk.episode.seed}")


def picture(pixels: UInt8[np.ndarray, "h w 3"], name: str, says: str) -> str:
    """A decoded frame."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return f'<figure><img src="{source}" alt="{name}" width="56" height="56"><figcaption>{says}</figcaption></figure>'


def _map(layout: Layout, marks: Iterable[str], name: str) -> str:
    height, width = layout.shape
    view = f'viewBox="0 0 {width} {height}" role="img" aria-label="{name}"'
    return f'<svg class="map" {view}><use href="#{MAZE}" width="{width}" height="{height}"/>{"".join(marks)}</svg>'


def _start(x: int, y: int, says: str) -> str:
    return f'<circle class="start" cx="{x + 0.5}" cy="{y + 0.5}" r=".4">{title(says)}</circle>'


def _goal(x: int, y: int) -> str:
    rings = ((0.46, "#1d2126"), (0.4, "#fff"), (0.29, "#d0342c"), (0.13, "#fff"))
    circles = "".join(f'<circle r="{radius}" fill="{colour}"/>' for radius, colour in rings)
    return f'<g transform="translate({x + 0.5} {y + 0.5})">{circles}{title("goal")}</g>'


def _points(poses: np.ndarray) -> str:
    return " ".join(f"{x + 0.5},{y + 0.5}" for x, y in poses[:, :2].tolist())


def _curve(way: np.ndarray) -> str:
    (x, y), (cx, cy), (to_x, to_y) = way.round(2).tolist()
    return f"M{x} {y}Q{cx} {cy} {to_x} {to_y}"
