"""Videos of coloured balls in a box: *Bouncing Balls* and *Moving Ball*.

In every frame a ball moves by its velocity. When a wall reflects it, its colour changes to one of the other five of
`PALETTE`, uniformly, so every change is visible. It also changes at random with probability `recolour` per frame.
Velocity noise turns the ball and changes its speed, which stays between `slow` and `fast`. Balls pass through each
other; a later one is rendered on top.

**Change points.** Frame t is a change point (`change` = 1) if a ball's colour changed between frames t - 1 and t.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped, UInt8

from envs.videos.video import Fields, Video

PALETTE = np.array(
    [[255, 40, 40], [255, 220, 0], [40, 220, 40], [0, 220, 255], [60, 80, 255], [255, 60, 255]], np.float32
)
"""red, yellow, green, cyan, blue, magenta; the box is black"""


@dataclass(frozen=True)
class Balls(Video):
    """Balls in a box; lengths in pixels, times in frames."""

    default_sequences: ClassVar[int] = 5000
    default_length: ClassVar[int] = 100

    balls: int
    """number of balls"""
    slow: float
    """lowest speed, in pixels per frame"""
    fast: float
    """highest speed; the initial speed and direction are uniform"""
    noise: float = 0.0
    """standard deviation of the change of each velocity component per frame"""
    recolour: float = 0.0
    """lambda: probability per frame that a ball changes its colour at random"""
    radius: float = 4.0
    """radius of a ball in pixels"""
    size: int = 32
    """height and width of a frame in pixels"""

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.balls < 1:
            raise ValueError(f"--balls must be 1 or more, got {self.balls}")
        if not 0 < self.slow <= self.fast:
            raise ValueError(f"--slow must be above 0 and at most --fast, {self.fast}, got {self.slow}")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"--noise must be 0 (none) or more, got {self.noise}")
        if not 0 <= self.recolour <= 1:
            raise ValueError(f"--recolour (lambda) must be from 0 to 1, got {self.recolour}")
        if not self.radius > 0:
            raise ValueError(f"--radius must be above 0, got {self.radius}")
        if self.fast > self.room:
            raise ValueError(
                f"--size must leave room for a ball of radius {self.radius:g} and speed {self.fast:g} to bounce: "
                f"at least {math.ceil(self.fast + 2 * self.radius)} pixels, got {self.size}"
            )

    @property
    def room(self) -> float:
        """Range of a ball's centre along each axis, in pixels."""
        return self.size - 2 * self.radius

    @property
    def fields(self) -> Fields:
        """See `Video.fields`."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 3)),
            "change": (np.dtype(np.int8), ()),
            "bounce": (np.dtype(np.int8), (self.balls,)),
            "position": (np.dtype(np.float32), (self.balls, 2)),
        }

    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """As in `Video.generate`; `train` is not used.

        Returns:
            ``observation`` (N, T, size, size, 3) and, for evaluation only, ``change`` (N, T), ``bounce`` (N, T, balls):
            whether a ball was reflected since the previous frame, and ``position`` (N, T, balls, 2): the centres in
            pixels, x right and y down.
        """
        position, colour, bounce = self._move(rng, sequences, length)
        change = np.zeros((sequences, length), np.int8)
        change[:, 1:] = (colour[:, 1:] != colour[:, :-1]).any(-1)
        frames = self._render(position, colour)
        return {"observation": frames, "change": change, "bounce": bounce.astype(np.int8), "position": position}

    def _move(
        self, rng: np.random.Generator, sequences: int, length: int
    ) -> tuple[Float32[np.ndarray, "n t k 2"], Int64[np.ndarray, "n t k"], Bool[np.ndarray, "n t k"]]:
        """Positions, colours (rows of `PALETTE`) and bounces of all sequences."""
        shape = (sequences, self.balls)
        low, high = self.radius, self.size - self.radius
        position = rng.uniform(low, high, (*shape, 2))
        angle, speed = rng.uniform(0, 2 * np.pi, shape), rng.uniform(self.slow, self.fast, shape)
        velocity = speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
        colour = rng.integers(len(PALETTE), size=shape)
        noise = self.noise * rng.standard_normal((length, *shape, 2))
        chance = rng.random((length, *shape)) < self.recolour
        shift = rng.integers(1, len(PALETTE), (length, *shape))  # to one of the other colours
        steps = [(position, colour, np.zeros(shape, bool))]
        for t in range(1, length):
            velocity = velocity + noise[t]
            speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
            velocity = velocity * np.clip(speed, self.slow, self.fast) / speed
            position = position + velocity
            beyond = (position < low) | (position > high)
            position = np.where(beyond, 2 * np.where(position < low, low, high) - position, position)
            velocity = np.where(beyond, -velocity, velocity)
            bounce = beyond.any(-1)
            colour = np.where(bounce | chance[t], (colour + shift[t]) % len(PALETTE), colour)
            steps.append((position, colour, bounce))
        position, colour, bounce = (np.stack(values, 1) for values in zip(*steps, strict=True))
        return position.astype(np.float32), colour, bounce

    def _render(
        self, position: Float32[np.ndarray, "n t k 2"], colours: Int64[np.ndarray, "n t k"]
    ) -> UInt8[np.ndarray, "n t s s 3"]:
        """Render the frames, anti-aliased by the distance of each pixel's centre to the ball's edge."""
        frames = np.zeros((*colours.shape[:2], self.size, self.size, 3), np.uint8)
        flat = frames.reshape(-1, self.size, self.size, 3)
        width = int(np.ceil(2 * self.radius)) + 1  # of the square that a ball can cover
        rows = np.arange(len(flat))[:, None, None]
        for ball in range(self.balls):
            centre = position[:, :, ball].reshape(-1, 2)
            first = np.minimum(np.floor(centre - self.radius), self.size - width).astype(np.int64)
            pixel = first[:, None] + np.arange(width)[:, None]  # (frames, width, 2)
            apart = (pixel + np.float32(0.5) - centre[:, None]).astype(np.float32) ** 2
            distance = np.sqrt(apart[:, None, :, 0] + apart[:, :, None, 1])
            cover = np.clip(np.float32(self.radius + 0.5) - distance, 0, 1)[..., None]
            place = rows, pixel[:, :, None, 1], pixel[:, None, :, 0]
            under = flat[place].astype(np.float32)
            colour = PALETTE[colours[:, :, ball].reshape(-1)][:, None, None]
            flat[place] = np.rint(under + cover * (colour - under)).astype(np.uint8)
        return frames


@dataclass(frozen=True)
class BouncingBalls(Balls):
    """Bouncing Balls: two balls, as in section 5.1 of Kim et al. 2019.

    The paper does not give speed, radius, noise or colours. At this speed a ball is reflected in 8 % of the frames, so
    20 frames have about 3 changes of either ball, which suits the paper's N_max = 5 and l_max = 10.
    """

    name: ClassVar[str] = "bouncing-balls"

    balls: int = 2
    slow: float = 1.0
    fast: float = 2.0
    noise: float = 0.1


@dataclass(frozen=True)
class MovingBall(Balls):
    """Moving Ball: one ball, as in sections 4.3 and 4.4 of Zakharov et al. 2022, who use lambda = 0, 0.1 and 0.3.

    The paper does not give speed, radius, size or colours, nor whether a new colour always differs from the old one.
    Its Table 2 uses 1.22 levels on average, so about 21 % of the frames are changes: 4 pixels per frame. Sequences have
    100 frames.
    """

    name: ClassVar[str] = "moving-ball"

    balls: int = 1
    slow: float = 4.0
    fast: float = 4.0
