"""The interface of all video data sets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped

Fields = dict[str, tuple[np.dtype, tuple[int, ...]]]


@dataclass(frozen=True)
class Video(ABC):
    """A video data set: its fields are the options of `jumpy videos NAME`, its docstring is their help."""

    name: ClassVar[str]
    """the data set's name on the command line and in manifests"""
    default_sequences: ClassVar[int]
    """default number of sequences of `jumpy videos`"""
    default_length: ClassVar[int]
    """default number of frames per sequence"""

    @property
    @abstractmethod
    def size(self) -> int:
        """Height and width of a frame in pixels."""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape per frame of each array that `generate` returns; grayscale frames have one channel."""

    @property
    def identity(self) -> "Video":
        """The settings that determine the frames on any machine: a hash of its content replaces a folder's path.

        Raises:
            ValueError: if files that the settings refer to are missing or damaged.
            OSError: if they cannot be read.
        """
        return self

    @abstractmethod
    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """Generate sequences.

        Args:
            rng: the only source of randomness.
            sequences: number of sequences, N.
            length: frames per sequence, T.
            train: the first `train` sequences (none if negative) are for training, the others for testing, with other
                digits or mazes if the data set has any. None: all are for training.

        Returns:
            ``observation`` (N, T, size, size, channels) and, for evaluation only, the ground truth. It includes
            ``change`` (N, T): 1 if a frame is the first of a new subsequence, always 0 in the first frame.
        """
