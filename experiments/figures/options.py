"""The table of options: what each of them is worth, as Markdown and CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.common.numbers import Numbers, csv_text
from experiments.figures.artefact import split_label
from experiments.navigation.targets import ABOUT

MEASUREMENTS = {
    "boundary_f1": "boundary F1",
    "boundary_f1_exact": "on the exact frame",
    "jump_accuracy_1": "jump accuracy, 1 passage",
    "jump_accuracy_5": "5 passages",
    "reward_over_ceiling": "reward over ceiling",
}
"""Rows of `jumpy navigation`, and the titles of their columns."""


def measure_options(navigation: tuple[str, ...]) -> Numbers:
    """Gather the rows that `jumpy navigation --json FILE` measured of runs with and without an option.

    Args:
        navigation: LABEL=FILE, in the order of the table.

    Returns:
        ``rows``, one for each file: ``label``, ``preset`` and, for each of `MEASUREMENTS`, ``value``, ``mean``,
        ``ci95`` and ``seeds`` as `jumpy navigation` wrote them; null where it did not measure one.

    Raises:
        ValueError: if labels are missing or equal, or a file does not hold the rows of one variant and preset.
    """
    pairs = [split_label(pair) for pair in navigation]
    labels = [label for label, _ in pairs]
    if "" in labels or len(set(labels)) < len(labels):
        raise ValueError(f"--navigation needs LABEL=FILE with different labels, got {' '.join(navigation)}")
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
        return {"preset": preset} | {name: rows.get(name) for name in MEASUREMENTS}
    except (FileNotFoundError, AttributeError, ValueError):
        raise ValueError(
            f"{path} does not hold the rows of one variant and preset: make it with 'jumpy navigation --json {path}'"
        ) from None


def options_table(numbers: Numbers) -> dict[str, str]:
    """One row per option, one column per measurement: the worst training seed, for rewards with its 95 % interval."""
    rows = numbers.facts["rows"]
    lines = [["option", *MEASUREMENTS.values()], ["---"] * (1 + len(MEASUREMENTS))]
    lines += [[row["label"], *(_cell(name, row[name]) for name in MEASUREMENTS)] for row in rows]
    table = []
    for row in rows:
        values = {name: (row[name] or {}).get("value") for name in MEASUREMENTS}
        last = row["reward_over_ceiling"] or {}
        low, high = last.get("ci95") or (None, None)
        table.append({"option": row["label"], **values, "low": low, "high": high, "seeds": len(last.get("seeds", []))})
    return {"md": "".join(f"| {' | '.join(line)} |\n" for line in lines), "csv": csv_text(table)}


def _cell(name: str, found: dict[str, Any] | None) -> str:
    """A value as the table shows it."""
    if found is None or found["value"] is None:
        return "–"
    ends = found.get("ci95") if name == "reward_over_ceiling" else None
    return f"{found['value']:.2f}" + ("" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]")
