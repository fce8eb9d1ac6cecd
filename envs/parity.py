"""How equal the pictures of the two views are: the raycaster and Miniworld on random poses."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16, UInt8
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from envs.camera import Camera, camera_jitter
from envs.dynamics import HEADINGS, MODES, Dynamics
from envs.layout import Layout
from envs.miniworld_view import MiniworldView
from envs.raycast import Raycaster

SAME = 100.0  # decibels of an identical frame; one level of one channel in a pixel of 1024 leaves 83


@dataclass(frozen=True)
class Parity:
    """How equal two sets of frames are.

    Attributes:
        frames: number of frames compared.
        identical: fraction of frames that are equal in every byte.
        pixels_different: fraction of pixels that differ in any channel.
        psnr_min: smallest peak signal-to-noise ratio of a frame in decibels; 100 stands for an identical frame.
        ssim_mean: mean structural similarity over frames.
    """

    frames: int
    identical: float
    pixels_different: float
    psnr_min: float
    ssim_mean: float


def measure_parity(
    layout: Layout, poses: int = 1000, seed: int = 0, camera: Camera | None = None
) -> tuple[Parity, Parity]:
    """Draw random poses with jitter in both views and compare.

    Args:
        layout: the maze.
        poses: number of poses.
        seed: decides poses and jitter.
        camera: the default camera if None.

    Returns:
        Over all frames, and over those that are not of one colour in Miniworld.

    Raises:
        MissingDependency: if Miniworld or OpenGL libraries are missing; the message says how to install them.
        ValueError: if there are no poses.
    """
    camera = camera or Camera()
    pose, jitter = random_poses(layout, poses, seed, camera)
    view = MiniworldView(layout, camera.size, camera.fov_degrees)
    reference = view.render(pose, jitter)
    view.close()
    ours = Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter)
    varied = ~is_flat(reference)
    return compare(ours, reference), compare(ours[varied], reference[varied])


def random_poses(
    layout: Layout, number: int, seed: int, camera: Camera
) -> tuple[Int16[np.ndarray, "n 4"], Float32[np.ndarray, "n 3"]]:
    """Poses drawn uniformly from those that can occur, and the jitter of the camera."""
    if number < 1:
        raise ValueError(f"a comparison needs at least 1 pose, got {number}: 1000 is a good number")
    height, width = layout.shape
    y, x, heading, mode = np.indices((height, width, HEADINGS, MODES), dtype=np.int16)
    every = np.stack((x, y, heading, mode), axis=-1).reshape(-1, 4)
    possible = every[Dynamics.of(layout).possible(every)]
    pose = possible[np.random.default_rng(seed).integers(len(possible), size=number)]
    row = np.arange(number)
    return pose, camera_jitter(np.full_like(row, seed), row, np.zeros_like(row), camera.yaw_degrees, camera.position)


def is_flat(frames: UInt8[np.ndarray, "n h w 3"]) -> Bool[np.ndarray, " n"]:
    """Whether a frame is of one colour."""
    return (frames == frames[:, :1, :1]).all(axis=(1, 2, 3))


def compare(ours: UInt8[np.ndarray, "n h w 3"], reference: UInt8[np.ndarray, "n h w 3"]) -> Parity:
    """Compare frames one by one, n at least 1."""
    different = (ours != reference).any(axis=-1)  # (n, h, w)
    unequal = different.any(axis=(1, 2))
    if not unequal.any():
        return Parity(len(ours), identical=1.0, pixels_different=0.0, psnr_min=SAME, ssim_mean=1.0)
    a, b = (torch.from_numpy(frames[unequal]).permute(0, 3, 1, 2).double() for frames in (ours, reference))
    psnr = peak_signal_noise_ratio(a, b, data_range=255.0, reduction="none", dim=(1, 2, 3))
    ssim = structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")  # 1 for identical frames
    assert isinstance(ssim, torch.Tensor)
    return Parity(
        frames=len(ours),
        identical=1 - float(unequal.mean()),
        pixels_different=float(different.mean()),
        psnr_min=float(psnr.min()),
        ssim_mean=1 - float(torch.sum(1 - ssim)) / len(ours),
    )
