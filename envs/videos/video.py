"""What every data set of videos answers; it is a frozen dataclass of the settings that decide its frames."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped

Fields = dict[str, tuple[np.dtype, tuple[int, ...]]]


@dataclass(frozen=True)
class Video(ABC):
    """A data set of videos."""

    options: ClassVar[tuple[str, ...]]
    """the settings that `jumpy videos` lets the user choose"""
    default_sequences: ClassVar[int]
    """how many sequences it draws unless it is told otherwise"""
    default_length: ClassVar[int]
    """of how many frames"""

    @property
    @abstractmethod
    def size(self) -> int:
        """Height and width of a frame in pixels."""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape of one frame of each array of `generate`; grey frames have one channel."""

    @abstractmethod
    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """Draw sequences.

        Args:
            rng: decides them.
            sequences: how many, N.
            length: frames of each, T.
            train: the first so many (none if negative) are for training, the others for tests; these show other digits
                or mazes, where there are any. None: all are for training.

        Returns:
            ``observation`` (N, T, size, size, channels); and, for evaluation only, what is true of the frames, among it
            ``change`` (N, T): 1 where a frame is the first of a new subsequence. A sequence's first frame is none.
        """
