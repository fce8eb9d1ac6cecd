"""What a data set is: its kind, the fields of its episodes, and how it was made.

There are three kinds, *maze* (`jumpy collect`), *video* (`jumpy videos`) and *recorded* (`jumpy import`). The manifest
is `manifest.json` in the data set's folder; one without a kind is of a maze.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.readers.reader import FIELDS, SPLITS, Clip, Split
from agent.system.atomic_files import write_file
from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.videos import DATASETS, Fields, Video

EPISODE_LENGTH = 100
"""frames of an episode in a data set of a maze, where no goal ends it: part of the format, unlike `envs`' LIFE_STEPS"""
EPISODES_PER_SHARD = 100
TRAIN_SHARE = 0.8
"""of the episodes, where a data set says nothing else: the first 80 % are for training, the rest for tests"""
FORMAT = 1
MANIFEST = "manifest.json"


def field_shapes(frame_size: int) -> Fields:
    """Type and shape of one step of each field of a maze, for frames of `frame_size` pixels a side."""
    return {
        "observation": (np.dtype(np.uint8), (frame_size, frame_size, 3)),
        "action": (np.dtype(np.int8), ()),
        "action_mask": (np.dtype(np.int8), (3,)),
        "achieved_goal": (np.dtype(np.uint8), (3, 3, 3)),
        "pose": (np.dtype(np.int16), (4,)),
    }


class Manifest(ABC):
    """What a data set holds and how it was made; episodes all have the same length."""

    seed: int
    episodes: int
    """Episodes of the finished data set."""
    versions: dict[str, str]
    checksums: tuple[str, ...]
    """SHA-256 of each complete shard: its files' bytes in the order of `fields`."""
    has_boundaries: ClassVar[bool] = True
    """Whether `subsequence_ends` knows where the true boundaries are."""

    @property
    @abstractmethod
    def episode_length(self) -> int:
        """Frames of an episode."""

    @property
    @abstractmethod
    def frame_size(self) -> int:
        """Height and width of a frame in pixels."""

    @property
    @abstractmethod
    def fields(self) -> Fields:
        """Type and shape of one step of each field."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, object]:
        """What decides the data set's bytes, by the names of the command line."""

    @property
    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """What a run that is trained on the data set notes of it."""

    @property
    @abstractmethod
    def actions(self) -> int:
        """How many actions there are; 0 where there are none, and no goals either."""

    @abstractmethod
    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The true boundaries m_t = 1 of a slice of E episodes from their beginnings; for evaluation only.

        The frames may be one less than the slice's, where only the frame after shows whether a subsequence ends.
        """

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """What the file holds beside the format."""

    def split(self, name: Split) -> range:
        """The written episodes of a split; validation has some only where the data set was published with it."""
        boundary = int(TRAIN_SHARE * self.episodes_written)
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
        content = {"format": FORMAT, **self._content()}
        write_file(folder / MANIFEST, json.dumps(content, indent=2).encode() + b"\n")

    @staticmethod
    def read(folder: Path) -> Manifest:
        """The manifest of a folder.

        Raises:
            ValueError: if the folder holds none, or one of another format.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            content["checksums"] = tuple(content["checksums"])
            return KINDS[content.pop("kind", MazeManifest.kind)]._of(content)
        except FileNotFoundError:
            raise ValueError(
                f"{folder} is no data set, it has no {MANIFEST}: make one with 'jumpy collect --out {folder}' or "
                "'jumpy videos'"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} is no manifest of format {FORMAT} ({type(error).__name__}: {error}): "
                "collect again with --overwrite"
            ) from None


@dataclass(frozen=True)
class MazeManifest(Manifest):
    """Random navigation in a maze."""

    kind: ClassVar[str] = "maze"

    layout: Layout
    seed: int
    camera: Camera
    episodes: int
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def episode_length(self) -> int:  # noqa: D102
        return EPISODE_LENGTH

    @property
    def frame_size(self) -> int:  # noqa: D102
        return self.camera.size

    @property
    def fields(self) -> Fields:  # noqa: D102
        return field_shapes(self.camera.size)

    @property
    def settings(self) -> dict[str, object]:  # noqa: D102
        camera = {f"--camera.{name}": value for name, value in asdict(self.camera).items()}
        steps = self.episodes * EPISODE_LENGTH
        return {"--layout": self.layout.name, "--seed": self.seed, "--steps": steps, **camera}

    @property
    def origin(self) -> dict[str, Any]:  # noqa: D102
        return {"layout": self.layout.name, "rows": list(self.layout.rows), "data_seed": self.seed}

    @property
    def actions(self) -> int:  # noqa: D102
        return 3

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """Passages: the frame on which the action is chosen ends its subsequence."""
        pose = fields["pose"]
        return Dynamics.of(self.layout).passage(pose.reshape(-1, 4)).reshape(pose.shape[:2])

    def _content(self) -> dict[str, Any]:
        return {"episode_length": EPISODE_LENGTH, **asdict(self)}

    @classmethod
    def _of(cls, content: dict[str, Any]) -> MazeManifest:
        if content.pop("episode_length") != EPISODE_LENGTH:
            raise ValueError("another length of episodes")
        layout, camera = content.pop("layout"), content.pop("camera")
        return cls(Layout(layout["name"], tuple(layout["rows"])), camera=Camera(**camera), **content)


