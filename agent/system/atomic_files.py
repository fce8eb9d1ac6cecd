"""Writes that survive a kill or a power cut: temporary name, fsync, rename, fsync of the folder; locks of folders."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from agent.system.seal import sealed

LOCK = ".lock"
"""the file with the process id of who holds a folder's lock"""
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Replace a file's content atomically: a reader sees the old content or the new, never a mix."""
    temporary = path.with_name(f".{path.name}.partial")
    write_and_sync(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a file by indented JSON with its checksum, atomically."""
    write_file(path, (json.dumps(sealed(content), indent=2) + "\n").encode())


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
def locked(folder: Path, remedy: str = "wait for it, or choose another --out", *, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock; the system releases it even if the process is killed.

    Whoever writes a folder holds its lock from before the first look into it to the last write. Within a block, the
    thread may take the same lock again.

    Args:
        folder: it is made if it does not exist.
        remedy: what to do if another process holds the lock.
        wait: wait for that process instead.

    Raises:
        ValueError: another process holds the lock; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    if place in _held.get():
        yield
        return
    with _opened(folder) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ValueError(f"{folder} is in use by {_holder(folder)}: {remedy}") from None
        token = _held.set(_held.get() | {place})
        try:
            (place / LOCK).write_text(str(os.getpid()))
            yield
        finally:
            (place / LOCK).unlink(missing_ok=True)
            _held.reset(token)


def holder(folder: Path) -> str | None:
    """The process that holds a folder's lock; None if nobody does, whatever a process that was killed left there."""
    if not (folder / LOCK).exists():
        return None
    with _opened(folder) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(folder)
    return None


def _holder(folder: Path) -> str:
    """The process that holds a folder's lock; it may have taken it a moment ago, and not have left its id yet."""
    for _ in range(20):
        try:
            if number := (folder / LOCK).read_text():
                return f"process {number}"
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    return "another process"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder's file descriptor, closed after the block."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
