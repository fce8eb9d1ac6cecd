"""The data set on disk: a manifest and shards of plain numpy arrays.

    data/paper/
        manifest.json           layout, seed, camera, counts, versions, a checksum for each complete shard
        shard-00000/            episodes 0 to 99, each exactly 100 frames
            observation.npy     (100, 100, 32, 32, 3) uint8    x_t
            action.npy          (100, 100) int8                a_t, the action taken after seeing x_t
            action_mask.npy     (100, 100, 3) int8             1 for each legal action at t
            achieved_goal.npy   (100, 100, 3, 3, 3) uint8      the map around the agent at t
            pose.npy            (100, 100, 4) int16            x, y, heading, mode; only for evaluation
        shard-00001/ …

A shard is written under a temporary name, synced and renamed, and only then entered in the manifest, which is replaced
in the same way. So a killed writer loses at most its open shard, and whatever the manifest names is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agent.files import sync_folder, write_and_sync, write_file
from envs.jitter import Camera
from envs.layout import Layout

EPISODE_LENGTH = 100
EPISODES_PER_SHARD = 100
FORMAT = 1
MANIFEST = "manifest.json"


def field_shapes(frame_size: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Type and shape of one step of each field, for frames of `frame_size` pixels a side."""
    return {
        "observation": (np.dtype(np.uint8), (frame_size, frame_size, 3)),
        "action": (np.dtype(np.int8), ()),
        "action_mask": (np.dtype(np.int8), (3,)),
        "achieved_goal": (np.dtype(np.uint8), (3, 3, 3)),
        "pose": (np.dtype(np.int16), (4,)),
    }


@dataclass(frozen=True)
class Manifest:
    """What a data set holds and how it was made."""

    layout: Layout
    seed: int
    camera: Camera
    episodes: int
    """Episodes of the finished data set."""
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()
    """SHA-256 of each complete shard: its files' bytes in the order of `field_shapes`."""

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

    def write(self, folder: Path) -> None:
        """Replace the manifest of a folder."""
        content = {"format": FORMAT, "episode_length": EPISODE_LENGTH, **asdict(self)}
        write_file(folder / MANIFEST, json.dumps(content, indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder.

        Raises:
            ValueError: if the folder holds none, or one of another format.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            if (content.pop("format"), content.pop("episode_length")) != (FORMAT, EPISODE_LENGTH):
                raise ValueError("another format")
            layout, camera = content.pop("layout"), content.pop("camera")
            return cls(
                layout=Layout(layout["name"], tuple(layout["rows"])),
                camera=Camera(**camera),
                checksums=tuple(content.pop("checksums")),
                **content,
            )
        except FileNotFoundError:
            raise ValueError(
                f"{folder} is no data set, it has no {MANIFEST}: make one with 'jumpy collect --out {folder}'"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} is no manifest of format {FORMAT} ({type(error).__name__}: {error}): "
                "collect again with --overwrite"
            ) from None


def shard_folder(folder: Path, shard: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{shard:05d}"


def write_shard(folder: Path, shard: int, arrays: dict[str, np.ndarray]) -> str:
    """Write a shard so that it is there whole or not at all; return its checksum.

    Args:
        folder: the data set's folder.
        shard: the shard's number.
        arrays: each field's array, (episodes, EPISODE_LENGTH, …).
    """
    target = shard_folder(folder, shard)
    temporary = target.with_name(f".{target.name}.partial")
    for leftover in (target, temporary):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    digest = hashlib.sha256()
    for name in field_shapes(frame_size=arrays["observation"].shape[2]):
        buffer = io.BytesIO()
        np.save(buffer, arrays[name], allow_pickle=False)
        digest.update(buffer.getbuffer())
        write_and_sync(temporary / f"{name}.npy", buffer.getbuffer())
    sync_folder(temporary)
    temporary.rename(target)
    sync_folder(folder)
    return digest.hexdigest()


def open_shard(folder: Path, shard: int, manifest: Manifest, verify: bool) -> dict[str, np.ndarray]:
    """The arrays of a complete shard, memory-mapped and read-only.

    Raises:
        ValueError: if a file is missing, truncated or of another shape; with `verify` also if its bytes were altered.
    """
    path = shard_folder(folder, shard)
    arrays = {}
    try:
        for name, (dtype, shape) in field_shapes(manifest.camera.size).items():
            array = np.asarray(np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            expected = (manifest.episodes_in(shard), EPISODE_LENGTH, *shape)
            if (array.dtype, array.shape) != (dtype, expected):
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}, expected {dtype} {expected}")
            arrays[name] = array
        if verify and (found := _checksum(path, manifest.camera.size)) != manifest.checksums[shard]:
            raise ValueError(f"its SHA-256 is {found[:12]}…, the manifest says {manifest.checksums[shard][:12]}…")
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"shard {path} is damaged ({error}): restore it, or collect again with --overwrite") from error
    return arrays


def _checksum(path: Path, frame_size: int) -> str:
    """The SHA-256 of a shard's files."""
    digest = hashlib.sha256()
    for name in field_shapes(frame_size):
        digest.update((path / f"{name}.npy").read_bytes())
    return digest.hexdigest()
