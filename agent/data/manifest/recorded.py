"""The manifest of recorded videos."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.manifest.base import Manifest
from agent.data.readers import RECORDED
from agent.data.readers.reader import SPLITS, Clip, Split
from envs.videos import Fields


@dataclass(frozen=True)
class RecordedManifest(Manifest):
    """Videos by `jumpy import`: frames and where they came from, without actions, goals or boundaries."""

    kind: ClassVar[str] = "recorded"
    has_boundaries: ClassVar[bool] = False

    dataset: str
    """a name in `RECORDED`"""
    options: dict[str, Any]
    """options of its reader"""
    length: int
    clips: dict[Split, tuple[Clip, ...]]
    """the clips of each split, one per episode"""
    files: str
    """SHA-256 over what was read of the files"""
    skipped: tuple[str, ...]
    """what could not be read, and why"""
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def episodes(self) -> int:  # type: ignore[override]
        """Clips of all splits."""
        return sum(len(clips) for clips in self.clips.values())

    @property
    def fields(self) -> Fields:
        """Those of the reader."""
        return RECORDED[self.dataset].fields

    @property
    def settings(self) -> dict[str, Any]:
        """The data set, its options and its files."""
        chosen = {f"--{name}": value for name, value in self.options.items()}
        return {"the data set": self.dataset, "--length": self.length, **chosen, "files of SHA-256": self.files}

    @property
    def origin(self) -> dict[str, Any]:
        """The data set, its options and its files."""
        return {"dataset": self.dataset, "video": {**self.options, "files": self.files}}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The true boundaries of recorded videos are not known."""
        raise ValueError(f"{self.dataset} was recorded, its true boundaries are not known: use data of 'jumpy videos'")

    def split(self, name: Split) -> range:
        """The written episodes of a split: those for training come first, then those for validation and for tests."""
        counts = [len(self.clips[each]) for each in SPLITS]
        first = sum(counts[: SPLITS.index(name)])
        return range(*(min(place, self.episodes_written) for place in (first, first + len(self.clips[name]))))

    def to_json(self) -> dict[str, Any]:
        """As in the dataclass, the kind first."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RecordedManifest:
        """The reverse of `to_json`."""
        clips = {split: tuple(Clip(*clip) for clip in content["clips"][split]) for split in SPLITS}
        return cls(**{**content, "clips": clips, "skipped": tuple(content["skipped"])})
