"""Numbers of the figures of imagined frames: two generations, several jumpy ones, and varied lengths.

The context is the straight way into a junction with the most ways to go on. Passages are legal in the maze. The
hallway that a jump means to the model is read off as in `jump_accuracy`, after the jumps at their prior means: that
of the nearest mean goal feature. The frames are samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int16, Int64
from torch import Tensor
from torch.nn import functional as F

from envs.camera import Camera
from envs.dynamics import ARRIVED, HEADINGS, Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.navigation.jump_accuracy import arrivals, contexts, hallway_features, pass_on
from world_models.blocks.images import to_uint8

PASSAGES = 5
SEVERAL = 9  # jumpy generations of Figure 6
SAMPLES = 6  # of Figure 7
CPU = torch.device("cpu")


class Start(NamedTuple):
    """Where a generation starts, and what can be done from there."""

    run: TrainedRun
    layout: Layout
    camera: Camera
    pose: Int16[np.ndarray, " 4"]
    """of the arrival that the context ends with"""
    futures: Int64[np.ndarray, "n k"]
    """every legal sequence of passages"""
    seed: int


def begin(runs: list[TrainedRun], seed: int) -> Start:
    """Choose a junction with the most ways in the run's maze, by the seed."""
    (run,) = runs
    layout = Layout.parse(run.training["layout"])
    found = arrivals(layout)
    ways = Dynamics.of(layout).action_mask(found).sum(axis=1)
    pose = np.random.default_rng(seed).choice(found[ways == ways.max()])
    camera = Camera(size=run.model.config.frame_size)
    return Start(run, layout, camera, pose, futures(layout, pose), seed)


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


# ---------------------------------------------------------------- the figures' numbers


def measure_two_generations(runs: list[TrainedRun], seed: int) -> Numbers:
    """Two generations from one context, full and jumpy, whose passages differ from the first on.

    Of all such pairs the first that passes through the most hallways.

    Returns:
        ``context`` (5, H, W, 3), ``full`` (2, T, H, W, 3), ``start`` (2, T), ``jumpy`` and ``maze`` (2, K, H, W, 3),
        what the maze shows right after each passage. Each of ``generations`` in the facts has its ``actions``; of the
        maze, ``hallways`` and ``cells``; of the model, the hallways ``imagined`` and, by the nearest frame of the
        maze, ``shown`` by the jumpy frames.
    """
    start = begin(runs, seed)
    hallways = [set(follow(start.layout, start.pose, actions).hallways) for actions in start.futures]
    pairs = [
        (len(one | other), -i, -j)
        for i, one in enumerate(hallways)
        for j, other in enumerate(hallways[:i])
        if start.futures[i, 0] != start.futures[j, 0]
    ]
    _, i, j = max(pairs)
    return _measured(start, start.futures[[-j, -i]], ("full", "jumpy"))


def measure_jumpy_generations(runs: list[TrainedRun], seed: int) -> Numbers:
    """Jumpy generations from one context, with passages drawn from all that are legal.

    Returns:
        As `measure_two_generations`, without the full ones.
    """
    start = begin(runs, seed)
    number = min(SEVERAL, len(start.futures))
    chosen = np.random.default_rng(start.seed).choice(len(start.futures), number, replace=False)
    return _measured(start, start.futures[np.sort(chosen)], ("jumpy",))


def measure_varied_lengths(runs: list[TrainedRun], seed: int) -> Numbers:
    """Full generations from one context with the same passages.

    Returns:
        As `measure_two_generations`, without the jumpy ones.
    """
    start = begin(runs, seed)
    way = max(start.futures, key=lambda actions: len(set(follow(start.layout, start.pose, actions).hallways)))
    return _measured(start, way[None].repeat(SAMPLES, axis=0), ("full",))


@torch.inference_mode()
def _measured(start: Start, actions: np.ndarray, modes: tuple[str, ...]) -> Numbers:
    """Generate from the context, a row of actions a generation."""
    model, layout = start.run.model, start.layout
    x, a, length = contexts(start.pose[None], model.context, layout, start.camera, 1, start.seed, CPU)
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
        shown = [_shown_hallways(frames, layout, view) for frames in arrays["jumpy"]]
    imagined = _imagined_hallways(model, layout, (x, a, length), taken)
    generations: list[dict[str, Any]] = [
        {"actions": row, "hallways": way.hallways, "imagined": read, "cells": way.cells}
        for row, way, read in zip(actions.tolist(), ways, imagined.tolist(), strict=True)
    ]
    if "jumpy" in modes:
        for generation, hallways in zip(generations, shown, strict=True):
            generation["shown"] = hallways
    facts = {"runs": [start.run.facts], "seed": start.seed, "pose": start.pose.tolist()}
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


def _shown_hallways(frames: np.ndarray, layout: Layout, view: Raycaster) -> list[int]:
    """The hallways that frames (K, H, W, 3) look like: of the nearest frame right after any passage, without jitter."""
    dynamics = Dynamics.of(layout)
    cells = np.argwhere(layout.free)[:, ::-1].repeat(HEADINGS, axis=0)
    heading = np.tile(np.arange(HEADINGS), len(cells) // HEADINGS)
    pose = np.column_stack([cells, heading, np.full_like(heading, ARRIVED)]).astype(np.int16)
    pose = pose[dynamics.passage(pose)]
    row, action = dynamics.action_mask(pose).nonzero()
    first, _ = dynamics.step(pose[row], action)
    _, hallway = pass_on(pose[row], action, layout)
    seen = view.render(first, _steady(len(first))).astype(np.float64)
    distance = np.square(frames[:, None] - seen).mean(axis=(2, 3, 4))
    return hallway[distance.argmin(axis=1)].tolist()


def _steady(number: int) -> Float32[np.ndarray, "n 3"]:
    """No jitter."""
    return np.zeros((number, 3), np.float32)
