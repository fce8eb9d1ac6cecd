"""JSON files of this package: reading them, checking the files that belong to them, writing those that are shared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.system.atomic_files import locked, write_json
from agent.system.seal import unsealed

FILES = "files"
"""Key of the SHA-256 of the files that belong to a JSON file, by their paths relative to it."""


def read_json(path: Path, remedy: str, **types: type) -> dict[str, Any]:
    """Read a JSON object that must contain some keys with values of these types.

    Raises:
        ValueError: if the file is missing, altered, or not such an object; the message ends with the remedy.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: {remedy}")
    with damage_named(path, remedy):
        content = unsealed(json.loads(path.read_text()))
        for key, kind in types.items():
            if not isinstance(content[key], kind):
                raise TypeError(f"{key} is a {type(content[key]).__name__}")
        if not isinstance(content.get(FILES, {}), dict):
            raise TypeError(f"{FILES} is no object")
    return content


@contextmanager
def damage_named(path: Path, remedy: str) -> Iterator[None]:
    """Turn what an unexpected content raises into a ValueError that names the file and the remedy."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path} is damaged or not ours ({reason:.120}): {remedy}") from error


def write_shared_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as `write_json` does; processes that write into its folder at once take turns."""
    with locked(path.parent, wait=True):
        write_json(path, content)


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files by their paths in a folder, for `FILES`."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def check_digest(path: Path, name: str, content: Mapping[str, Any], remedy: str) -> None:
    """Check that a file is the one that a JSON file's content names in `FILES`; older ones name none.

    Raises:
        ValueError: if it is missing or was altered.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: {remedy}")
    wanted = content.get(FILES, {}).get(name)
    if wanted is not None and hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
        raise ValueError(f"{path} was altered, it does not match its SHA-256: {remedy}")
