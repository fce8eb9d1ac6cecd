"""The versions that every data set, checkpoint and result carries."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("jumpy-imagination", "gymnasium", "miniworld", "numba", "numpy", "torch")
OPTIONAL = ("miniworld",)


def versions() -> dict[str, str]:
    """Python's version and those of the packages that results depend on, by name; Miniworld only where installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            if package not in OPTIONAL:
                raise
    return found


def commit() -> str | None:
    """The commit of the code that runs, marked -dirty where tracked files differ from it; None without a checkout."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
