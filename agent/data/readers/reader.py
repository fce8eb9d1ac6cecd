"""Videos that were recorded and published by others: what a reader of their files gives, and how frames are resized.

A reader (`kth`, `dml_mazes`) goes over its files twice: `scan` checks every byte of them and says which clips
they hold, so that damaged files are known before anything is written; `read` then gives the frames of some clips.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped, UInt8

SIZE = 64
"""height and width of the frames, as in Zakharov et al. 2022"""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

UINT8, FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
FIELDS: dict[str, dict[str, tuple[np.dtype, tuple[int, ...]]]] = {
    "kth": {"observation": (UINT8, (SIZE, SIZE, 1))},
    "dml-mazes": {"observation": (UINT8, (SIZE, SIZE, 3)), "camera": (FLOAT32, (5,))},
}
"""Type and shape of one frame of each array that a data set's reader gives; grey frames have one channel."""


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


@runtime_checkable
class Reader(Protocol):
    """Gives the recorded videos of a folder."""

    def files(self) -> Iterator[tuple[Split, Path]]:
        """The files in a fixed order, with the split that they belong to.

        Raises:
            ValueError: if there are none, or one is missing.
        """

    def scan(self, path: Path, length: int) -> Scan:
        """Check a file and find its clips of `length` frames."""

    def read(self, clips: Sequence[Clip], length: int) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """The arrays of clips that `scan` found, by the names of `FIELDS`, (N, length, …)."""


def windows(first: int, last: int, length: int) -> range:
    """First frames of the clips in frames `first` to `last`: one after the other, without a frame in common."""
    return range(first, last - length + 2, length)


def area_average(frames: UInt8[np.ndarray, "*n h w"], size: int) -> UInt8[np.ndarray, "*n s s"]:
    """Resize frames to a square: a pixel is the mean over the area that it covers, fractions of pixels included."""
    height, width = frames.shape[-2:]
    averaged = _cover(size, height) @ frames @ _cover(size, width).T
    return np.rint(averaged).astype(np.uint8)


def _cover(size: int, length: int) -> Float64[np.ndarray, "size length"]:
    """Share of each of `length` old pixels in each of `size` new ones; every row sums to 1."""
    edge = np.arange(size + 1) * length / size
    pixel = np.arange(length)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return np.maximum(overlap, 0) * size / length
