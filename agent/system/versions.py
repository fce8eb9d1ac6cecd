"""The versions that every data set, checkpoint and result carries."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("jumpy-imagination", "gymnasium", "miniworld", "numba", "numpy", "torch")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that results depend on, by name."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def commit() -> str | None:
    """The commit of the code that runs, marked -dirty where tracked files differ from it; None without a checkout."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
