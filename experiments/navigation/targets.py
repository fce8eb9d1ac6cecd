"""The rows that show whether agents navigate: the worst training seed, the targets, and their file.

{VARIANT: {PRESET: {ROW: {"value": worst seed, "mean": ..., "ci95": of the worst seed, "seeds": [...]}}},
"about": {VARIANT: {PRESET: how the rows were measured}}}

VARIANT is one of HRSSM, or MODEL-VARIANT of another model (`rows_key`).
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent.system.settings import check_same_settings
from experiments.common.bootstrap import Estimate
from experiments.common.json_files import damage_named, read_json
from experiments.navigation.summary import SOON, aligned

TARGETS = {"success": 0.995, "reward_over_ceiling": 0.97, f"solved_in_{SOON}": 0.97}
TARGETS |= {"boundary_f1": 0.97, "boundary_f1_exact": 0.95, "jump_accuracy_1": 0.99, "jump_accuracy_5": 0.95}
TARGETS |= {f"frame_accuracy_{passages}": 0.95 for passages in range(1, 6)} | {"one_hallway": 0.95}
TARGETS |= {"elbo_gap": 0.02}
GAP, SMALLER_IS_BETTER = "rssm_gap_", ("elbo_gap", "skips_hallway", "repeats_hallway")
ABOUT = "about"  # next to the variants in the file


def rows_key(model: str, variant: str) -> str:
    """The file's key for a model's variant; HRSSM, which came first, has no model in it."""
    return variant if model == "hrssm" else f"{model}-{variant}"


@dataclass(frozen=True)
class Measured:
    """Rows of a variant and preset."""

    variant: str
    """as `rows_key` writes it"""
    preset: str
    about: dict[str, Any]
    """how they were measured, as JSON"""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


def worst(row: str, seeds: list[Estimate]) -> dict[str, Any]:
    """A row of the file; an undefined value counts as the worst, and is None in the file."""
    sign = -1 if row in SMALLER_IS_BETTER else 1
    last = min(seeds, key=lambda seed: sign * seed.value if math.isfinite(seed.value) else -math.inf)
    mean = float(np.mean([seed.value for seed in seeds]))
    found = last.to_json()
    return {
        "value": found["value"],
        "mean": mean if math.isfinite(mean) else None,
        "ci95": found["ci95"],
        "seeds": [seed.to_json()["value"] for seed in seeds],
    }


def reached(row: str, numbers: dict[str, Any]) -> bool | None:
    """Whether the worst seed reaches the target of a row; None without a target."""
    if row.startswith(GAP):
        return numbers["ci95"] is not None and numbers["ci95"][0] > 0
    if row not in TARGETS:
        return None
    value = numbers["value"]
    return value is not None and (value <= TARGETS[row] if row in SMALLER_IS_BETTER else value >= TARGETS[row])


def targets_table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [["row", "worst seed", "95 % interval", "mean", "reach", "reached"]]
    for row, numbers in rows.items():
        value, mean = ("-" if numbers[key] is None else f"{numbers[key]:.3f}" for key in ("value", "mean"))
        ends = "-" if numbers["ci95"] is None else "[{:.3f}, {:.3f}]".format(*numbers["ci95"])
        reach = "> 0" if row.startswith(GAP) else f"{'<=' if row in SMALLER_IS_BETTER else '>='} {TARGETS.get(row)}"
        verdict = {True: "yes", False: "NO", None: "-"}[reached(row, numbers)]
        lines.append([row, value, ends, mean, reach if verdict != "-" else "-", verdict])
    return "\n".join(row.rstrip() for row in aligned(lines, str.ljust))


def merged(path: Path, measured: Measured, overwrite: bool) -> dict[str, Any]:
    """The file's content, if it exists, with new rows added in place of those with the same name.

    Rows of other variants and presets stay as they are; `overwrite` first removes all rows of this variant and preset.

    Raises:
        ValueError: if the file holds something else, or rows of this variant and preset with other settings.
    """
    remedy = "choose another --json"
    content = read_json(path, remedy) if path.exists() else {}
    with damage_named(path, remedy):
        found, rows = (
            dict(part.get(measured.variant, {}).get(measured.preset, {})) for part in (content.get(ABOUT, {}), content)
        )
    if overwrite:
        found, rows = {}, {}
    common = [name for name in measured.about if name != "versions" and name in found]
    check_same_settings(
        f"{path} holds rows of {measured.variant}, {measured.preset}",
        {name: found[name] for name in common},
        {name: measured.about[name] for name in common},
        "choose another --json, or --overwrite",
    )
    content.setdefault(measured.variant, {})[measured.preset] = rows | measured.rows
    content.setdefault(ABOUT, {}).setdefault(measured.variant, {})[measured.preset] = found | measured.about
    return content
