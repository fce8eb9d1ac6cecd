"""The maze from above: map, agent, goal and a path as one RGB picture.

Shapes are anti-aliased through their signed distance: an array (h, w) of each pixel's distance to the shape's edge in
cells, negative inside.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Int16, Integer, UInt8

from envs.dynamics import MOVES
from envs.layout import WALL, Layout

BLACK, WHITE, RED = (16, 16, 16), (255, 255, 255), (224, 32, 32)
WALL_COLOUR = (40, 42, 46)  # not quite black, so that outlines are visible


def draw_top_view(
    layout: Layout,
    pose: Int16[np.ndarray, " 4"] | None = None,
    goal: Integer[np.ndarray, " 2"] | None = None,
    path: Integer[np.ndarray, "t k"] | None = None,
    cell: int = 24,
) -> UInt8[np.ndarray, "h w 3"]:
    """Render a layout in RGB, north up.

    Args:
        layout: the map.
        pose: the agent (x, y, heading, mode), shown as a white arrow head.
        goal: x, y of the goal cell, shown as a red and white target.
        path: poses or cells (x, y, …) in order, shown as a white line from a dot at the first cell.
        cell: width of a cell in pixels.
    """
    colours = np.where((layout.cells == WALL)[..., None], np.array(WALL_COLOUR, np.uint8), layout.picture)
    picture = colours.repeat(cell, axis=0).repeat(cell, axis=1).astype(np.float64)
    height, width = layout.shape
    x = (np.arange(width * cell) + 0.5) / cell - 0.5  # in cells; the centre of a cell is an integer
    y = ((np.arange(height * cell) + 0.5) / cell - 0.5)[:, None]
    paint = partial(_paint, picture, cell)

    if path is not None and len(path):
        line, first = _to_path(x, y, path), np.hypot(x - path[0, 0], y - path[0, 1])
        paint(BLACK, np.minimum(line - 0.14, first - 0.24))
        paint(WHITE, np.minimum(line - 0.07, first - 0.17))
    if goal is not None:
        for radius, colour in ((0.44, BLACK), (0.38, WHITE), (0.28, RED), (0.12, WHITE)):
            paint(colour, np.hypot(x - goal[0], y - goal[1]) - radius)
    if pose is not None:
        arrow = _to_arrow(x - pose[0], y - pose[1], MOVES[pose[2]])
        paint(BLACK, arrow - 0.07)
        paint(WHITE, arrow)
    return picture.round().astype(np.uint8)


def _paint(picture: np.ndarray, cell: int, colour: tuple[int, int, int], distance: np.ndarray) -> None:
    """Paint where a signed distance is negative, blending over one pixel at the edge."""
    cover = np.clip(0.5 - distance * cell, 0, 1)[..., None]
    picture += cover * (np.array(colour) - picture)


def _to_path(x: np.ndarray, y: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Distance to the line through the cells of a path; each move is along one axis."""
    moves = {(*sorted((a, c)), *sorted((b, d))) for (a, b), (c, d) in pairwise(path[:, :2].tolist())}
    squared = np.full((len(y), len(x)), np.inf)
    for left, right, top, bottom in moves:
        to_right, down = np.maximum(np.maximum(left - x, x - right), 0), np.maximum(np.maximum(top - y, y - bottom), 0)
        np.minimum(squared, to_right**2 + down**2, out=squared)
    return np.sqrt(squared)


def _to_arrow(x: np.ndarray, y: np.ndarray, ahead: tuple[int, int]) -> np.ndarray:
    """Signed distance to an arrow head at the origin: the largest of those to its slanted edges and its back."""
    forward = x * ahead[0] + y * ahead[1]
    across = np.abs(x * ahead[1] - y * ahead[0])
    slant = (0.3 * forward + 0.62 * across - 0.108) / np.hypot(0.3, 0.62)
    return np.maximum(slant, -forward - 0.26)
