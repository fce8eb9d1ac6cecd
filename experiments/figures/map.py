"""The map in a model's head, drawn on the true maze."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from envs.camera import Camera
from envs.dynamics import MOVES
from envs.layout import WALL, Layout
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.figures.style import COLOURS, DOTS, WIDTH, model_name
from experiments.navigation.imagined_map import imagine_maps, starts
from world_models.interface import Plannable

ARRIVALS = 20
RIGHT, WRONG = COLOURS[0], COLOURS[1]


def measure_map(runs: list[TrainedRun], seed: int) -> Numbers:
    """The map that each run imagines of its maze from arrivals that were chosen at random.

    Returns:
        ``maps``, one for each run: the run, its layout and rows, ``scores``, the means over `ARRIVALS` arrivals, and
        ``worst``, the worst of them, of `ImaginedMap`; and the first arrival's map: ``root``, ``pose``, ``edge``,
        ``right_node`` and ``right_edge``.
    """
    maps = []
    for run in runs:
        layout = Layout(run.training["layout"], tuple(run.training["rows"]))
        pose = starts(layout)
        chosen = np.random.default_rng(seed).permutation(len(pose))[:ARRIVALS]
        camera = Camera(size=run.training["config"]["frame_size"])
        found = imagine_maps(run.able(Plannable), layout, camera, pose[chosen], seed=seed)
        names = list(found[0].scores)
        scores = {name: [one.scores[name] for one in found] for name in names}
        first = {
            name: getattr(found[0], name).tolist() for name in ("root", "pose", "edge", "right_node", "right_edge")
        }
        maps.append(
            {"run": run.name, "label": run.label, "model": run.training["model"], "layout": layout.name}
            | {"rows": list(layout.rows), "scores": {name: float(np.mean(values)) for name, values in scores.items()}}
            | {"worst": {name: float(np.min(values)) for name, values in scores.items() if name.endswith("f1")}}
            | first
        )
    return Numbers({"arrivals": ARRIVALS, "maps": maps})


def plot_map(numbers: Numbers) -> Figure:
    """The first arrival's map of each run: nodes, and each edge as a line from place to place."""
    maps = numbers.facts["maps"]
    shapes = [(len(one["rows"]), len(one["rows"][0])) for one in maps]
    heights = [WIDTH * height / width for height, width in shapes]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.5 * len(maps)), dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(maps), 1, squeeze=False, height_ratios=heights)[:, 0]
    for one, axes in zip(maps, panels, strict=True):
        _plot(axes, one)
        scores = one["scores"]
        axes.set_title(
            f"{model_name(one['model'])}, {one['layout']}: {scores['nodes']:.1f} places from "
            f"{scores['transitions']:.0f} jumps; F1 of places {scores['node_f1']:.3f}, of ways {scores['edge_f1']:.3f} "
            f"(means of {numbers.facts['arrivals']} arrivals)",
            fontsize=9,
        )
    figure.suptitle(
        "The map imagined from five frames at the star. Dots: arrivals (place and heading). Orange: wrong or double.",
        fontsize=10,
    )
    return figure


def _plot(axes: Axes, one: dict[str, Any]) -> None:
    """One map."""
    layout = Layout(one["layout"], tuple(one["rows"]))
    pale = 255 - (255 - layout.picture.astype(np.float64)) * 0.35
    wall = (layout.cells == WALL)[..., None]
    axes.imshow(np.where(wall, 70, pale).astype(np.uint8), interpolation="nearest")
    poses = np.array([*one["pose"], one["root"]], float)  # the root is the last one: -1
    place = poses[:, :2] - 0.28 * np.array(MOVES)[poses[:, 2].astype(int)]  # on the side that it was entered from
    edge, right = np.array(one["edge"]).reshape(-1, 3), np.array(one["right_edge"], bool)
    for (start, _, end), good in zip(edge.tolist(), right.tolist(), strict=True):
        if (poses[[start, end]] >= 0).all():
            axes.plot(*place[[start, end]].T, color=RIGHT if good else WRONG, linewidth=0.8 if good else 1.4, zorder=2)
    known = (poses[:-1] >= 0).all(axis=1)
    colours = np.where(np.array(one["right_node"], bool)[known], RIGHT, WRONG)
    x, y = place[:-1][known].T
    axes.scatter(x, y, c=colours, s=10, zorder=3)
    axes.plot(*place[-1], "*", color="#f0e442", markeredgecolor="black", markersize=12, zorder=4)
    axes.axis("off")
