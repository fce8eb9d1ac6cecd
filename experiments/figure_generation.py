"""Figures of imagined frames: two generations on the map, several jumpy ones, and varied lengths.

The context is the straight way into a junction where all of its ways are open to choose. Passages are legal in the
maze. The hallway that a jump means is read off as in `experiments.jumps`: that of the nearest mean goal feature after
the jumps at their prior means; the frames are samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int16, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor
from torch.nn import functional as F

from agent.navigate import CONTEXT
from agent.pictures import GAP, strip
from envs.dynamics import MOVES, Dynamics
from envs.jitter import Camera
from envs.layout import Layout
from envs.raycast import Raycaster
from envs.top_view import draw_top_view
from experiments.figure_numbers import Numbers, Sources, about, load_trained
from experiments.jumps import arrivals, contexts, hallway_features, pass_on
from experiments.plots import DOTS, TRAINED, WIDTH
from experiments.seeds import Trained
from world_models.images import to_uint8

PASSAGES = 5
SEVERAL = 9  # jumpy generations of Figure 6
SAMPLES = 6  # of Figure 7
ARROWS = "↑←→"  # forward, left, right
CPU = torch.device("cpu")


class Start(NamedTuple):
    """Where a generation starts, and what can be done from there."""

    run: Trained
    layout: Layout
    camera: Camera
    pose: Int16[np.ndarray, " 4"]
    """of the arrival that the context ends with"""
    futures: Int64[np.ndarray, "n k"]
    """every legal sequence of passages"""
    seed: int


def begin(sources: Sources) -> Start:
    """Load the run and choose a junction with the most ways, by the seed."""
    run = load_trained(sources.hrssm[0], "hrssm")
    layout = Layout.parse(run.training["layout"])
    found = arrivals(layout)
    ways = Dynamics.of(layout).action_mask(found).sum(axis=1)
    pose = np.random.default_rng(sources.seed).choice(found[ways == ways.max()])
    camera = Camera(size=run.model.config.frame_size)
    return Start(run, layout, camera, pose, futures(layout, pose), sources.seed)


def futures(layout: Layout, pose: Int16[np.ndarray, " 4"], passages: int = PASSAGES) -> Int64[np.ndarray, "n k"]:
    """Every legal sequence of passages from a pose of arrival."""
    poses, actions = pose[None], np.zeros((1, 0), np.int64)
    for _ in range(passages):
        row, action = Dynamics.of(layout).action_mask(poses).nonzero()
        poses, _ = pass_on(poses[row], action, layout)
        actions = np.concatenate([actions[row], action[:, None]], axis=1)
    return actions


class Way(NamedTuple):
    """What passages mean in the maze."""

    hallways: list[int]
    """that each passage leads to"""
    first: Int16[np.ndarray, "k 4"]
    """pose right after each passage: where a subsequence starts"""
    cells: list[list[int]]
    """x, y of every step, up to the next junction after the last passage"""


def follow(layout: Layout, pose: Int16[np.ndarray, " 4"], actions: Int64[np.ndarray, " k"]) -> Way:
    """Take passages, and what is forced between them."""
    dynamics = Dynamics.of(layout)
    pose, way = pose[None], Way([], np.zeros((len(actions), 4), np.int16), [pose[:2].tolist()])
    for number, action in enumerate(actions[:, None]):
        _, hallway = pass_on(pose, action, layout)
        way.hallways.append(int(hallway[0]))
        pose, _ = dynamics.step(pose, action)
        way.first[number] = pose[0]
        while True:
            way.cells.append(pose[0, :2].tolist())
            if dynamics.passage(pose)[0]:
                break
            pose, _ = dynamics.step(pose, dynamics.action_mask(pose).argmax(axis=1))
    return way


# ---------------------------------------------------------------- measuring


def measure_two_generations(sources: Sources) -> Numbers:
    """Two generations from one context, full and jumpy, whose passages differ from the first on.

    Of all such pairs the first that passes through the most hallways.

    Returns:
        ``context`` (5, H, W, 3), ``full`` (2, T, H, W, 3), ``start`` (2, T), ``jumpy`` and ``maze`` (2, K, H, W, 3),
        what the maze shows right after each passage; the facts hold passages, hallways and cells.

    Raises:
        ValueError: if there is no such run.
    """
    start = begin(sources)
    hallways = [set(follow(start.layout, start.pose, actions).hallways) for actions in start.futures]
    pairs = [
        (len(one | other), -i, -j)
        for i, one in enumerate(hallways)
        for j, other in enumerate(hallways[:i])
        if start.futures[i, 0] != start.futures[j, 0]
    ]
    _, i, j = max(pairs)
    return _measured(start, start.futures[[-j, -i]], sources.hrssm[0], ("full", "jumpy"))


def measure_jumpy_generations(sources: Sources) -> Numbers:
    """Jumpy generations from one context, with passages drawn from all that are legal.

    Returns:
        As `measure_two_generations`, without the full ones.

    Raises:
        ValueError: if there is no such run.
    """
    start = begin(sources)
    number = min(SEVERAL, len(start.futures))
    chosen = np.random.default_rng(start.seed).choice(len(start.futures), number, replace=False)
    return _measured(start, start.futures[np.sort(chosen)], sources.hrssm[0], ("jumpy",))


def measure_varied_lengths(sources: Sources) -> Numbers:
    """Full generations from one context with the same passages.

    Returns:
        As `measure_two_generations`, without the jumpy ones.

    Raises:
        ValueError: if there is no such run.
    """
    start = begin(sources)
    way = max(start.futures, key=lambda actions: len(set(follow(start.layout, start.pose, actions).hallways)))
    return _measured(start, way[None].repeat(SAMPLES, axis=0), sources.hrssm[0], ("full",))


@torch.inference_mode()
def _measured(start: Start, actions: np.ndarray, source: str, modes: tuple[str, ...]) -> Numbers:
    """Generate from the context, a row of actions a generation."""
    model, layout = start.run.model, start.layout
    x, a, length = contexts(start.pose[None], layout, start.camera, 1, start.seed, CPU)
    arrays = {"context": to_uint8(x)[0].numpy()}
    repeated, taken = [field.expand(len(actions), *field.shape[1:]) for field in (x, a, length)], torch.tensor(actions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(start.seed)
        for mode in modes:
            frames, begins = model.generate(*repeated, taken, mode)
            arrays[mode] = to_uint8(frames).numpy()
            if mode == "full":
                arrays["start"] = begins.numpy() > 0.5
    ways = [follow(layout, start.pose, row) for row in actions]
    if "jumpy" in modes:
        view = Raycaster(layout, start.camera.size, start.camera.fov_degrees)
        arrays["maze"] = np.stack([view.render(way.first, _steady(len(way.first))) for way in ways])
    imagined = _imagined_hallways(model, layout, (x, a, length), taken)
    generations = [
        {"actions": row, "hallways": way.hallways, "imagined": read, "cells": way.cells}
        for row, way, read in zip(actions.tolist(), ways, imagined.tolist(), strict=True)
    ]
    facts = {"runs": [about(start.run, source)], "seed": start.seed, "pose": start.pose.tolist()}
    return Numbers(facts | {"layout": layout.name, "generations": generations}, arrays=arrays)


def _imagined_hallways(model: Any, layout: Layout, context: tuple[Tensor, ...], actions: Tensor) -> Tensor:
    """The hallway after each jump, (N, K)."""
    state, hallway = model.observe(*context), hallway_features(model, layout, CPU)
    state = type(state)(*(field.expand(len(actions), -1) for field in state))
    found = []
    for action in actions.T:
        state = model.imagine(state, action)
        found.append((F.normalize(model.feature(state), dim=-1) @ hallway.T).argmax(1))
    return torch.stack(found, 1)


def _steady(number: int) -> Float32[np.ndarray, "n 3"]:
    """No jitter."""
    return np.zeros((number, 3), np.float32)


# ---------------------------------------------------------------- drawing


class Page:
    """A figure whose panels are placed in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        """An empty page of the common width."""
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
        """Place a text by its upper left corner."""
        self.figure.text(left / WIDTH, 1 - top / self.height, text, va=options.pop("va", "top"), **options)

    def frames(
        self,
        frames: UInt8[np.ndarray, "t h w 3"],
        left: float,
        top: float,
        width: float,
        start: np.ndarray | None = None,
        above: dict[int, str] | None = None,
        **options: Any,
    ) -> None:
        """Place frames side by side, with texts above some of them."""
        axes = self.image(strip(frames, start), left, top, width)
        for number, text in (above or {}).items():
            x = GAP + number * (frames.shape[2] + GAP) + frames.shape[2] / 2
            axes.text(x, -1, text, ha="center", va="bottom", **options)


