"""Writes that a kill or a power cut cannot leave half done: temporary name, fsync, rename, fsync of the folder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Replace a file's content at once: a reader sees the old content or the new, never a part.

    Args:
        path: the file; its folder must exist.
        content: the new bytes.

    Raises:
        OSError: if the folder is missing or not writable.
    """
    temporary = path.with_name(f".{path.name}.partial")
    write_and_sync(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a file by JSON for people to read, too; as `write_file`."""
    write_file(path, (json.dumps(content, indent=2) + "\n").encode())


def write_and_sync(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait until its bytes are on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries (new files, renames) are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a folder's lock, which the system releases even for a killed process.

    Args:
        folder: it must exist.
        busy: what to say where another process holds the lock; None: wait for that process.

    Raises:
        ValueError: if another process holds the lock and this one does not wait.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise ValueError(busy) from None
        yield
    finally:
        os.close(descriptor)
