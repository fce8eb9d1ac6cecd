"""The camera and its jitter: where the agent looks from, drawn anew for every frame.

The jitter of a frame is a function of (seed, episode, t) alone: a counter-based hash, no state. A frame can thus be
drawn again on its own, and one environment and a batch of them see the same.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), applied once for each word of the counter; normals come from pairs of uniforms by Box and Muller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int64

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the increment and the multipliers of SplitMix64
MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
FARTHEST = 0.4  # cells; the camera never leaves its cell, whatever the deviation (ten times the default's)


@dataclass(frozen=True)
class Camera:
    """The agent's camera, in the middle of its cell at half wall height.

    Raises:
        ValueError: if a value is outside its range.
    """

    size: int = 32
    """Height and width of a frame in pixels."""
    fov_degrees: float = 90.0
    """Vertical (and horizontal) field of view in degrees."""
    yaw_degrees: float = 3.0
    """Standard deviation of the yaw jitter in degrees; 0 for none."""
    position: float = 0.04
    """Standard deviation of the position jitter along x and y, in cells; 0 for none. Cut off at 0.4 cells."""

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_camera(self.size, self.fov_degrees)
        for what, deviation in (("yaw", self.yaw_degrees), ("position", self.position)):
            if not 0 <= deviation < math.inf:
                raise ValueError(f"the camera's {what} jitter must be 0 (none) or more, got {deviation}")


def check_camera(size: int, fov_degrees: float) -> None:
    """Validate a frame size in pixels and a field of view in degrees.

    Raises:
        ValueError: if they make no picture.
    """
    if size < 1:
        raise ValueError(f"the frame size must be at least 1 pixel, got {size}: the default is 32")
    if not 0 < fov_degrees < 180:
        raise ValueError(f"the field of view must be between 0 and 180 degrees, got {fov_degrees}: the default is 90")


def camera_jitter(
    seed: Int64[np.ndarray, " n"],
    episode: Int64[np.ndarray, " n"],
    t: Int64[np.ndarray, " n"],
    yaw_degrees: float = Camera.yaw_degrees,
    position: float = Camera.position,
) -> Float32[np.ndarray, "n 3"]:
    """The jitter of frames: (dx, dy) in cells and yaw in radians, normal with the given deviations.

    A positive yaw turns the camera as a right turn does. The same frame gets the same jitter in any batch.

    Args:
        seed: the seed of each frame's environment.
        episode: the number of its episode since that seed was set, from 0.
        t: its step in the episode, 0 for the frame of the reset.
        yaw_degrees: standard deviation of the yaw.
        position: standard deviation of dx and of dy, in cells; both are cut off at 0.4 cells.
    """
    jitter = np.empty((len(seed), 3), dtype=np.float32)
    _fill(jitter, seed, episode, t, math.radians(yaw_degrees), position)
    return jitter


@numba.njit(cache=True)
def _mix(word: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of the word changes every bit of the result."""
    word = (word ^ (word >> np.uint64(30))) * MULTIPLIERS[0]
    word = (word ^ (word >> np.uint64(27))) * MULTIPLIERS[1]
    return word ^ (word >> np.uint64(31))


@numba.njit(cache=True)
def _uniform(word: np.uint64) -> float:
    """A float64 in (0, 1) from the upper 53 bits."""
    return (np.float64(word >> np.uint64(11)) + 0.5) * 2.0**-53


@numba.njit(cache=True)
def _fill(jitter, seed, episode, t, yaw, position):
    """Write the jitter of each row: two Box–Muller pairs, of which the last normal is left over."""
    for row in range(len(jitter)):
        word = _mix(np.uint64(seed[row]) + GOLDEN_GAMMA)
        word = _mix((word ^ np.uint64(episode[row])) + GOLDEN_GAMMA)
        word = _mix((word ^ np.uint64(t[row])) + GOLDEN_GAMMA)
        for pair in range(2):
            word = _mix(word + GOLDEN_GAMMA)
            radius = math.sqrt(-2.0 * math.log(_uniform(word)))
            word = _mix(word + GOLDEN_GAMMA)
            angle = 2.0 * math.pi * _uniform(word)
            if pair == 0:
                jitter[row, 0] = min(max(position * radius * math.cos(angle), -FARTHEST), FARTHEST)
                jitter[row, 1] = min(max(position * radius * math.sin(angle), -FARTHEST), FARTHEST)
            else:
                jitter[row, 2] = yaw * radius * math.cos(angle)
