"""The manifest of rendered videos."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.manifest.base import TRAIN_SHARE, Manifest
from envs.videos import DATASETS, Fields, Video


@dataclass(frozen=True)
class VideoManifest(Manifest):
    """Videos from `jumpy videos`: frames and their true change points, without actions or goals."""

    kind: ClassVar[str] = "video"

    video: Video
    """its settings: an `identity`"""
    length: int
    seed: int
    episodes: int
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def fields(self) -> Fields:
        """The videos' fields; all but the frames are for evaluation only."""
        return self.video.fields

    @property
    def settings(self) -> dict[str, Any]:
        """See `Manifest.settings`."""
        options = {f"--{name}": value for name, value in asdict(self.video).items()}
        chosen = {"the data set": self.video.name, "--sequences": self.episodes, "--length": self.length}
        return {**chosen, "--seed": self.seed, **options}

    @property
    def origin(self) -> dict[str, Any]:
        """The data set, its options and the seed."""
        return {"dataset": self.video.name, "video": asdict(self.video), "data_seed": self.seed}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The frame before each change point; whether the last frame ends a subsequence is unknown."""
        return fields["change"][:, 1:] > 0

    @property
    def train_episodes(self) -> int:
        """As if all episodes were written: those for tests may show other digits or mazes."""
        return int(TRAIN_SHARE * self.episodes)

    def to_json(self) -> dict[str, Any]:
        """See `Manifest.to_json`; the video's name identifies its class."""
        return {"kind": self.kind, "dataset": self.video.name, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> VideoManifest:
        """See `Manifest.from_json`."""
        video = type(DATASETS[content.pop("dataset")])(**content.pop("video"))
        return cls(video=video, **content)
