"""Versions recorded in every data set, checkpoint and result."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("jumpy-imagination", "gymnasium", "miniworld", "numba", "numpy", "torch")
RESULTS = "experiments/results"


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


def commit(code: Path = Path(__file__)) -> str | None:
    """The commit of the running code, with -dirty if a tracked file differs from it; None if it is not in a checkout.

    Results do not count: a command that replaces one still runs the code of the commit.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=code.parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", code.name)  # an environment may lie in a checkout of something else
        changed = git("status", "--porcelain", "--untracked-files=no", ":/", f":(top,exclude){RESULTS}")
        return git("rev-parse", "HEAD") + "-dirty" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None
