"""Lets the documentation show the committed figures of the results, where they lie."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FIGURES = Path(__file__).parent.parent / "experiments" / "results" / "figures"


def on_files(files: Any, config: Any) -> Any:
    """Add every figure as figures/NAME.png."""
    for path in sorted(FIGURES.glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files
