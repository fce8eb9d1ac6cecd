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

    data/digits/                videos: episodes of any length T, without actions and goals
        shard-00000/
            observation.npy     (100, T, 64, 64, 1) uint8      x_t; grey frames have one channel
            change.npy          (100, T) int8                  1 at each change point, unless the videos were recorded
            …                   the other `fields` of `envs.videos` or of a reader, only for evaluation

A shard is written under a temporary name, synced and renamed, and only then entered in the manifest, which is replaced
the same way. So a killed writer loses at most its open shard, and every shard in the manifest is complete.
"""

import hashlib
import io
import math
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from agent.data.manifest import EPISODES_PER_SHARD, Manifest, read_manifest
from agent.data.manifest.base import MANIFEST
from agent.system.atomic_files import LOCK, locked, sync_folder, write_and_sync
from agent.system.memory import check_fits
from agent.system.pieces import Workers, run_pieces
from agent.system.settings import check_same_settings

# Everything that a data set's folder may hold, finished or interrupted.
OURS = re.compile(rf"\.?(manifest\.json|shard-\d{{5}})(\.[0-9a-f]{{8}})?(\.partial)?|{re.escape(LOCK)}")


def write_shard(folder: Path, shard: int, arrays: dict[str, np.ndarray]) -> str:
    """Write a shard completely or not at all; return its checksum.

    The arrays (episodes, T, …) are in the order of the manifest's `fields`. If a worker that was given up writes the
    same shard, one of the two is kept: both have the same bytes.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder} on {socket.gethostname()}: all machines need the same storage")
    target = _shard_folder(folder, shard)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    temporary.mkdir()
    digest = hashlib.sha256()
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        digest.update(buffer.getbuffer())
        write_and_sync(temporary / f"{name}.npy", buffer.getbuffer())
    sync_folder(temporary)
    shutil.rmtree(target, ignore_errors=True)
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(temporary)  # the other one was first
    sync_folder(folder)
    return digest.hexdigest()


def open_shard(folder: Path, shard: int, manifest: Manifest) -> dict[str, np.ndarray]:
    """The arrays of a complete shard, memory-mapped and read-only.

    Call it from one thread at a time: numpy reads a file's header with Python's parser, which can fail with a
    SystemError if threads share it (Python 3.11, github.com/python/cpython/issues/106905); after `verify_shard`, since
    that parser is not made for damaged headers. A file that is missing, damaged or of another shape is a ValueError.
    """
    path = _shard_folder(folder, shard)
    arrays = {}
    with _damage_named(path):
        for name, (dtype, shape) in manifest.fields.items():
            array = np.asarray(np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            expected = (manifest.episodes_in(shard), manifest.length, *shape)
            if (array.dtype, array.shape) != (dtype, expected):
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}, expected {dtype} {expected}")
            arrays[name] = array
    return arrays


def verify_shard(folder: Path, shard: int, manifest: Manifest) -> None:
    """Raise a ValueError if a complete shard's bytes do not match its checksum; threads may call it in parallel."""
    path, digest = _shard_folder(folder, shard), hashlib.sha256()
    with _damage_named(path):
        for name in manifest.fields:
            digest.update((path / f"{name}.npy").read_bytes())
        if (found := digest.hexdigest()) != manifest.checksums[shard]:
            raise ValueError(f"its SHA-256 is {found[:12]}…, the manifest has {manifest.checksums[shard][:12]}…")


def _shard_folder(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}"


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn errors in reading a shard into a ValueError that names the shard and the remedy."""
    try:
        yield
    except Exception as error:  # numpy hands on whatever Python's parser raises
        raise ValueError(f"shard {path} is damaged ({error}): restore it, or collect again with --overwrite") from error


def write_data(
    folder: Path,
    wanted: Manifest,
    overwrite: bool,
    make: Callable[[int, int], dict[str, np.ndarray]],
    command: str,
    workers: Workers | None = None,
) -> None:
    """Write a data set shard by shard, or complete an existing one with the same settings.

    Args:
        folder: the data set's folder.
        wanted: its manifest, without checksums.
        overwrite: replace an existing data set.
        make: returns a shard's arrays, in the order of the manifest's `fields`, from its number and number of episodes.
        command: label of the progress bar.
        workers: where shards are made and written; `make` can be pickled then. Default: in this process.

    Raises:
        ValueError: the folder holds a data set with other settings or other files, or another process writes to it.
        OSError: the folder cannot be written.
    """
    frames = 2 * min(EPISODES_PER_SHARD, wanted.episodes) * wanted.length  # as arrays, and as the bytes of their file
    bytes_per_frame = sum(math.prod(shape) * dtype.itemsize for dtype, shape in wanted.fields.values())
    check_fits(
        f"a shard of {wanted.length} frames per episode, of size", wanted.frame_size, frames * bytes_per_frame, 2
    )
    with locked(folder):
        manifest, length = _begin_or_resume(folder, wanted, overwrite), wanted.length
        done, total = manifest.episodes_written * length, manifest.episodes * length
        with tqdm(initial=done, total=total, desc=command, unit=" frames", unit_scale=True) as progress:
            left = [(shard, manifest.episodes_in(shard)) for shard in range(len(manifest.checksums), manifest.shards)]
            written = run_pieces(partial(_made, make, folder), left, workers or Workers(), one_thread=False)
            with _not_begun_in_vain(folder):
                for (_, episodes), checksum in zip(left, written, strict=True):
                    manifest = manifest.with_shard(checksum)
                    manifest.write(folder)
                    progress.update(episodes * length)
        for begun in folder.glob(".shard-*.partial"):  # by workers that died
            shutil.rmtree(begun, ignore_errors=True)


@contextmanager
def _not_begun_in_vain(folder: Path) -> Iterator[None]:
    """Where not even the first shard can be made, forget the settings, so that others may be tried."""
    try:
        yield
    except ValueError:
        if (folder / MANIFEST).exists() and not read_manifest(folder).checksums:
            (folder / MANIFEST).unlink()
        raise


def _made(make: Callable[[int, int], dict[str, np.ndarray]], folder: Path, piece: tuple[int, int]) -> str:
    """Make and write a shard, given its number and its episodes; return its checksum."""
    return write_shard(folder, piece[0], make(*piece))


def _begin_or_resume(folder: Path, wanted: Manifest, overwrite: bool) -> Manifest:
    """The manifest to continue from: the existing data set's, or a new one without shards."""
    if strangers := sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name)):
        raise ValueError(f"{folder} holds other files ({strangers[0]}, …): choose an empty folder for --out")
    if (folder / MANIFEST).exists() and not overwrite:
        found = read_manifest(folder)
        remedy = "choose another --out, or --overwrite"
        check_same_settings(f"{folder} was collected", found.settings, wanted.settings, remedy)
        for shard in range(len(found.checksums)):
            verify_shard(folder, shard, found)
            open_shard(folder, shard, found)
        kept = {MANIFEST, LOCK, *(_shard_folder(folder, shard).name for shard in range(len(found.checksums)))}
        _clear(folder, kept)  # of writers that were killed
        return found
    # the manifest first, so that it never lists a deleted shard
    _clear(folder, {LOCK})
    wanted.write(folder)
    return wanted


def _clear(folder: Path, kept: set[str]) -> None:
    """Remove what a data set's folder holds, except for some names."""
    for path in sorted(path for path in folder.iterdir() if path.name not in kept):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
