"""The table of options: what each of them is worth, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from experiments.figures.numbers import Numbers, Sources, labelled
from experiments.navigation.targets import ABOUT

COLUMNS = {
    "boundary_f1": "boundary F1",
    "boundary_f1_exact": "on the exact frame",
    "jump_accuracy_1": "jump accuracy, 1 passage",
    "jump_accuracy_5": "5 passages",
    "reward_over_ceiling": "reward over ceiling",
}
"""Rows of `jumpy navigation` and their titles here."""


def measure_options(sources: Sources) -> Numbers:
    """Gather the rows that `jumpy navigation --json FILE` measured of runs with and without an option.

    Returns:
        ``rows``, one an entry of `--compare` in its order: ``label``, ``preset`` and, for each of `COLUMNS`, ``value``,
        ``mean``, ``ci95`` and ``seeds`` as `jumpy navigation` wrote them; null where it did not measure one.

    Raises:
        ValueError: if a label comes twice, or a file is missing or does not hold the rows of one variant and preset.
    """
    pairs = labelled(sources.compare)
    if len({label for label, _ in pairs}) < len(pairs):
        raise ValueError(f"the labels of --compare must differ, got {[label for label, _ in pairs]}")
    return Numbers({"rows": [{"label": label} | _measured(Path(path)) for label, path in pairs]})


def _measured(path: Path) -> dict[str, Any]:
    """The rows of a file of `jumpy navigation`."""
    try:
        content = json.loads(path.read_text())
        presets = [
            (preset, rows)
            for variant, presets in content.items()
            if variant != ABOUT
            for preset, rows in presets.items()
        ]
        ((preset, rows),) = presets
        return {"preset": preset} | {name: rows.get(name) for name in COLUMNS}
    except (FileNotFoundError, AttributeError, ValueError):
        raise ValueError(
            f"{path} does not hold the rows of one variant and preset: make it with 'jumpy navigation --json {path}'"
        ) from None


def draw_options(numbers: Numbers) -> dict[str, str]:
    """A row an option, a column a measurement: the worst training seed, for rewards with its 95 % interval."""
    rows = numbers.facts["rows"]
    lines = [["option", *COLUMNS.values()]]
    lines += [[row["label"], *(_cell(name, row[name]) for name in COLUMNS)] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    markdown = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["option", *COLUMNS, "low", "high", "seeds"])
    for row in rows:
        found = [row[name] or {"value": None} for name in COLUMNS]
        ends = found[-1].get("ci95") or [None, None]
        writer.writerow([row["label"], *(one["value"] for one in found), *ends, len(found[-1].get("seeds", []))])
    return {"md": markdown, "csv": text.getvalue()}


def _cell(name: str, found: dict[str, Any] | None) -> str:
    """A value as the table shows it."""
    if found is None or found["value"] is None:
        return "–"
    ends = found.get("ci95") if name == "reward_over_ceiling" else None
    return f"{found['value']:.2f}" + ("" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]")
