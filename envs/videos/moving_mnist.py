"""*Moving MNIST* (Srivastava, Mansimov and Salakhutdinov 2015, section 4.1.1): digits that bounce in a frame.

Every digit starts anywhere with a direction and a speed of its own, which it keeps: the frame's edges reflect it, other
digits do not. Where digits overlap, the brighter value shows.

**Change points.** Frame t is a change point (`change` = 1) if a digit was reflected between frames t - 1 and t.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from envs.videos.digits import DIGIT, PACKAGED, Digits
from envs.videos.video import Fields, Video


@dataclass(frozen=True)
class MovingMNIST(Video):
    """A data set of moving digits; lengths in pixels, times in frames."""

    options: ClassVar[tuple[str, ...]] = ("digits", "size")
    default_sequences: ClassVar[int] = 2000
    default_length: ClassVar[int] = 300

    slow: float
    """lowest speed"""
    fast: float
    """highest speed; a digit has one between them, in any direction"""
    moving: int = 2
    """how many digits are in a video"""
    digits: str = PACKAGED
    """where they come from: the name of `Digits`"""
    size: int = 64
    """height and width of a frame"""

    def __post_init__(self) -> None:
        """Refuse frames that are too small."""
        if self.fast > self.room:
            raise ValueError(
                f"--size must leave a digit of {DIGIT} pixels and speed {self.fast:g} room to bounce, at least "
                f"{int(np.ceil(self.fast)) + DIGIT} pixels, got {self.size}"
            )

    @property
    def room(self) -> int:
        """Pixels between the outermost places of a digit."""
        return self.size - DIGIT

    @property
    def fields(self) -> Fields:
        """Type and shape of one frame of each array of `generate`; the frames are grey."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 1)),
            "change": (np.dtype(np.int8), ()),
            "bounce": (np.dtype(np.int8), (self.moving,)),
            "position": (np.dtype(np.float32), (self.moving, 2)),
            "digit": (np.dtype(np.int32), (self.moving,)),
            "label": (np.dtype(np.int8), (self.moving,)),
        }

    def generate(
        self,
        rng: np.random.Generator,
        sequences: int,
        length: int,
        train: int | None = None,
        digits: Digits | None = None,
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """Draw sequences; arguments as in `Video.generate`.

        Args:
            rng: decides them.
            sequences: how many, N.
            length: frames of each, T.
            train: the first so many show digits for training, the others digits for tests; None: all for training.
            digits: those of the name `digits`; None: the packaged ones.

        Returns:
            ``observation`` (N, T, size, size, 1); and, for evaluation only, ``change`` (N, T); of each digit ``bounce``
            (N, T, moving), ``position`` (N, T, moving, 2), the middle of its picture in pixels, x right and y down,
            ``digit`` (N, T, moving), its number in `Digits`, and ``label`` (N, T, moving), its class.
        """
        digits = digits or Digits.packaged()
        if digits.name != self.digits:
            raise ValueError(f"these videos show the digits {self.digits!r}, got {digits.name!r}: give the right ones")
        shape = (sequences, self.moving)
        share = rng.random(shape)  # of the digits to draw from: a test video differs in nothing but its digits
        position, bounce = self._move(rng, shape, length)
        training = np.arange(sequences) < (sequences if train is None else train)
        choose = [side[(share * len(side)).astype(np.int64)] for side in (digits.train, digits.test)]
        number = np.where(training[:, None], *choose)
        everywhere = (sequences, length, self.moving)
        return {
            "observation": self._draw(position, digits.image[number]),
            "change": np.any(bounce, axis=-1).astype(np.int8),
            "bounce": bounce.astype(np.int8),
            "position": position,
            "digit": np.broadcast_to(number[:, None], everywhere).astype(np.int32),
            "label": np.broadcast_to(digits.label[number][:, None], everywhere).astype(np.int8),
        }

    def _move(
        self, rng: np.random.Generator, shape: tuple[int, int], length: int
    ) -> tuple[Float32[np.ndarray, "n t k 2"], Bool[np.ndarray, "n t k"]]:
        """Middles of the digits, and whether they were reflected since the frame before.

        Mirrored at the edges, the frame's copies fill the plane and a path goes straight through them.
        """
        start = rng.uniform(0, self.room, (*shape, 2))
        angle, speed = rng.uniform(0, 2 * np.pi, shape), rng.uniform(self.slow, self.fast, shape)
        velocity = speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
        straight = start[:, None] + velocity[:, None] * np.arange(length)[:, None, None]  # (N, T, K, 2)
        copy = np.floor(straight / self.room)
        corner = straight - copy * self.room
        corner = np.where(copy % 2 == 1, self.room - corner, corner)
        bounce = np.zeros((shape[0], length, shape[1]), bool)
        bounce[:, 1:] = (copy[:, 1:] != copy[:, :-1]).any(-1)
        return (corner + DIGIT / 2).astype(np.float32), bounce

    def _draw(
        self, position: Float32[np.ndarray, "n t k 2"], image: UInt8[np.ndarray, "n k h w"]
    ) -> UInt8[np.ndarray, "n t s s 1"]:
        """Draw the frames, each digit at the pixels nearest to its place."""
        frames = np.zeros((*position.shape[:2], self.size, self.size), np.uint8)
        corner = np.rint(position - DIGIT / 2).astype(np.int64)
        x, y = np.moveaxis(corner, -1, 0)[..., None] + np.arange(DIGIT)  # (N, T, K, 28) each
        sequence, t = np.ogrid[: frames.shape[0], : frames.shape[1]]
        for digit in range(self.moving):
            row, column = y[:, :, digit, :, None], x[:, :, digit, None, :]
            place = sequence[..., None, None], t[..., None, None], row, column
            frames[place] = np.maximum(frames[place], image[:, None, digit])
        return frames[..., None]
