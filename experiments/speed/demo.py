"""`jumpy speed demo`: how long the demo's stages took, and how far its agent got."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import tyro

from experiments.common.hardware import about, foreign_load
from experiments.common.json_files import write_shared_json
from experiments.common.numbers import print_numbers
from experiments.common.stage_timer import Stages
from experiments.demo import REPORT, STAGES, DemoConfig, demo


@dataclass(frozen=True)
class SpeedDemoConfig:
    """Run the demo and report its minutes; stages that were finished before keep the minutes they took."""

    demo: tyro.conf.OmitArgPrefixes[DemoConfig] = field(default_factory=DemoConfig)
    """The demo."""
    json: Path | None = None
    """Write the numbers to this file too."""


def speed_demo(config: SpeedDemoConfig) -> None:
    """Print, and write if asked, the minutes of each stage and in total, and the HRSSM's reward over the ceiling.

    Raises:
        ValueError: as `demo`.
    """
    foreign = foreign_load()
    summary = demo(config.demo)
    minutes = Stages(config.demo.out / REPORT, STAGES).read()["minutes"]
    result: dict[str, Any] = {
        "minutes": {stage: minutes[stage] for stage in (*STAGES, "total")},
        "reward_over_ceiling": summary["agents"]["hrssm"]["reward_over_ceiling"],
        "foreign_load": foreign(),
    }
    print_numbers(result)
    if config.json is not None:
        write_shared_json(config.json, result | {"about": about(torch.device(summary["device"]))})