def draw_two_generations(numbers: Numbers) -> Figure:
    """Two generations on the map, jumpy and full (Kim et al. 2019, Figure 5)."""
    facts, arrays = numbers.facts, numbers.arrays
    page, right, wide = Page(5.82), 5.45, 2.45
    layout = Layout.parse(facts["layout"])
    axes = page.image(draw_top_view(layout, cell=24), 0.1, 0.1, 5.2)
    _draw_ways(axes, layout, facts)
    told = "Lines: what the passages mean in the maze. Numbers: the hallway that the jump means to the model."
    page.text(told, 0.1, 3.75, fontsize=9)
    page.text("context (white dots on the map)", right, 0.1, fontsize=9)
    page.frames(arrays["context"], right, 0.28, wide)
    for number, generation in enumerate(facts["generations"]):
        colour, top = TRAINED[number], 1.02 + 1.42 * number
        name = ("first", "second")[number]
        above = {k: ARROWS[action] for k, action in enumerate(generation["actions"])}
        page.text(f"{name}: jumps; below them the maze", right, top - 0.17, fontsize=9, color=colour)
        page.frames(arrays["jumpy"][number], right, top + 0.18, wide, above=above, color=colour, weight="bold")
        page.frames(arrays["maze"][number], right, top + 0.70, wide)
        top = 4.27 + 0.85 * number
        begins = np.flatnonzero(arrays["start"][number])
        above = {int(t): ARROWS[action] for t, action in zip(begins, generation["actions"], strict=False)}
        told = f"{name}: every frame; red: a subsequence starts, with the passage that it is given"
        page.text(told, 0.1, top - 0.17, fontsize=9, color=colour)
        page.frames(arrays["full"][number], 0.1, top + 0.18, WIDTH - 0.2, arrays["start"][number], above, color=colour)
    return page.figure


