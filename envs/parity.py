"""Parity of the two views: the raycaster and Miniworld on random poses."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16, UInt8

from envs.camera import Camera, camera_jitter
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.miniworld_view import MiniworldView
from envs.raycast import Raycaster

SAME = 100.0  # decibels of an identical frame; one level of one channel in a pixel of 1024 leaves 83


@dataclass(frozen=True)
class Parity:
    """How equal two sets of frames are."""

    frames: int
    identical: float
    """fraction of frames that are equal in every byte"""
    pixels_different: float
    """fraction of pixels that differ in any channel"""
    psnr_min: float
    """smallest peak signal-to-noise ratio of a frame in decibels; 100 if all are identical"""
    ssim_mean: float
    """mean structural similarity over frames"""


def measure_parity(
    layout: Layout,
    poses: int = 1000,
    seed: int = 0,
    camera: Camera = Camera(),  # noqa: B008  frozen
) -> tuple[Parity, Parity]:
    """Render random poses with jitter in both views and compare.

    Returns:
        The parity of all frames, and of those that are not of one colour in Miniworld.

    Raises:
        MissingDependency: as in `make_env`.
        ValueError: if there are no poses.
    """
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
    """Sample poses that can occur, uniformly, and their jitter."""
    if number < 1:
        raise ValueError(f"a comparison needs at least 1 pose, got {number}: 1000 is a good number")
    possible = Dynamics.of(layout).poses
    pose = possible[np.random.default_rng(seed).integers(len(possible), size=number)]
    row = np.arange(number)
    return pose, camera_jitter(np.full_like(row, seed), row, np.zeros_like(row), camera.yaw_degrees, camera.position)


def is_flat(frames: UInt8[np.ndarray, "n h w 3"]) -> Bool[np.ndarray, " n"]:
    """Whether each frame has a single colour."""
    return (frames == frames[:, :1, :1]).all(axis=(1, 2, 3))


def compare(ours: UInt8[np.ndarray, "n h w 3"], reference: UInt8[np.ndarray, "n h w 3"]) -> Parity:
    """Compare frames one by one, n at least 1."""
    from torchmetrics.functional import image  # takes a second to import

    different = (ours != reference).any(axis=-1)  # (n, h, w)
    unequal = different.any(axis=(1, 2))
    if not unequal.any():
        return Parity(len(ours), identical=1.0, pixels_different=0.0, psnr_min=SAME, ssim_mean=1.0)
    a, b = (torch.from_numpy(frames[unequal]).permute(0, 3, 1, 2).double() for frames in (ours, reference))
    psnr = image.peak_signal_noise_ratio(a, b, data_range=255.0, reduction="none", dim=(1, 2, 3))
    ssim = image.structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")  # 1 for identical frames
    assert isinstance(ssim, torch.Tensor)
    return Parity(
        frames=len(ours),
        identical=1 - float(unequal.mean()),
        pixels_different=float(different.mean()),
        psnr_min=float(psnr.min()),
        ssim_mean=1 - float(torch.sum(1 - ssim)) / len(ours),
    )