@dataclass(frozen=True)
class VideoManifest(Manifest):
    """Videos: frames and their true change points, without actions or goals."""

    kind: ClassVar[str] = "video"

    dataset: str
    """a name of `envs.videos.DATASETS`"""
    video: Video
    """how its videos are drawn"""
    length: int
    seed: int
    episodes: int
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def episode_length(self) -> int:  # noqa: D102
        return self.length

    @property
    def frame_size(self) -> int:  # noqa: D102
        return self.video.size

    @property
    def fields(self) -> Fields:  # noqa: D102
        return self.video.fields

    @property
    def settings(self) -> dict[str, object]:  # noqa: D102
        video = {f"--{name}": value for name, value in asdict(self.video).items()}
        chosen = {"--dataset": self.dataset, "--sequences": self.episodes, "--length": self.length}
        return {**chosen, "--seed": self.seed, **video}

    @property
    def origin(self) -> dict[str, Any]:  # noqa: D102
        return {"dataset": self.dataset, "video": asdict(self.video), "data_seed": self.seed}

    @property
    def actions(self) -> int:  # noqa: D102
        return 0

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The frame before each change point; whether the last one ends a subsequence is not known."""
        return fields["change"][:, 1:] > 0

    @property
    def train_episodes(self) -> int:
        """Episodes for training, once all are written: those for tests may show other digits or mazes."""
        return int(TRAIN_SHARE * self.episodes)

    def split(self, name: Split) -> range:
        """The written episodes of a split, which no episode leaves when more are written; there is no validation."""
        boundary = min(self.train_episodes, self.episodes_written)
        return {"train": range(boundary), "test": range(boundary, self.episodes_written)}.get(name, range(0))

    def _content(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def _of(cls, content: dict[str, Any]) -> VideoManifest:
        video = type(DATASETS[content["dataset"]])(**content.pop("video"))
        return cls(video=video, **content)


@dataclass(frozen=True)
class RecordedManifest(Manifest):
    """Videos read from a user's files: frames and where they came from, without actions, goals or boundaries."""

    kind: ClassVar[str] = "recorded"
    has_boundaries: ClassVar[bool] = False

    dataset: str
    """a name of `agent.data.readers.reader.FIELDS`"""
    options: dict[str, Any]
    """what the user chose of it"""
    length: int
    clips: dict[Split, tuple[Clip, ...]]
    """of each split, one an episode"""
    files: str
    """SHA-256 over what was read of the files"""
    skipped: tuple[str, ...]
    """what could not be read, and why"""
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def episodes(self) -> int:  # type: ignore[override] # noqa: D102
        return sum(len(clips) for clips in self.clips.values())

    @property
    def episode_length(self) -> int:  # noqa: D102
        return self.length

    @property
    def frame_size(self) -> int:  # noqa: D102
        return self.fields["observation"][1][0]

    @property
    def fields(self) -> Fields:  # noqa: D102
        return FIELDS[self.dataset]

    @property
    def settings(self) -> dict[str, object]:  # noqa: D102
        chosen = {f"--{name}": value for name, value in self.options.items()}
        return {"--dataset": self.dataset, "--length": self.length, **chosen, "files of SHA-256": self.files}

    @property
    def origin(self) -> dict[str, Any]:  # noqa: D102
        return {"dataset": self.dataset, "video": {**self.options, "files": self.files}}

    @property
    def actions(self) -> int:  # noqa: D102
        return 0

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """Nobody knows them."""
        raise ValueError(f"{self.dataset} was recorded, its true boundaries are not known: use data of 'jumpy videos'")

    def split(self, name: Split) -> range:
        """The written episodes of a split: those of training come first, then validation's, then the tests'."""
        counts = [len(self.clips[each]) for each in SPLITS]
        first = sum(counts[: SPLITS.index(name)])
        return range(*(min(place, self.episodes_written) for place in (first, first + len(self.clips[name]))))

    def _content(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def _of(cls, content: dict[str, Any]) -> RecordedManifest:
        clips = {split: tuple(Clip(*clip) for clip in content["clips"][split]) for split in SPLITS}
        return cls(**{**content, "clips": clips, "skipped": tuple(content["skipped"])})


KINDS: dict[str, Any] = {kind.kind: kind for kind in (MazeManifest, VideoManifest, RecordedManifest)}
