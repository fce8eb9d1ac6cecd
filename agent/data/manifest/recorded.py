"""The manifest of recorded videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.manifest.base import Manifest
from agent.data.readers import RECORDED
from agent.data.readers.reader import SPLITS, Clip, Split
from envs.videos import Fields


@dataclass(frozen=True)
class RecordedManifest(Manifest):
    """Videos from `jumpy import`: frames and their sources, without actions, goals or boundaries."""

    kind: ClassVar[str] = "recorded"
    has_boundaries: ClassVar[bool] = False

    dataset: str
    """a name in `RECORDED`"""
    options: dict[str, Any]
    """its reader's options"""
    length: int
    clips: dict[Split, tuple[Clip, ...]]
    """the clips of each split, one per episode"""
    files: str
    """SHA-256 over the contents of the files"""
    skipped: tuple[str, ...]
    """what could not be read, and why"""
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def episodes(self) -> int:  # type: ignore[override]
        """Number of clips in all splits."""
        return sum(len(clips) for clips in self.clips.values())

    @property
    def fields(self) -> Fields:
        """The reader's fields."""
        return RECORDED[self.dataset].fields

    @property
    def settings(self) -> dict[str, Any]:
        """See `Manifest.settings`."""
        chosen = {f"--{name}": value for name, value in self.options.items()}
        return {"the data set": self.dataset, "--length": self.length, **chosen, "files of SHA-256": self.files}

    @property
    def origin(self) -> dict[str, Any]:
        """The data set, its options and its files."""
        return {"dataset": self.dataset, "video": {**self.options, "files": self.files}}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """Raises a ValueError: the true boundaries of recorded videos are unknown."""
        raise ValueError(f"{self.dataset} has no true boundaries: use data from 'jumpy videos'")

    def split(self, name: Split) -> range:
        """The written episodes of a split, stored in the order train, validation, test."""
        counts = [len(self.clips[each]) for each in SPLITS]
        first = sum(counts[: SPLITS.index(name)])
        return range(*(min(place, self.episodes_written) for place in (first, first + len(self.clips[name]))))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RecordedManifest:
        """See `Manifest.from_json`."""
        clips = {split: tuple(Clip(*clip) for clip in content["clips"][split]) for split in SPLITS}
        return cls(**{**content, "clips": clips, "skipped": tuple(content["skipped"])})
