"""Numbers of the figures of imagined frames: two generations, several jumpy ones, and varied lengths.

The context is the straight way into a junction with the most exits, and all passages are legal in the maze. The hallway
that a jump means to the model is read off as in `jump_accuracy`, from jumps at their prior means: the hallway with the
nearest mean goal feature. The frames are samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int16, Int64
from torch import Tensor
from torch.nn import functional as F

from agent.training.evaluation_mode import seeded
from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.common.numbers import Numbers
from experiments.common.trained_runs import TrainedRun
from experiments.navigation.imagined_frames import first_frames
from experiments.navigation.jump_accuracy import arrivals, contexts, hallway_features, pass_on
from world_models.blocks.images import to_uint8
from world_models.hrssm.hrssm import HRSSM

PASSAGES = 5
SEVERAL = 9  # jumpy generations of Figure 6
SAMPLES = 6  # of Figure 7
CPU = torch.device("cpu")


def begin(run: TrainedRun, seed: int) -> tuple[Layout, Int16[np.ndarray, " 4"], Int64[np.ndarray, "n k"]]:
    """Choose a junction with the most exits at random; return maze, pose of arrival and all sequences of passages."""
    layout = Layout(run.training["layout"], tuple(run.training["rows"]))
    found = arrivals(layout)
    exits = Dynamics.of(layout).action_mask(found).sum(axis=1)
    pose = np.random.default_rng(seed).choice(found[exits == exits.max()])
    return layout, pose, futures(layout, pose)


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
    """pose right after each passage, where a subsequence starts"""
    cells: list[list[int]]
    """x, y of every step, up to the next junction after the last passage"""


def follow(layout: Layout, pose: Int16[np.ndarray, " 4"], actions: Int64[np.ndarray, " k"]) -> Way:
    """Take passages, and the forced steps between them."""
    dynamics, pose = Dynamics.of(layout), pose[None]
    hallways, first, cells = [], [], [pose[0, :2].tolist()]
    for action in actions[:, None]:
        hallways.append(int(pass_on(pose, action, layout)[1][0]))
        pose, _ = dynamics.step(pose, action)
        first.append(pose[0])
        cells.append(pose[0, :2].tolist())
        while not dynamics.passage(pose)[0]:
            pose, _ = dynamics.step(pose, dynamics.action_mask(pose).argmax(axis=1))
            cells.append(pose[0, :2].tolist())
    return Way(hallways, np.stack(first), cells)


# ---------------------------------------------------------------- the figures' numbers


def measure_two_generations(runs: list[TrainedRun], seed: int) -> Numbers:
    """Two generations from one context, full and jumpy, with different first passages.

    Of all such pairs, the first that passes through the most hallways.

    Returns:
        ``context`` (5, H, W, 3), ``full`` (2, T, H, W, 3), ``start`` (2, T), ``jumpy`` and ``maze`` (2, K, H, W, 3),
        what the maze shows right after each passage. Each of ``generations`` in the facts has its ``actions``; from
        the maze, ``hallways`` and ``cells``; from the model, the hallways ``imagined`` and those ``shown`` by the jumpy
        frames, which are those of the nearest frames of the maze.
    """
    layout, pose, actions = begin(runs[0], seed)
    hallways = [set(follow(layout, pose, row).hallways) for row in actions]
    first = actions[:, 0]
    pairs = [(other, one) for one in range(len(first)) for other in range(one) if first[one] != first[other]]
    pair = max(pairs, key=lambda pair: len(hallways[pair[0]] | hallways[pair[1]]))
    return _measured(runs[0], layout, pose, actions[list(pair)], seed, ("full", "jumpy"))


def measure_jumpy_generations(runs: list[TrainedRun], seed: int) -> Numbers:
    """Jumpy generations from one context with random legal passages; as `measure_two_generations` without the full."""
    layout, pose, actions = begin(runs[0], seed)
    chosen = np.random.default_rng(seed).choice(len(actions), min(SEVERAL, len(actions)), replace=False)
    return _measured(runs[0], layout, pose, actions[np.sort(chosen)], seed, ("jumpy",))


def measure_varied_lengths(runs: list[TrainedRun], seed: int) -> Numbers:
    """Full generations from one context with the same passages; as `measure_two_generations` without the jumpy."""
    layout, pose, actions = begin(runs[0], seed)
    way = max(actions, key=lambda row: len(set(follow(layout, pose, row).hallways)))
    return _measured(runs[0], layout, pose, way[None].repeat(SAMPLES, axis=0), seed, ("full",))


@torch.inference_mode()
def _measured(
    run: TrainedRun, layout: Layout, pose: np.ndarray, actions: np.ndarray, seed: int, modes: tuple[str, ...]
) -> Numbers:
    """Generate from the context, one generation per row of actions."""
    model = run.able(HRSSM)
    camera = Camera(size=model.config.frame_size)
    context = contexts(pose[None], model.context, layout, camera, 1, seed, CPU)
    arrays = {"context": to_uint8(context[0])[0].numpy()}
    x, a, length = (field.expand(len(actions), *field.shape[1:]) for field in context)
    taken = torch.tensor(actions)
    with seeded(CPU, seed):
        for mode in modes:
            frames, begins = model.generate(x, a, length, taken, mode)
            arrays[mode] = to_uint8(frames).numpy()
            if mode == "full":
                arrays["start"] = begins.numpy() > 0.5
    ways = [follow(layout, pose, row) for row in actions]
    imagined = _imagined_hallways(model, layout, context, taken)
    generations: list[dict[str, Any]] = [
        {"actions": row, "hallways": way.hallways, "imagined": read, "cells": way.cells}
        for row, way, read in zip(actions.tolist(), ways, imagined.tolist(), strict=True)
    ]
    if "jumpy" in modes:
        view, real = Raycaster(layout, camera.size, camera.fov_degrees), first_frames(layout, camera)
        arrays["maze"] = np.stack([_without_jitter(view, way.first) for way in ways])
        for generation, frames in zip(generations, arrays["jumpy"], strict=True):
            generation["shown"] = real.shown(frames).argmax(-1).tolist()
    facts = {"runs": [run.facts], "seed": seed, "pose": pose.tolist()}
    return Numbers(facts | {"layout": layout.name, "generations": generations}, arrays=arrays)


def _imagined_hallways(model: HRSSM, layout: Layout, context: tuple[Tensor, ...], actions: Tensor) -> Tensor:
    """The hallway after each jump, (N, K)."""
    state, hallway = model.observe(*context), hallway_features(model, layout, CPU)
    state = type(state)(*(field.expand(len(actions), -1) for field in state))
    found = []
    for action in actions.T:
        state = model.imagine(state, action)
        found.append((F.normalize(model.feature(state), dim=-1) @ hallway.T).argmax(1))
    return torch.stack(found, 1)


def _without_jitter(view: Raycaster, pose: Int16[np.ndarray, "n 4"]) -> np.ndarray:
    return view.render(pose, np.zeros((len(pose), 3), np.float32))
