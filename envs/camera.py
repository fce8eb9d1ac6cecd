"""The agent's camera and its jitter, which is resampled for every frame.

The jitter of a frame is a stateless hash of (seed, episode, t), so any frame can be rendered again on its own and does
not depend on the batch it is in. The hash applies the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) to each word in turn; the Box-Muller transform makes the normals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numba
import numpy as np
from jaxtyping import Float32, Int64

from envs.code_cache import CACHE

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the increment and multipliers of SplitMix64
MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
FARTHEST = 0.4  # cells (10 default standard deviations): the camera never leaves its cell

LARGEST = 4096  # pixels


@dataclass(frozen=True)
class Camera:
    """The agent's camera, in the centre of its cell at half the wall height."""

    size: int = 32
    """Height and width of a frame in pixels."""
    fov_degrees: float = 90.0
    """Vertical and horizontal field of view in degrees."""
    yaw_degrees: float = 3.0
    """Standard deviation of the yaw jitter in degrees; 0 for none."""
    position: float = 0.04
    """Standard deviation of the position jitter along x and y, in cells; 0 for none. Clipped to ±0.4 cells."""

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not 1 <= self.size <= LARGEST:
            raise ValueError(f"the frame size must be from 1 to {LARGEST} pixels, got {self.size}: the default is 32")
        if not 0 < self.fov_degrees < 180:
            raise ValueError(
                f"the field of view must be between 0 and 180 degrees, got {self.fov_degrees}: the default is 90"
            )
        for what, std in (("yaw", self.yaw_degrees), ("position", self.position)):
            if not 0 <= std < math.inf:
                raise ValueError(f"the camera's {what} jitter must be 0 (none) or more, got {std}")

    @classmethod
    def of(cls, camera: Camera | Mapping[str, Any]) -> Camera:
        """The camera, also from a mapping of its fields, such as one from JSON; ValueError for an unknown field."""
        if isinstance(camera, Camera):
            return camera
        known = [field.name for field in fields(cls)]
        if not isinstance(camera, Mapping) or not set(camera) <= set(known):
            raise ValueError(f"a camera is a Camera or a mapping with some of {', '.join(known)}, got {camera!r}")
        return cls(**camera)


def camera_jitter(
    seed: Int64[np.ndarray, " n"],
    episode: Int64[np.ndarray, " n"],
    t: Int64[np.ndarray, " n"],
    yaw_degrees: float = Camera.yaw_degrees,
    position: float = Camera.position,
) -> Float32[np.ndarray, "n 3"]:
    """The normally distributed jitter of each frame: (dx, dy) in cells and the yaw in radians (positive turns right).

    Args:
        seed: the seed of each frame's environment.
        episode: the number of its episode since that seed was set, from 0.
        t: its step in the episode, 0 for the frame of the reset.
        yaw_degrees: as in `Camera`.
        position: as in `Camera`.
    """
    jitter = np.empty((len(seed), 3), dtype=np.float32)
    _fill(jitter, seed, episode, t, math.radians(yaw_degrees), position)
    return jitter


@numba.njit(cache=CACHE)
def _mix(word: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of the result depends on every bit of the word."""
    word = (word ^ (word >> np.uint64(30))) * MULTIPLIERS[0]
    word = (word ^ (word >> np.uint64(27))) * MULTIPLIERS[1]
    return word ^ (word >> np.uint64(31))


@numba.njit(cache=CACHE)
def _uniform(word: np.uint64) -> float:
    """A number in (0, 1) from the upper 53 bits."""
    return (np.float64(word >> np.uint64(11)) + 0.5) * 2.0**-53


@numba.njit(cache=CACHE)
def _polar(word: np.uint64) -> tuple[np.uint64, float, float]:
    """Two steps of the generator: its new state, and the radius and angle of a pair of normals (Box-Muller)."""
    first = _mix(word + GOLDEN_GAMMA)
    second = _mix(first + GOLDEN_GAMMA)
    return second, math.sqrt(-2.0 * math.log(_uniform(first))), 2.0 * math.pi * _uniform(second)


@numba.njit(cache=CACHE)
def _fill(jitter, seed, episode, t, yaw, position):
    """Write the jitter of each row."""
    for row in range(len(jitter)):
        word = _mix(np.uint64(seed[row]) + GOLDEN_GAMMA)
        word = _mix((word ^ np.uint64(episode[row])) + GOLDEN_GAMMA)
        word = _mix((word ^ np.uint64(t[row])) + GOLDEN_GAMMA)
        word, radius, angle = _polar(word)
        jitter[row, 0] = min(max(position * radius * math.cos(angle), -FARTHEST), FARTHEST)
        jitter[row, 1] = min(max(position * radius * math.sin(angle), -FARTHEST), FARTHEST)
        word, radius, angle = _polar(word)
        jitter[row, 2] = yaw * radius * math.cos(angle)
