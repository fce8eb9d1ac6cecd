"""Versions recorded in every data set, checkpoint and result."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("jumpy-imagination", "gymnasium", "miniworld", "numba", "numpy", "torch")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; Miniworld's only where it is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            if package != "miniworld":
                raise
    return found


def commit() -> str | None:
    """The commit of the running code, with -dirty if tracked files differ from it; None outside a checkout."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
