"""The versions that every data set, checkpoint and result carries."""

import platform
from importlib.metadata import version

PACKAGES = ("jumpy-imagination", "gymnasium", "miniworld", "numba", "numpy", "torch")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that results depend on, by name."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
