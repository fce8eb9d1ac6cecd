"""Reading NPZ files that this package wrote."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np


def read_arrays(path: Path, remedy: str, *names: str) -> dict[str, np.ndarray]:
    """Read an NPZ file that must contain some arrays.

    Raises:
        ValueError: if the file is missing or damaged, or lacks an array; the message ends with the remedy.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: {remedy}")
    try:
        with zipfile.ZipFile(path) as members:
            if (member := members.testzip()) is not None:  # before numpy parses it
                raise ValueError(f"{member} does not match its checksum")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (names or arrays.files)}
    except Exception as error:  # zip and numpy have errors of their own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path} is damaged ({reason:.120}): {remedy}") from error
