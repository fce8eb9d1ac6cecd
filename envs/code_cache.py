"""Where numba keeps its machine code: next to the source or in the user's cache folder, or else in a temporary folder.

The file that numba loads can run any code, so the temporary folder must be the user's own and closed to others.
"""

import os
import stat
import tempfile
from pathlib import Path

import numba


def choose_cache() -> bool:
    """Let numba keep its code in a folder that can be written; whether there is one."""
    if (numba.config.CACHE_DIR or os.path.isabs(os.path.expanduser("~"))) and _found():  # type: ignore[attr-defined]
        return True
    try:
        numba.config.CACHE_DIR = str(_private_folder())  # type: ignore[attr-defined]
    except OSError:
        return False
    return _found()


def _found() -> bool:
    """Whether numba finds a folder for the functions of this package."""
    try:
        numba.njit(cache=True)(_private_folder)  # raises an error as soon as it decorates, and compiles nothing
    except RuntimeError:
        return False
    return True


def _private_folder() -> Path:
    """The user's own temporary folder, the same in each process so that code is compiled once."""
    folder = Path(tempfile.gettempdir()) / f"jumpy-numba-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is open to other users")
    return folder


CACHE = choose_cache()
"""whether machine code is kept; where it cannot be, each process compiles for itself"""