def _draw_ways(axes: Axes, layout: Layout, facts: dict[str, Any]) -> None:
    """On the map: the context, the ways that the passages mean, and a number in each imagined hallway."""
    scale = (axes.get_xlim()[1] + 0.5) / layout.shape[1]

    def place(cells: Any) -> np.ndarray:
        return (np.asarray(cells, float).T + 0.5) * scale - 0.5

    x, y, heading, _ = facts["pose"]
    context = np.array([x, y]) - np.arange(CONTEXT)[:, None] * np.array(MOVES[heading])
    used: dict[int, int] = {}
    for number, generation in enumerate(facts["generations"]):
        colour, shift = TRAINED[number], 0.14 * (2 * number - 1)
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
            box = {"boxstyle": "circle,pad=0.18", "facecolor": TRAINED[number], "edgecolor": "white"}
            axes.text(*place([middle])[:, 0], str(jump), color="white", ha="center", va="center", fontsize=8, bbox=box)


def draw_jumpy_generations(numbers: Numbers) -> Figure:
    """Jumpy generations from one context, three a row (Kim et al. 2019, Figure 6)."""
    facts, arrays = numbers.facts, numbers.arrays
    generations = facts["generations"]
    rows, wide, high = -(-len(generations) // 3), 2.5, 1.5
    page = Page(0.85 + high * rows)
    page.text("context", 0.15, 0.1, fontsize=9)
    page.frames(arrays["context"], 0.15, 0.28, wide)
    right = sum(sum(map(int.__eq__, one["hallways"], one["imagined"])) for one in generations)
    told = f"Above: imagined, a frame a jump, with its passage.\nBelow: what the maze shows there.\n{right} of "
    told += f"{sum(len(one['hallways']) for one in generations)} jumps mean the right hallway (others marked ×)."
    page.text(told, 2.8, 0.22, fontsize=10)
    for number, one in enumerate(generations):
        row, column = divmod(number, 3)
        left, top = 0.15 + column * 2.6, 1.15 + row * high
        marks = ["" if true == read else " ×" for true, read in zip(one["hallways"], one["imagined"], strict=True)]
        above = {k: ARROWS[action] + mark for k, (action, mark) in enumerate(zip(one["actions"], marks, strict=True))}
        page.frames(arrays["jumpy"][number], left, top, wide, above=above)
        page.frames(arrays["maze"][number], left, top + 0.53, wide)
    return page.figure


def draw_varied_lengths(numbers: Numbers) -> Figure:
    """Full generations with the same passages: equal ways, other lengths (Kim et al. 2019, Figure 7)."""
    facts, arrays = numbers.facts, numbers.arrays
    actions, left = facts["generations"][0]["actions"], 0.75
    page = Page(0.95 + 0.62 * len(arrays["full"]))
    page.text("context", 0.1, 0.1, fontsize=9)
    page.frames(arrays["context"], left, 0.1, 1.9)
    told = f"The same passages {len(arrays['full'])} times: {' '.join(ARROWS[action] for action in actions)}\n"
    told += (
        "Red: a subsequence starts, with the passage that it is given.\nLeft: frames of each subsequence that ended."
    )
    page.text(told, 2.85, 0.08)
    for number, (frames, start) in enumerate(zip(arrays["full"], arrays["start"], strict=True)):
        begins, top = np.flatnonzero(start), 0.95 + 0.62 * number
        above = {int(t): ARROWS[action] for t, action in zip(begins, actions, strict=False)}
        page.text(" ".join(map(str, np.diff(begins))), 0.1, top + 0.19, va="center", fontsize=10)
        page.frames(frames, left, top, WIDTH - left - 0.1, start, above)
    return page.figure
