"""A model as a folder in the layout of the Hugging Face hub: weights, configuration, and a card with its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.system.atomic_files import locked, write_file
from experiments.common.trained_runs import place_of
from world_models.registry import spec_of

CARD = """---
license: mit
library_name: jumpy-imagination
pipeline_tag: reinforcement-learning
tags: [world-model, model-based-reinforcement-learning, planning, {model}]
---

# {name}

{display} (`{variant}`, preset `{preset}`), a world model of jumpy-imagination, trained on {frames:,} frames of random
walks in {place}: {steps:,} steps, {minutes:g} minutes on {device}, training seed {seed}.

Made by:

    {command}

## Use

    from pathlib import Path
    from agent.training.runs import load_model
    model, meta = load_model(Path("model.safetensors"))

    jumpy benchmark --out runs/benchmark --agents {model}=model.safetensors

## Results

{results}
"""
NUMBERS = {
    "mean_reward": "mean reward",
    "reward_over_ceiling": "over that of the shortest path",
    "success": "share of goals reached",
}


def write_hub_folder(
    folder: Path, content: bytes, name: str, record: Mapping[str, Any], results: str | None = None
) -> None:
    """Write weights, configuration and card; the card comes last, so that a folder with one is complete.

    Args:
        folder: where to.
        content: the file of weights.
        name: of the model.
        record: how it was made, as the shipped manifest has it.
        results: what the card says of it, as `results_table` makes it.

    Raises:
        ValueError: if the folder holds other files, or is in use.
    """
    with locked(folder):
        files = {"model.safetensors": content, "config.json": (json.dumps(record, indent=2) + "\n").encode()}
        display = spec_of(record["model"]).display_name
        place = place_of(record)
        card = CARD.format(name=name, display=display, place=place, results=results or "Not measured.", **record)
        files["README.md"] = card.encode()
        if strangers := sorted({path.name for path in folder.iterdir()} - {*files, ".lock"}):
            raise ValueError(f"{folder} holds other files ({strangers[0]}, …): choose an empty folder for --hub")
        (folder / "README.md").unlink(missing_ok=True)
        for file, its in files.items():
            write_file(folder / file, its)


def results_table(summary: Mapping[str, Any], checkpoint: str) -> str:
    """The numbers of a benchmark's floor and ceiling, and of its agents with a checkpoint of this SHA-256, as a table.

    Raises:
        ValueError: if there is no such agent.
    """
    if not any(entry.get("checkpoint") == checkpoint for entry in summary["agents"].values()):
        raise ValueError("no agent of this benchmark has these weights: give --benchmark one of the same run")
    lines = [
        f"Goal navigation, {place_of(summary)}, {summary['episodes']} episodes from seed "
        f"{summary['first_seed']}, with 95 % intervals.",
        "",
        "| agent | " + " | ".join(NUMBERS.values()) + " |",
        "|---" * (len(NUMBERS) + 1) + "|",
    ]
    for name, entry in summary["agents"].items():
        if not entry["trained"] or entry["checkpoint"] == checkpoint:
            lines.append(f"| {name} | " + " | ".join(_number(entry, key) for key in NUMBERS) + " |")
    return "\n".join(lines)


def _number(entry: Mapping[str, Any], key: str) -> str:
    """A value with its interval."""
    value, interval = entry[key], entry[f"{key}_ci95"]
    if value is None:
        return "–"
    return f"{value:.3g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")
