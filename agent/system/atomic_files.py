"""Writes that survive a kill or a power cut: temporary name, fsync, rename, fsync of the folder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Replace a file's content atomically: a reader sees the old content or the new, never a mix."""
    temporary = path.with_name(f".{path.name}.partial")
    write_and_sync(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a file by indented JSON, atomically."""
    write_file(path, (json.dumps(content, indent=2) + "\n").encode())


def write_and_sync(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait until its bytes are on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries (new files, renames) are on the disk."""
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def locked(folder: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a folder's lock; the system releases it even if the process is killed.

    Args:
        folder: it must exist.
        busy: the error message if another process holds the lock; None: wait for that process.

    Raises:
        ValueError: `busy`.
    """
    with _opened(folder) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise ValueError(busy) from None
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder's file descriptor, closed after the block."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
