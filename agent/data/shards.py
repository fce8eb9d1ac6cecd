"""The data set on disk: a manifest and shards of plain numpy arrays.

    data/paper/
        manifest.json           how it was made, counts, versions, a checksum for each complete shard
        shard-00000/            episodes 0 to 99, here of a maze, each exactly 100 frames
            observation.npy     (100, 100, 32, 32, 3) uint8    x_t
            action.npy          (100, 100) int8                a_t, the action taken after seeing x_t
            action_mask.npy     (100, 100, 3) int8             1 for each legal action at t
            achieved_goal.npy   (100, 100, 3, 3, 3) uint8      the map around the agent at t
            pose.npy            (100, 100, 4) int16            x, y, heading, mode; only for evaluation
        shard-00001/ …

    data/balls/                 videos: episodes are sequences of any length T, without actions and goals
        shard-00000/
            observation.npy     (100, T, 32, 32, 3) uint8      x_t
            change.npy          (100, T) int8                  1 if a colour changed between x_{t-1} and x_t
            bounce.npy          (100, T, balls) int8           1 if the ball was reflected there
            position.npy        (100, T, balls, 2) float32     centres; all but the frames only for evaluation

    data/digits/shard-00000/    observation.npy (100, T, 64, 64, 1) uint8, grey; change, bounce, position as above;
                                digit.npy (100, T, 2) int32, label.npy (100, T, 2) int8: which digits are shown
    data/mazes/shard-00000/     observation.npy (100, T, 64, 64, 3) uint8, change.npy, where a passage was taken,
                                pose.npy (100, T, 4) int16, maze.npy (100, T) int32, the number of the layout
    data/kth/shard-00000/       recorded videos: observation.npy (100, T, 64, 64, 1) uint8, grey
    data/dml/shard-00000/       observation.npy (100, T, 64, 64, 3) uint8, camera.npy (100, T, 5) float32

A shard is written under a temporary name, synced and renamed, and only then entered in the manifest, which is replaced
in the same way. So a killed writer loses at most its open shard, and whatever the manifest names is whole.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from agent.data.manifest import MANIFEST, Manifest
from agent.system.atomic_files import locked, sync_folder, write_and_sync
from agent.system.settings import check_same_settings

# Everything that a data set's folder may hold, finished or cut off.
OURS = re.compile(r"\.?(manifest\.json|shard-\d{5})(\.partial)?")


def shard_folder(folder: Path, shard: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{shard:05d}"


def write_shard(folder: Path, shard: int, arrays: dict[str, np.ndarray]) -> str:
    """Write a shard so that it is there whole or not at all; return its checksum.

    Args:
        folder: the data set's folder.
        shard: the shard's number.
        arrays: each field's array, (episodes, T, …), in the order of the manifest's `fields`.
    """
    target = shard_folder(folder, shard)
    temporary = target.with_name(f".{target.name}.partial")
    for leftover in (target, temporary):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    digest = hashlib.sha256()
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        digest.update(buffer.getbuffer())
        write_and_sync(temporary / f"{name}.npy", buffer.getbuffer())
    sync_folder(temporary)
    temporary.rename(target)
    sync_folder(folder)
    return digest.hexdigest()


def open_shard(folder: Path, shard: int, manifest: Manifest) -> dict[str, np.ndarray]:
    """The arrays of a complete shard, memory-mapped and read-only.

    To be called by one thread at a time: numpy reads a file's header with Python's parser, which can fail with a
    SystemError where threads share it (Python 3.11, github.com/python/cpython/issues/106905).

    Raises:
        ValueError: if a file is missing, truncated or of another shape.
    """
    path = shard_folder(folder, shard)
    arrays = {}
    with _damage_named(path):
        for name, (dtype, shape) in manifest.fields.items():
            array = np.asarray(np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            expected = (manifest.episodes_in(shard), manifest.episode_length, *shape)
            if (array.dtype, array.shape) != (dtype, expected):
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}, expected {dtype} {expected}")
            arrays[name] = array
    return arrays


def verify_shard(folder: Path, shard: int, manifest: Manifest) -> None:
    """Compare the bytes of a complete shard with its checksum; shards may be verified in several threads.

    Raises:
        ValueError: if a file is missing, or a byte was altered.
    """
    path = shard_folder(folder, shard)
    with _damage_named(path):
        if (found := _checksum(path, manifest)) != manifest.checksums[shard]:
            raise ValueError(f"its SHA-256 is {found[:12]}…, the manifest says {manifest.checksums[shard][:12]}…")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Raise what is found to be wrong with a shard as a ValueError that names it and the remedy."""
    try:
        yield
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"shard {path} is damaged ({error}): restore it, or collect again with --overwrite") from error


def _checksum(path: Path, manifest: Manifest) -> str:
    """The SHA-256 of a shard's files."""
    digest = hashlib.sha256()
    for name in manifest.fields:
        digest.update((path / f"{name}.npy").read_bytes())
    return digest.hexdigest()


def write_data(
    folder: Path, wanted: Manifest, overwrite: bool, make: Callable[[int, int], dict[str, np.ndarray]], command: str
) -> None:
    """Write a data set shard by shard, or complete the one of the same settings that is there.

    Args:
        folder: the data set's folder.
        wanted: its manifest, without checksums.
        overwrite: replace a data set of other settings.
        make: gives the arrays of a shard, in the order of the manifest's `fields`, from its number and its episodes.
        command: what the progress bar says.

    Raises:
        ValueError: if the folder holds a data set of other settings or other files, or another process writes to it.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, f"another process collects into {folder}: wait for it, or choose another --out"):
        manifest, length = _begin_or_resume(folder, wanted, overwrite), wanted.episode_length
        done, total = manifest.episodes_written * length, manifest.episodes * length
        with tqdm(initial=done, total=total, desc=command, unit=" frames", unit_scale=True) as progress:
            for shard in range(len(manifest.checksums), manifest.shards):
                episodes = manifest.episodes_in(shard)
                manifest = manifest.with_shard(write_shard(folder, shard, make(shard, episodes)))
                manifest.write(folder)
                progress.update(episodes * length)


def _begin_or_resume(folder: Path, wanted: Manifest, overwrite: bool) -> Manifest:
    """The manifest to go on from: that of the data set which is there, or a new one with no shard."""
    if strangers := sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name)):
        raise ValueError(f"{folder} holds other files ({strangers[0]}, …): choose an empty folder for --out")
    if (folder / MANIFEST).exists() and not overwrite:
        found = Manifest.read(folder)
        remedy = "choose another --out, or --overwrite"
        check_same_settings(f"{folder} was collected", found.settings, wanted.settings, remedy)
        for shard in range(len(found.checksums)):
            open_shard(folder, shard, found)
            verify_shard(folder, shard, found)
        return found
    for path in sorted(folder.iterdir()):  # the manifest goes first: its shards are nobody's then
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    wanted.write(folder)
    return wanted
