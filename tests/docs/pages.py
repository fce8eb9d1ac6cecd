"""The documentation's code blocks, and the notebook that is made of the tutorial: `python -m tests.docs.pages`."""

import re
from pathlib import Path

import nbformat

DOCS = Path(__file__).parent.parent.parent / "docs"
NOTEBOOK = DOCS / "tutorial.ipynb"
SMALL = {"FRAMES = 200_000": "FRAMES = 1000", "STEPS = 1000": "STEPS = 2", "EPISODES = 100": "EPISODES = 2"}
"""sizes of the tutorial, and those with which it is tested"""


def blocks(page: Path, language: str) -> list[str]:
    """A page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def notebook() -> nbformat.NotebookNode:
    """The tutorial as a notebook, without outputs."""
    parts = re.split(r"^```python\n(.*?)^```\n", (DOCS / "tutorial.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    cells = [
        (nbformat.v4.new_code_cell if number % 2 else nbformat.v4.new_markdown_cell)(part.strip(), id=f"cell-{number}")
        for number, part in enumerate(parts)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def small(code: str) -> str:
    """Code of the tutorial with the sizes of a test."""
    for large, tiny in SMALL.items():
        code = code.replace(large, tiny)
    return code


if __name__ == "__main__":
    NOTEBOOK.write_text(nbformat.writes(notebook()) + "\n")
