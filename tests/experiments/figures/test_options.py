"""The table of options."""

import json
from pathlib import Path

import pytest

from experiments.figures.options import measure_options, options_table


def rows_of_navigation(path: Path, value: float) -> Path:
    """What `jumpy navigation --json` writes, with one row."""
    row = {"value": value, "mean": value, "ci95": [value - 0.1, value + 0.1], "seeds": [value, value]}
    path.write_text(json.dumps({"ours": {"quick": {"reward_over_ceiling": row}}, "about": {"ours": {"quick": {}}}}))
    return path


def test_markdown_and_csv(tmp_path: Path) -> None:
    files = [rows_of_navigation(tmp_path / f"{value}.json", value) for value in (0.9, 0.5)]
    texts = options_table(measure_options((f"ours={files[0]}", f"without it={files[1]}")))
    lines = texts["md"].splitlines()
    assert lines[2].startswith("| ours | – |")
    assert lines[3].endswith("| 0.50 [0.40, 0.60] |")
    assert texts["csv"].splitlines()[1] == "ours,,,,,0.9,0.8,1.0,2"


@pytest.mark.parametrize(
    ("given", "message"),
    [(("file",), "LABEL=FILE"), (("a=b", "a=c"), "different labels"), (("a=b",), "b does not hold")],
)
def test_invalid_labels_and_files_raise(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_options(given)
