"""Videos that were recorded and published by others: what a reader of their files gives, and how frames are resized.

A reader (`kth`, `dml_mazes`) goes over its files twice: `scan` checks every byte of them and says which clips
they hold, so that damaged files are known before anything is written; `read` then gives the frames of some clips.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped, UInt8

from envs.videos import Fields

SIZE = 64
"""height and width of the frames, as in Zakharov et al. 2022"""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Clip(NamedTuple):
    """A sequence of consecutive frames."""

    source: str
    """the file's name, or the record's"""
    first: int
    """its first frame there, counted from 1"""


class Scan(NamedTuple):
    """What a file holds."""

    clips: list[Clip]
    short: int
    """recordings that are too short for one clip"""
    digest: str
    """changes with the file's content"""
    skipped: list[str]
    """what of it cannot be read, and why: one line each"""


@dataclass(frozen=True)
class Reader(ABC):
    """A data set of recorded videos; its fields are the options of `jumpy import NAME`, its docstring is their help."""

    name: ClassVar[str]
    """the data set's name on the command line and in manifests"""
    fields: ClassVar[Fields]
    """type and shape of one frame of each array of `read`; grey frames have one channel"""

    source: Path
    """folder of the published files"""
    length: int
    """frames of a sequence"""

    def __post_init__(self) -> None:
        """Validate the length."""
        if self.length < 2:
            raise ValueError(f"--length must be 2 or more, got {self.length}")

    @property
    def options(self) -> dict[str, Any]:
        """The options that are this data set's own, as JSON gives them back."""
        own = {name: value for name, value in asdict(self).items() if name not in ("source", "length")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}

    @property
    def limit(self) -> int | None:
        """The largest number of clips in a split; None: all that there are."""
        return None

    @abstractmethod
    def files(self) -> Iterator[tuple[Split, Path]]:
        """The files in a fixed order, with the split that they belong to.

        Raises:
            ValueError: if there are none, one is missing, or a package that reads them is not installed.
        """

    @abstractmethod
    def scan(self, path: Path) -> Scan:
        """Check a file and find its clips."""

    @abstractmethod
    def read(self, clips: Sequence[Clip]) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """The arrays of clips that `scan` found, by the names of `fields`, (N, length, …)."""


def windows(first: int, last: int, length: int) -> range:
    """First frames of the clips in frames `first` to `last`: one after the other, without a frame in common."""
    return range(first, last - length + 2, length)


def area_average(frames: UInt8[np.ndarray, "*n h w"], size: int) -> UInt8[np.ndarray, "*n s s"]:
    """Resize frames to a square: a pixel is the mean over the area that it covers, fractions of pixels included.

    Pillow's box filter counts every pixel whose middle lies in the area, whole: where 160 pixels become 64, a new pixel
    is the mean of two or of three old ones instead of two and a half. So does torch's `area`, which counts all it
    touches.
    """
    height, width = frames.shape[-2:]
    averaged = _cover(size, height) @ frames @ _cover(size, width).T
    return np.rint(averaged).astype(np.uint8)


def _cover(size: int, length: int) -> Float64[np.ndarray, "size length"]:
    """Share of each of `length` old pixels in each of `size` new ones; every row sums to 1."""
    edge = np.arange(size + 1) * length / size
    pixel = np.arange(length)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return np.maximum(overlap, 0) * size / length
