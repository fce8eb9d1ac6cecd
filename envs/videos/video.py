"""What every data set of videos answers; it is a frozen dataclass of the settings that decide its frames."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped

Fields = dict[str, tuple[np.dtype, tuple[int, ...]]]


@dataclass(frozen=True)
class Video(ABC):
    """A data set of videos; its fields are the options of `jumpy videos NAME`, its docstring is their help."""

    name: ClassVar[str]
    """the data set's name on the command line and in manifests"""
    default_sequences: ClassVar[int]
    """how many sequences `jumpy videos` draws by default"""
    default_length: ClassVar[int]
    """frames of each by default"""

    @property
    @abstractmethod
    def size(self) -> int:
        """Height and width of a frame in pixels."""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape of one frame of each array of `generate`; grey frames have one channel."""

    @property
    def identity(self) -> "Video":
        """The settings that decide the frames on any machine: a folder's path is replaced by a name of its content.

        Raises:
            ValueError: if files that the settings name are missing or damaged.
            OSError: if they cannot be read.
        """
        return self

    @abstractmethod
    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """Draw sequences.

        Args:
            rng: decides them.
            sequences: number of sequences, N.
            length: frames of each, T.
            train: the first `train` sequences (none if negative) are for training, the others for tests; these show
                other digits or mazes, where there are any. None: all are for training.

        Returns:
            ``observation`` (N, T, size, size, channels) and, for evaluation only, what is true of the frames. That
            includes ``change`` (N, T): 1 where a frame is the first of a new subsequence, always 0 in the first frame.
        """
