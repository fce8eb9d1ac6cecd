"""The table of options: what each of them is worth, as Markdown and CSV."""

from __future__ import annotations

from pathlib import Path

from experiments.common.json_files import damage_named, read_json
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
"""Rows of `jumpy navigation`, with the titles of their columns."""


def measure_options(navigation: tuple[str, ...]) -> Numbers:
    """Gather the rows that `jumpy navigation --json FILE` measured for runs with and without an option.

    Args:
        navigation: LABEL=FILE, in the order of the table.

    Returns:
        ``rows``, one per file: ``label``, ``preset`` and, for each of `MEASUREMENTS`, ``value``, ``mean``, ``ci95`` and
        ``seeds`` as `jumpy navigation` wrote them; null where it did not measure one.
    """
    files = dict(map(split_label, navigation))
    if "" in files or len(files) < len(navigation):
        raise ValueError(f"--navigation needs LABEL=FILE with different labels, got {' '.join(navigation)}")
    rows = []
    for label, path in files.items():
        remedy = (
            f"{path} does not hold the rows of one variant and preset: make it with 'jumpy navigation --json {path}'"
        )
        content = read_json(Path(path), remedy)
        with damage_named(Path(path), remedy):
            ((preset, found),) = [row for name, some in content.items() if name != ABOUT for row in some.items()]
            rows.append({"label": label, "preset": preset} | {name: found.get(name) for name in MEASUREMENTS})
            for row in (found.get(name) or {} for name in MEASUREMENTS):
                _, _, [*_] = row.get("value"), row.get("ci95"), row.get("seeds", [])
    return Numbers({"rows": rows})


def options_table(numbers: Numbers) -> dict[str, str]:
    """One row per option, one column per measurement: the worst training seed, for rewards with its 95 % interval."""
    lines = [["option", *MEASUREMENTS.values()], ["---"] * (1 + len(MEASUREMENTS))]
    table = []
    for row in numbers.facts["rows"]:
        values = {name: (row[name] or {}).get("value") for name in MEASUREMENTS}
        cells = ["–" if value is None else f"{value:.2f}" for value in values.values()]
        last = row["reward_over_ceiling"] or {}
        low, high = last.get("ci95") or (None, None)
        if low is not None:
            cells[-1] += f" [{low:.2f}, {high:.2f}]"
        lines.append([row["label"], *cells])
        table.append({"option": row["label"], **values, "low": low, "high": high, "seeds": len(last.get("seeds", []))})
    return {"md": "".join(f"| {' | '.join(line)} |\n" for line in lines), "csv": csv_text(table)}
