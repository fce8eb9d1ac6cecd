"""Do sampled frames show what the maze says? Frames of jumps, and of whole subsequences, against real frames.

A sampled frame shows the hallway of the nearest real frame, by squared error, of several camera jitters per view. So do
real frames themselves, of other jitters: 0.999 of those right after a passage show their hallway.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16, Int64, UInt8

from agent.training.evaluation_mode import seeded
from envs.camera import Camera, camera_jitter
from envs.dynamics import MOVES, Dynamics
from envs.layout import HALLWAY, Layout
from envs.raycast import Raycaster
from experiments.navigation.jump_accuracy import PASSAGES, arrivals, contexts, pass_on
from world_models.blocks.images import to_uint8
from world_models.hrssm.hrssm import HRSSM, HRSSMState

SAMPLES = 10
JITTERS = 16  # of each real view
ALIKE = 50.0  # mean squared difference of two views' bytes below which they are one; jitter makes 294 (median)
CHUNK = 2000  # frames compared at once


class RealFrames(NamedTuple):
    """What the maze shows."""

    frames: Float32[np.ndarray, "n pixels"]
    hallways: Bool[np.ndarray, "n hallways"]
    """the hallways that each frame may be a frame of"""

    def shown(self, frames: UInt8[np.ndarray, "*b h w 3"]) -> Bool[np.ndarray, "*b hallways"]:
        """The hallways of the nearest real frames."""
        flat = frames.reshape(-1, self.frames.shape[1]).astype(np.float32)
        square = np.square(self.frames).sum(1) / 2
        nearest = [(square - flat[row : row + CHUNK] @ self.frames.T).argmin(1) for row in range(0, len(flat), CHUNK)]
        return self.hallways[np.concatenate(nearest)].reshape(*frames.shape[:-3], -1)


def first_frames(layout: Layout, camera: Camera) -> RealFrames:
    """The frames right after a passage, each of the hallway that it leads to."""
    dynamics = Dynamics.of(layout)
    pose = dynamics.poses[dynamics.passage(dynamics.poses)]
    row, action = dynamics.action_mask(pose).nonzero()
    first, _ = dynamics.step(pose[row], action)
    _, hallway = pass_on(pose[row], action, layout)
    return _rendered(layout, camera, first, np.eye(layout.hallways, dtype=bool)[hallway])


def all_frames(layout: Layout, camera: Camera) -> RealFrames:
    """All frames: of a hallway inside it and, from a junction, ahead; of every one where there is a wall ahead.

    Frames of poses whose views are `ALIKE` may be of the hallways of all of them.
    """
    pose = Dynamics.of(layout).poses
    inside = layout.cells[pose[:, 1], pose[:, 0]] == HALLWAY
    x, y = (pose[:, :2] + np.where(inside[:, None], 0, np.array(MOVES)[pose[:, 2]])).T
    own = np.eye(layout.hallways, dtype=bool)[layout.hallway[y, x]] | ~layout.free[y, x][:, None]
    view = _render(layout, camera, pose, np.zeros((len(pose), 3), np.float32))
    square = np.square(view).sum(1)
    alike = square[:, None] + square - 2 * view @ view.T < ALIKE * view.shape[1]
    return _rendered(layout, camera, pose, alike @ own)


def _rendered(layout: Layout, camera: Camera, pose: Int16[np.ndarray, "n 4"], hallways: np.ndarray) -> RealFrames:
    """Frames of poses, `JITTERS` of each."""
    pose, hallways = (np.repeat(each, JITTERS, axis=0) for each in (pose, hallways))
    number = np.arange(len(pose))
    jitter = camera_jitter(np.zeros_like(number), number, number % JITTERS, camera.yaw_degrees, camera.position)
    return RealFrames(_render(layout, camera, pose, jitter), hallways)


def _render(layout: Layout, camera: Camera, pose: np.ndarray, jitter: np.ndarray) -> Float32[np.ndarray, "n pixels"]:
    frames = Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter)
    return frames.reshape(len(pose), -1).astype(np.float32)


def imagined_frames(model: HRSSM, layout: Layout, camera: Camera, samples: int = SAMPLES) -> dict[str, float]:
    """The rows of `jumpy navigation`: ``frame_accuracy_K``, and those of `full_generation`."""
    accuracy = frame_accuracy(model, layout, camera, samples=samples)
    rows = {f"frame_accuracy_{passages}": share for passages, share in enumerate(accuracy, 1)}
    return rows | full_generation(model, layout, camera, samples)


@torch.inference_mode()
def frame_accuracy(
    model: HRSSM, layout: Layout, camera: Camera, passages: int = PASSAGES, samples: int = SAMPLES, seed: int = 0
) -> list[float]:
    """Share of jumps' first frames that show the hallway really reached, after 1 to `passages` passages.

    As in `jump_accuracy` every legal sequence of passages is imagined from every arrival, `samples` times with other
    camera jitters, but z and s are sampled, and the sampled z is what the next jump starts from.
    """
    device, arrival, real = next(model.parameters()).device, arrivals(layout), first_frames(layout, camera)
    pose, shares = np.repeat(arrival, samples, axis=0), []
    with seeded(device, seed):
        state = model.observe(*contexts(arrival, model.context, layout, camera, samples, seed, device))
        for _ in range(passages):
            row, action = Dynamics.of(layout).action_mask(pose).nonzero()
            pose, reached = pass_on(pose[row], action, layout)
            before = HRSSMState(*(field[torch.from_numpy(row).to(device)] for field in state))
            state = model.imagine(before, torch.from_numpy(action).to(device), sample=True)
            frames = to_uint8(model.decode(state, sample=True)).cpu().numpy()
            shares.append(float(real.shown(frames)[np.arange(len(frames)), reached].mean()))
    return shares


@torch.inference_mode()
def full_generation(
    model: HRSSM, layout: Layout, camera: Camera, samples: int = SAMPLES, seed: int = 0
) -> dict[str, float]:
    """What subsequences show that are generated frame by frame, from every arrival with random legal passages.

    A frame *may show* the hallways of its nearest real frame (`all_frames`), and *shows* one if it may show no other.
    Counted are subsequences that end within the generated frames; a passage's hallway is the one that it really leads
    to.

    Returns:
        Shares of the subsequences:
        ``one_hallway``: every frame but the last, which is an arrival and may show what lies ahead, may show the
        passage's hallway, and at least one frame shows it.
        ``skips_hallway``: no frame shows the passage's hallway.
        ``repeats_hallway``: a frame shows the hallway before it (of the previous passage, or of the context), although
        the passage leads elsewhere.
    """
    device, arrival = next(model.parameters()).device, arrivals(layout)
    x, a, length = contexts(arrival, model.context, layout, camera, samples, seed, device)
    pose = np.repeat(arrival, samples, axis=0)
    left = pose[:, :2] - np.array(MOVES)[pose[:, 2]]
    actions, hallway = _random_passages(layout, pose, seed)
    hallway = np.concatenate([layout.hallway[left[:, 1], left[:, 0]][:, None], hallway], axis=1)
    with seeded(device, seed):
        frames, start = model.generate(x, a, length, torch.from_numpy(actions).to(device))
    return _shares(all_frames(layout, camera).shown(to_uint8(frames).cpu().numpy()), start.cpu().numpy() > 0.5, hallway)


def _random_passages(
    layout: Layout, pose: Int16[np.ndarray, "n 4"], seed: int
) -> tuple[Int64[np.ndarray, "n k"], Int64[np.ndarray, "n k"]]:
    """Random legal passages from poses of arrival, and the hallways that they lead to."""
    rng, actions, hallways = np.random.default_rng(seed), [], []
    for _ in range(PASSAGES):
        legal = Dynamics.of(layout).action_mask(pose)
        action = np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1)
        pose, reached = pass_on(pose, action, layout)
        actions.append(action)
        hallways.append(reached)
    return np.stack(actions, 1), np.stack(hallways, 1)


def _shares(
    may_show: Bool[np.ndarray, "n t hallways"], start: Bool[np.ndarray, "n t"], hallway: Int64[np.ndarray, "n k_1"]
) -> dict[str, float]:
    """The shares of `full_generation`; `hallway` begins with the one before the first subsequence."""
    shows = may_show & (may_show.sum(2, keepdims=True) == 1)
    found = []
    for row, begins in enumerate(map(np.flatnonzero, start)):
        for number, (first, end) in enumerate(pairwise(begins)):
            before, here = hallway[row, number : number + 2]
            may, does = may_show[row, first:end, here], shows[row, first:end]
            one = may[:-1].all() and does[:, here].any()
            found.append((one, not does[:, here].any(), before != here and does[:, before].any()))
    names = ("one_hallway", "skips_hallway", "repeats_hallway")
    shares = np.array(found, float).mean(axis=0).tolist() if found else [np.nan] * 3
    return dict(zip(names, shares, strict=True))
