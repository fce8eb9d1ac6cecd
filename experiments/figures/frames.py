"""Pictures of imagined frames, from the numbers of `experiments/figures/generation.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from agent.training.image_grid import GAP, strip
from envs.dynamics import MOVES
from envs.layout import Layout
from envs.top_view import draw_top_view
from experiments.common.numbers import Numbers
from experiments.figures.style import COLOURS, DOTS, WIDTH

ARROWS = "↑←→"  # forward, left, right


class Page:
    """A figure whose panels are placed in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH, height), dpi=DOTS)

    def image(self, picture: UInt8[np.ndarray, "h w 3"], left: float, top: float, width: float) -> Axes:
        """Place a picture; its height follows."""
        height = width * picture.shape[0] / picture.shape[1]
        place = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place)
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.axis("off")
        return axes

    def text(self, text: str, left: float, top: float, **options: Any) -> None:
        """Place a text."""
        self.figure.text(left / WIDTH, 1 - top / self.height, text, va=options.pop("va", "top"), **options)

    def frames(
        self,
        frames: UInt8[np.ndarray, "t h w 3"],
        left: float,
        top: float,
        width: float,
        above: Sequence[str] = (),
        start: np.ndarray | None = None,
        **options: Any,
    ) -> None:
        """Place frames side by side, with texts above them, or above those where subsequences start."""
        axes = self.image(strip(frames, start), left, top, width)
        places = range(len(frames)) if start is None else np.flatnonzero(start)
        for number, text in zip(places, above, strict=False):
            x = GAP + number * (frames.shape[2] + GAP) + frames.shape[2] / 2
            axes.text(x, -1, text, ha="center", va="bottom", **options)


def plot_two_generations(numbers: Numbers) -> Figure:
    """Two generations on the map, jumpy and full (Kim et al. 2019, Figure 5)."""
    facts, arrays = numbers.facts, numbers.arrays
    page, right, wide = Page(5.82), 5.45, 2.45
    layout = Layout.parse(facts["layout"])
    axes = page.image(draw_top_view(layout, cell=24), 0.1, 0.1, 5.2)
    _plot_ways(axes, layout, facts, len(arrays["context"]))
    caption = (
        "Lines: where the passages lead in the maze. Numbers: the hallway that the model imagines after each jump."
    )
    page.text(caption, 0.1, 3.75, fontsize=9)
    page.text("context (white dots on the map)", right, 0.1, fontsize=9)
    page.frames(arrays["context"], right, 0.28, wide)
    for number, generation in enumerate(facts["generations"]):
        colour, top = COLOURS[number], 1.02 + 1.42 * number
        name, arrows = ("first", "second")[number], [ARROWS[action] for action in generation["actions"]]
        page.text(f"{name}: jumps, and the maze below", right, top - 0.17, fontsize=9, color=colour)
        page.frames(arrays["jumpy"][number], right, top + 0.18, wide, arrows, color=colour, weight="bold")
        page.frames(arrays["maze"][number], right, top + 0.70, wide)
        top = 4.27 + 0.85 * number
        caption = f"{name}: every frame; red: a subsequence starts, with its passage"
        page.text(caption, 0.1, top - 0.17, fontsize=9, color=colour)
        page.frames(arrays["full"][number], 0.1, top + 0.18, WIDTH - 0.2, arrows, arrays["start"][number], color=colour)
    return page.figure


