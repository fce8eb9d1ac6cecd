"""Do jumps land where the maze says? Imagined features after k passages against the hallways actually reached."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16, Int64
from torch import Tensor
from torch.nn import functional as F

from envs.camera import Camera, camera_jitter
from envs.dynamics import ARRIVED, MOVES, Dynamics
from envs.layout import JUNCTION, SHORTEST_HALLWAY, Layout
from envs.raycast import Raycaster
from world_models.blocks.images import to_float
from world_models.interface import Plannable

PASSAGES = 5
JITTERS = 10
ROLLOUTS = 50_000
"""most rollouts that go on after each passage; of more, which the paper's maze has after 6 passages, a random part"""


@torch.inference_mode()
def jump_accuracy(
    model: Plannable,
    layout: Layout,
    camera: Camera,
    passages: int = PASSAGES,
    jitters: int = JITTERS,
    seed: int = 0,
    over_bends: bool = False,
) -> list[float]:
    """Share of imagined rollouts whose best hallway is the true one, after 1 to `passages` passages.

    From real frames that end with the arrival in a junction, with several camera jitters per arrival, every legal
    sequence of passages (of more than `ROLLOUTS` a random part) is imagined by a model whose transition is one jump.
    The best hallway is the one whose mean normalised goal feature, over its cells, has the largest cosine with the
    imagined feature.

    A jump `over_bends` leads from a choice to the next one, through junctions where a single action is legal; any
    hallway on its way is a true one.
    """
    device = next(model.parameters()).device
    arrival = arrivals(layout)
    if over_bends:
        arrival = arrival[Dynamics.of(layout).action_mask(arrival).sum(1) > 1]
    hallway = hallway_features(model, layout, device)
    state = model.observe(*contexts(arrival, model.context, layout, camera, jitters, seed, device))
    pose = np.repeat(arrival, jitters, axis=0)
    accuracy, rng = [], np.random.default_rng(seed)
    for _ in range(passages):
        row, action = Dynamics.of(layout).action_mask(pose).nonzero()
        if len(row) > ROLLOUTS:
            part = np.sort(rng.permutation(len(row))[:ROLLOUTS])
            row, action = row[part], action[part]
        pose, reached = _jump(pose[row], action, layout, over_bends)
        taken = torch.from_numpy(action).to(device)
        state = model.imagine(type(state)(*(field[torch.from_numpy(row).to(device)] for field in state)), taken)
        best = (F.normalize(model.feature(state), dim=-1) @ hallway.T).argmax(1).cpu().numpy()
        accuracy.append(float(reached[np.arange(len(best)), best].mean()))
    return accuracy


def _jump(
    pose: Int16[np.ndarray, "n 4"], action: Int64[np.ndarray, " n"], layout: Layout, over_bends: bool
) -> tuple[Int16[np.ndarray, "n 4"], Bool[np.ndarray, "n h"]]:
    """Take a passage, and with `over_bends` those after it that are forced; return the pose and the hallways passed."""
    reached, rows = np.zeros((len(pose), layout.hallways), bool), np.arange(len(pose))
    pose = pose.copy()
    while len(rows):
        pose[rows], hallway = pass_on(pose[rows], action, layout)
        reached[rows, hallway] = True
        legal = Dynamics.of(layout).action_mask(pose[rows])
        forced = (legal.sum(1) == 1) & over_bends
        rows, action = rows[forced], legal.argmax(1)[forced]
    return pose, reached


def arrivals(layout: Layout) -> Int16[np.ndarray, "n 4"]:
    """Every pose of an arrival in a junction through one of its hallways."""
    poses = [
        (x, y, heading, ARRIVED)
        for y, x in np.argwhere(layout.cells == JUNCTION)
        for heading, (dx, dy) in enumerate(MOVES)
        if layout.free[y - dy, x - dx]
    ]
    return np.array(poses, np.int16)


def pass_on(
    pose: Int16[np.ndarray, "n 4"], action: Int64[np.ndarray, " n"], layout: Layout
) -> tuple[Int16[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """Take a passage and the forced steps up to the next one; return the pose there and the hallway in between."""
    dynamics = Dynamics.of(layout)
    pose, _ = dynamics.step(pose, action)
    reached = np.full(len(pose), -1, np.int64)
    going = np.ones(len(pose), bool)
    while going.any():
        here = layout.hallway[pose[:, 1], pose[:, 0]]
        reached = np.where(going & (here >= 0), here, reached)
        going &= ~dynamics.passage(pose)
        forced, _ = dynamics.step(pose, dynamics.action_mask(pose).argmax(axis=1))
        pose = np.where(going[:, None], forced, pose)
    return pose, reached


@torch.inference_mode()
def hallway_features(model: Plannable, layout: Layout, device: torch.device) -> Float[Tensor, "h d"]:
    """Mean normalised goal feature of each hallway's cells, normalised again."""
    crops = (torch.from_numpy(layout.crops[layout.hallway == number]).to(device) for number in range(layout.hallways))
    rows = [F.normalize(model.goal_feature(to_float(crop)), dim=-1).mean(0) for crop in crops]
    return F.normalize(torch.stack(rows), dim=-1)


def contexts(
    arrival: Int16[np.ndarray, "n 4"],
    longest: int,
    layout: Layout,
    camera: Camera,
    jitters: int,
    seed: int,
    device: torch.device,
) -> tuple[Float[Tensor, "b t 3 s s"], Int64[Tensor, "b t_1"], Int64[Tensor, " b"]]:
    """Frames, actions and lengths of the straight ways into the arrivals, as models observe them.

    A context has `longest` frames, or as many as the shortest hallway allows; jitters of one arrival are adjacent.
    """
    context = min(longest, 1 + SHORTEST_HALLWAY)
    back = np.arange(context - 1, -1, -1)
    ahead = np.array(MOVES)[arrival[:, 2]]
    pose = np.repeat(arrival[:, None], context, axis=1)
    pose[..., :2] -= (back[:, None] * ahead[:, None]).astype(np.int16)
    pose = np.repeat(pose, jitters, axis=0).reshape(-1, 4)
    frame = np.arange(len(pose))
    row, t = divmod(frame, context)
    jitter = camera_jitter(np.full_like(frame, seed), row, t, camera.yaw_degrees, camera.position)
    frames = Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter)
    x = to_float(torch.from_numpy(frames).to(device)).unflatten(0, (-1, context))
    a = torch.zeros(len(x), context - 1, dtype=torch.int64, device=device)  # forward
    return x, a, torch.full((len(x),), context, device=device)
