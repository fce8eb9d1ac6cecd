"""The contract of readers of published videos (`kth`, `dml_mazes`).

Files are read twice: `scan` checks every byte and finds the clips, so that damaged files are known before anything is
written; `read` then returns the frames of some clips.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Shaped

from envs.videos import Fields

SIZE = 64
"""height and width of the frames, as in Zakharov et al. 2022"""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Clip(NamedTuple):
    """A sequence of consecutive frames."""

    source: str
    """name of the file or record"""
    first: int
    """first frame, counted from 1"""


class Scan(NamedTuple):
    """The content of a file."""

    clips: list[Clip]
    short: int
    """number of recordings that are too short for a clip"""
    digest: str
    """changes with the file's content"""
    skipped: list[str]
    """what cannot be read, and why: one line each"""


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
    """frames per sequence"""

    def __post_init__(self) -> None:
        """Check the length."""
        if self.length < 2:
            raise ValueError(f"--length must be 2 or more, got {self.length}")

    @property
    def options(self) -> dict[str, Any]:
        """The data set's own options, as JSON returns them."""
        own = {name: value for name, value in asdict(self).items() if name not in ("source", "length")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}

    @property
    def limit(self) -> int | None:
        """The largest number of clips per split; None: no limit."""
        return None

    @abstractmethod
    def files(self) -> Iterator[tuple[Split, Path]]:
        """The files with their splits, in a fixed order.

        Raises:
            ValueError: a file or a package that reads it is missing.
        """

    @abstractmethod
    def scan(self, path: Path) -> Scan:
        """Check a file and find its clips."""

    @abstractmethod
    def read(self, clips: Sequence[Clip]) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """The arrays of N clips that `scan` found, by the names of `fields`: (N, length, …)."""


def find_files(folder: Path, ending: str) -> list[Path]:
    """All files in a folder and those below it whose names end so, in capitals or not, sorted; no hidden ones."""
    found = [path for path in folder.rglob("*") if path.name.lower().endswith(ending) and path.is_file()]
    return sorted(path for path in found if not path.name.startswith("."))


def windows(first: int, last: int, length: int) -> range:
    """First frames of consecutive, disjoint clips in frames `first` to `last`."""
    return range(first, last - length + 2, length)
