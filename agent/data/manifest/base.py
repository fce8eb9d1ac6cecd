"""What the manifests of all kinds have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.readers.reader import Split
from agent.system.atomic_files import write_file
from envs.videos import Fields

EPISODES_PER_SHARD = 100
TRAIN_SHARE = 0.8
"""share of the episodes, the first ones, that are for training where a data set does not say otherwise"""
FORMAT = 1
MANIFEST = "manifest.json"


class Manifest(ABC):
    """What a data set holds and how it was made; all episodes have the same length. A kind is a frozen dataclass."""

    kind: ClassVar[str]
    """its name in the file"""
    actions: ClassVar[int] = 0
    """number of actions; 0: there are none, and no goals either"""
    has_boundaries: ClassVar[bool] = True
    """whether `subsequence_ends` knows where the true boundaries are"""

    length: int
    """frames of an episode"""
    episodes: int
    """episodes of the finished data set"""
    versions: dict[str, str]
    checksums: tuple[str, ...]
    """SHA-256 of each complete shard: its files' bytes in the order of `fields`"""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape of one step of each field."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What decides the data set's bytes, by the names of the command line."""

    @property
    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """What a run that is trained on the data set records about it."""

    @abstractmethod
    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The true boundaries m_t = 1 of a slice of E episodes from their beginnings; for evaluation only.

        The frames may be one less than the slice's, where only the frame after shows whether a subsequence ends.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The content of the file, except for its format."""

    @classmethod
    @abstractmethod
    def from_json(cls, content: dict[str, Any]) -> Manifest:
        """The manifest of such a content without its kind.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: if it is something else.
        """

    @property
    def frame_size(self) -> int:
        """Height and width of a frame in pixels."""
        return self.fields["observation"][1][0]

    @property
    def train_episodes(self) -> int:
        """Episodes for training."""
        return int(TRAIN_SHARE * self.episodes_written)

    def split(self, name: Split) -> range:
        """The written episodes of a split; only data sets that were published with a validation split have one."""
        boundary = min(self.train_episodes, self.episodes_written)
        return {"train": range(boundary), "test": range(boundary, self.episodes_written)}.get(name, range(0))

    @property
    def shards(self) -> int:
        """Shards of the finished data set."""
        return -(-self.episodes // EPISODES_PER_SHARD)

    @property
    def episodes_written(self) -> int:
        """Episodes in the complete shards."""
        return min(len(self.checksums) * EPISODES_PER_SHARD, self.episodes)

    def episodes_in(self, shard: int) -> int:
        """Episodes of one shard: the last one holds the rest."""
        return min(EPISODES_PER_SHARD, self.episodes - shard * EPISODES_PER_SHARD)

    def with_shard(self, checksum: str) -> Manifest:
        """The manifest after one more shard."""
        return replace(self, checksums=(*self.checksums, checksum))  # type: ignore[type-var]

    def write(self, folder: Path) -> None:
        """Replace the manifest of a folder."""
        content = {"format": FORMAT, **self.to_json()}
        write_file(folder / MANIFEST, json.dumps(content, indent=2).encode() + b"\n")
