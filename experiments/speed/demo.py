"""`jumpy speed demo`: how long the demo's stages took, and how far its agent got."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import tyro

from agent.system.atomic_files import write_json
from experiments.common.hardware import about, foreign_load
from experiments.demo import REPORT, STAGES, DemoConfig, demo


@dataclass(frozen=True)
class SpeedDemoConfig:
    """Run the demo and report its minutes; stages that a demo in the folder has finished keep the minutes they took."""

    demo: tyro.conf.OmitArgPrefixes[DemoConfig] = field(default_factory=DemoConfig)
    """The demo."""
    json: Path | None = None
    """Write the numbers to this file too."""


def speed_demo(config: SpeedDemoConfig) -> None:
    """Print, and write if asked, minutes of each stage and of all, and the HRSSM's reward over the ceiling.

    Raises:
        ValueError: as `demo`.
    """
    with foreign_load() as foreign:
        summary = demo(config.demo)
        load = foreign()
    minutes = json.loads((config.demo.out / REPORT).read_text())["minutes"]
    result: dict[str, Any] = {
        "minutes": {stage: minutes[stage] for stage in (*STAGES, "total")},
        "reward_over_ceiling": summary["agents"]["hrssm"]["reward_over_ceiling"],
        "foreign_load": load,
    }
    print(f"{result['minutes']['total']:.1f} minutes, {result['reward_over_ceiling']:.3f} of the ceiling")
    if config.json is not None:
        device = torch.device(summary["device"])
        write_json(config.json, result | {"about": about(device)})
