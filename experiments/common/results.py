"""The results that ship with this package: the numbers of figures and tables, and measured speed."""

from importlib import resources
from pathlib import Path

PACKAGE = Path(str(resources.files("experiments")))
RESULTS = PACKAGE / "results"
FIGURES, TABLES = RESULTS / "figures", RESULTS / "tables"
CLONE = (PACKAGE.parent / "pyproject.toml").is_file()
"""whether the code runs from a clone, whose results may be written; otherwise it is installed"""


def check_not_installed(folder: Path, remedy: str) -> None:
    """Check that a folder that will be written is not one of the installed package.

    Raises:
        ValueError: it is; the message ends with the remedy, an option by its name.
    """
    if not CLONE and folder.resolve().is_relative_to(PACKAGE.resolve()):
        remedy = f"choose another place with {remedy}" if remedy.startswith("--") else remedy
        raise ValueError(f"{folder} belongs to the installed package, which stays as it is: {remedy}")