def _plot_ways(axes: Axes, layout: Layout, facts: dict[str, Any], frames: int) -> None:
    """On the map: the last `frames` of the context, what the passages mean, a number in each imagined hallway."""
    scale = (axes.get_xlim()[1] + 0.5) / layout.shape[1]

    def place(cells: Any) -> np.ndarray:
        return (np.asarray(cells, float).T + 0.5) * scale - 0.5

    x, y, heading, _ = facts["pose"]
    context = np.array([x, y]) - np.arange(frames)[:, None] * np.array(MOVES[heading])
    used: dict[int, int] = {}
    for number, generation in enumerate(facts["generations"]):
        colour, shift = COLOURS[number], 0.14 * (2 * number - 1)
        axes.plot(
            *place(np.array(generation["cells"]) + shift),
            color=colour,
            linewidth=2.6,
            path_effects=[withStroke(linewidth=4.6, foreground="white")],
        )
    axes.plot(*place(context), linestyle=(0, (0.8, 1)), color="white", linewidth=3.5)
    axes.plot(*place([[x, y]]), "o", color="white", markeredgecolor="black", markersize=7)
    for number, generation in enumerate(facts["generations"]):
        for jump, hallway in enumerate(generation["imagined"], 1):
            cells = np.argwhere(layout.hallway == hallway)[:, ::-1]
            spread = (0, 1, -1, 2, -2)[used.get(hallway, 0) % 5]
            used[hallway] = used.get(hallway, 0) + 1
            middle = cells[np.clip((len(cells) - 1) // 2 + spread, 0, len(cells) - 1)]
            box = {"boxstyle": "circle,pad=0.18", "facecolor": COLOURS[number], "edgecolor": "white"}
            left, top = place([middle])[:, 0]
            axes.text(left, top, str(jump), color="white", ha="center", va="center", fontsize=8, bbox=box)


def plot_jumpy_generations(numbers: Numbers) -> Figure:
    """Jumpy generations from one context, three per row (Kim et al. 2019, Figure 6)."""
    facts, arrays = numbers.facts, numbers.arrays
    generations = facts["generations"]
    rows, wide, high = -(-len(generations) // 3), 2.5, 1.5
    page = Page(0.85 + high * rows)
    page.text("context", 0.15, 0.1, fontsize=9)
    page.frames(arrays["context"], 0.15, 0.28, wide)
    jumps = sum(len(one["hallways"]) for one in generations)
    read, shown = _right(generations, "imagined"), _right(generations, "shown")
    caption = (
        "Above: imagined frames, one per jump, with its passage. Below: the maze.\n"
        f"Goal features identify the right hallway after {read} of {jumps} jumps (×: wrong).\n"
        f"{shown} of {jumps} imagined frames are most similar to the right hallway."
    )
    page.text(caption, 2.8, 0.22, fontsize=9)
    for number, one in enumerate(generations):
        row, column = divmod(number, 3)
        left, top = 0.15 + column * 2.6, 1.15 + row * high
        passages = zip(one["actions"], one["hallways"], one["imagined"], strict=True)
        above = [ARROWS[action] + ("" if true == read else " ×") for action, true, read in passages]
        page.frames(arrays["jumpy"][number], left, top, wide, above)
        page.frames(arrays["maze"][number], left, top + 0.53, wide)
    return page.figure


def _right(generations: list[dict[str, Any]], key: str) -> int:
    """After how many jumps the hallway is the true one."""
    return sum(read == true for one in generations for read, true in zip(one[key], one["hallways"], strict=True))


def plot_varied_lengths(numbers: Numbers) -> Figure:
    """Full generations with the same passages, of different lengths (Kim et al. 2019, Figure 7)."""
    facts, arrays = numbers.facts, numbers.arrays
    arrows, left = [ARROWS[action] for action in facts["generations"][0]["actions"]], 0.75
    page = Page(0.95 + 0.62 * len(arrays["full"]))
    page.text("context", 0.1, 0.1, fontsize=9)
    page.frames(arrays["context"], left, 0.1, 1.9)
    caption = (
        f"{len(arrays['full'])} samples with the same passages: {' '.join(arrows)}\n"
        "Red: a subsequence starts, with its passage.\n"
        "Left: lengths of the completed subsequences, in frames."
    )
    page.text(caption, 2.85, 0.08)
    for number, (frames, start) in enumerate(zip(arrays["full"], arrays["start"], strict=True)):
        top, ended = 0.95 + 0.62 * number, np.diff(np.flatnonzero(start))
        page.text(" ".join(map(str, ended)), 0.1, top + 0.19, va="center", fontsize=10)
        page.frames(frames, left, top, WIDTH - left - 0.1, arrows, start)
    return page.figure
