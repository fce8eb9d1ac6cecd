"""*Moving MNIST* (Srivastava, Mansimov and Salakhutdinov 2015, section 4.1.1): digits that bounce in a frame.

Every digit starts at a random place with its own direction and constant speed. The frame's edges reflect it, other
digits do not. Where digits overlap, the brighter value is visible.

**Change points.** Frame t is a change point (`change` = 1) if a digit was reflected between frames t - 1 and t.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from envs.videos.digits import DIGIT, PACKAGED, Digits
from envs.videos.video import Fields, Video


@dataclass(frozen=True)
class MovingMNIST(Video):
    """Moving MNIST: digits that bounce in a frame, as in Srivastava et al. 2015; lengths in pixels, times in frames.

    Zakharov et al. 2022 use sequences of 300 frames. Srivastava et al. do not give the range of speeds; a tenth of a
    digit's range per frame, 3.6 pixels, is usual. Here the speed is constant, from 3 to 4.2, so only the start is
    random. A digit is rendered unchanged at whole pixels and is reflected where its image, not its ink, meets the edge
    of the frame: in 12 % of the frames.
    """

    name: ClassVar[str] = "moving-mnist"
    default_sequences: ClassVar[int] = 2000
    default_length: ClassVar[int] = 300

    slow: float = 3.0
    """lowest speed, in pixels per frame"""
    fast: float = 4.2
    """highest speed; the speed and direction of a digit are uniform"""
    moving: int = 2
    """number of digits per video"""
    digits: str = PACKAGED
    """packaged: 10 000 digits of this package, four fifths of them for training; or a folder with the four files of
    MNIST (train-images-idx3-ubyte and so on, or .gz)"""
    size: int = 64
    """height and width of a frame in pixels"""

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not 0 < self.slow <= self.fast:
            raise ValueError(f"--slow must be above 0 and at most --fast, {self.fast}, got {self.slow}")
        if self.moving < 1:
            raise ValueError(f"--moving must be 1 or more, got {self.moving}")
        if self.fast > self.room:
            raise ValueError(
                f"--size must leave room for a digit of {DIGIT} pixels and speed {self.fast:g} to bounce: at least "
                f"{int(np.ceil(self.fast)) + DIGIT} pixels, got {self.size}"
            )

    @property
    def room(self) -> int:
        """Range of a digit's position along each axis, in pixels."""
        return self.size - DIGIT

    @property
    def fields(self) -> Fields:
        """See `Video.fields`; the frames are grayscale."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 1)),
            "change": (np.dtype(np.int8), ()),
            "bounce": (np.dtype(np.int8), (self.moving,)),
            "position": (np.dtype(np.float32), (self.moving, 2)),
            "digit": (np.dtype(np.int32), (self.moving,)),
            "label": (np.dtype(np.int8), (self.moving,)),
        }

    @property
    def identity(self) -> "MovingMNIST":
        """See `Video.identity`."""
        return replace(self, digits=self._digits.name)

    @cached_property
    def _digits(self) -> Digits:
        return Digits.packaged() if self.digits == PACKAGED else Digits.read(Path(self.digits))

    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """As in `Video.generate`.

        Returns:
            ``observation`` (N, T, size, size, 1) and, for evaluation only, ``change`` (N, T) and for each digit
            ``bounce`` (N, T, moving), ``position`` (N, T, moving, 2): the centre of its image in pixels, x right and y
            down, ``digit`` (N, T, moving): its index in `Digits`, and ``label`` (N, T, moving): its class.
        """
        digits, shape = self._digits, (sequences, self.moving)
        share = rng.random(shape)  # chooses the digits; test videos differ only in their digits
        position, bounce = self._move(rng, shape, length)
        training = np.arange(sequences) < (sequences if train is None else train)
        choose = [side[(share * len(side)).astype(np.int64)] for side in (digits.train, digits.test)]
        number = np.where(training[:, None], *choose)
        everywhere = (sequences, length, self.moving)
        return {
            "observation": self._render(position, digits.image[number]),
            "change": np.any(bounce, axis=-1).astype(np.int8),
            "bounce": bounce.astype(np.int8),
            "position": position,
            "digit": np.broadcast_to(number[:, None], everywhere).astype(np.int32),
            "label": np.broadcast_to(digits.label[number][:, None], everywhere).astype(np.int8),
        }

    def _move(
        self, rng: np.random.Generator, shape: tuple[int, int], length: int
    ) -> tuple[Float32[np.ndarray, "n t k 2"], Bool[np.ndarray, "n t k"]]:
        """Centres of the digits, and whether they were reflected since the previous frame.

        Copies of the frame, mirrored at its edges, tile the plane; a digit's path through them is straight.
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

    def _render(
        self, position: Float32[np.ndarray, "n t k 2"], image: UInt8[np.ndarray, "n k h w"]
    ) -> UInt8[np.ndarray, "n t s s 1"]:
        """Render the frames, each digit at the pixels nearest to its position."""
        frames = np.zeros((*position.shape[:2], self.size, self.size), np.uint8)
        corner = np.rint(position - DIGIT / 2).astype(np.int64)
        x, y = np.moveaxis(corner, -1, 0)[..., None] + np.arange(DIGIT)  # (N, T, K, 28) each
        sequence, t = np.ogrid[: frames.shape[0], : frames.shape[1]]
        for digit in range(self.moving):
            row, column = y[:, :, digit, :, None], x[:, :, digit, None, :]
            place = sequence[..., None, None], t[..., None, None], row, column
            frames[place] = np.maximum(frames[place], image[:, None, digit])
        return frames[..., None]
