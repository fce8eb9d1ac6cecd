"""Short trainings on ten episodes of a maze."""

from pathlib import Path
from typing import Any

from agent.training.checkpoint import read_checkpoint
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import CHECKPOINT

STEPS = 40


def tiny(data: Path, out: Path, **changes: Any) -> TrainConfig:
    """Forty steps of two sequences."""
    options: dict[str, Any] = {
        "steps": STEPS,
        "batch_size": 2,
        "device": "cpu",
        "log_every": 10,
        "evaluate_every": 1000,
        "evaluation": EvaluationConfig(batches=1, batch_size=2, episodes=2),
    }
    return TrainConfig(data=data, out=out, **options | changes)


def step_of(run: Path) -> int:
    return read_checkpoint(run / CHECKPOINT)[1]["step"]
