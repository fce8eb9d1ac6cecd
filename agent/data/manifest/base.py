"""What the manifests of all kinds have in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.readers.reader import Split
from agent.system.atomic_files import write_json
from envs.videos import Fields

EPISODES_PER_SHARD = 100
TRAIN_SHARE = 0.8
"""default share of the episodes that are for training: the first ones"""
FORMAT = 1
MANIFEST = "manifest.json"


class Manifest(ABC):
    """What a data set holds and how it was made; all episodes have the same length. Each kind is a frozen dataclass."""

    kind: ClassVar[str]
    """its name in the file"""
    actions: ClassVar[int] = 0
    """number of actions; 0 for videos, which have no goals either"""
    has_boundaries: ClassVar[bool] = True
    """whether `subsequence_ends` knows the true boundaries"""

    length: int
    """frames per episode"""
    episodes: int
    """episodes in the finished data set"""
    versions: dict[str, str]
    checksums: tuple[str, ...]
    """SHA-256 of each complete shard: of its files' bytes in the order of `fields`"""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape of one step of each field."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What determines the data set's bytes, by the command line's names."""

    @property
    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """What a training run records about its data set."""

    @abstractmethod
    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The true boundaries m_t = 1 in slices that start with their episodes; for evaluation only.

        They may be one frame shorter than the slices, where only the next frame shows whether a subsequence ends.
        """

    def to_json(self) -> dict[str, Any]:
        """The file's content, except for its format."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    @abstractmethod
    def from_json(cls, content: dict[str, Any]) -> Manifest:
        """The inverse of `to_json`, without the kind; wrong contents raise what `read_manifest` catches."""

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums: equal for equal bytes."""
        return hashlib.sha256(" ".join(self.checksums).encode()).hexdigest()

    @property
    def frame_size(self) -> int:
        """Height and width of a frame in pixels."""
        return self.fields["observation"][1][0]

    @property
    def train_episodes(self) -> int:
        """Number of episodes for training."""
        return int(TRAIN_SHARE * self.episodes_written)

    def split(self, name: Split) -> range:
        """The written episodes of a split; validation is empty unless the data set was published with it."""
        boundary = min(self.train_episodes, self.episodes_written)
        return {"train": range(boundary), "test": range(boundary, self.episodes_written)}.get(name, range(0))

    @property
    def shards(self) -> int:
        """Number of shards of the finished data set."""
        return -(-self.episodes // EPISODES_PER_SHARD)

    @property
    def episodes_written(self) -> int:
        """Number of episodes in the complete shards."""
        return min(len(self.checksums) * EPISODES_PER_SHARD, self.episodes)

    def episodes_in(self, shard: int) -> int:
        """Number of episodes in a shard; the last one may have fewer."""
        return min(EPISODES_PER_SHARD, self.episodes - shard * EPISODES_PER_SHARD)

    def with_shard(self, checksum: str) -> Manifest:
        """The manifest after one more shard."""
        return replace(self, checksums=(*self.checksums, checksum))  # type: ignore[type-var]

    def write(self, folder: Path) -> None:
        """Replace a folder's manifest."""
        write_json(folder / MANIFEST, {"format": FORMAT, **self.to_json()})
