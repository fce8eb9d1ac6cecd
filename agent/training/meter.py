"""Means of the loss terms between two logs, and scalars for TensorBoard."""

from __future__ import annotations

import time

import torch
from torch.utils.tensorboard import SummaryWriter

from world_models.interface import Losses


class Meter:
    """Means of the loss terms between two logs, and the speed."""

    def __init__(self, batch_size: int) -> None:
        """Start counting."""
        self.batch_size = batch_size
        self.values: dict[str, list[torch.Tensor]] = {}
        self.since = time.perf_counter()

    def add(self, losses: Losses, norm: torch.Tensor) -> None:
        """Note one step."""
        for name, value in {**losses.terms, **losses.metrics, "total": losses.total, "gradient": norm}.items():
            self.values.setdefault(name, []).append(value.detach())

    def flush(self) -> dict[str, float]:
        """Means since the last call, with `samples_per_s` (sequences a second)."""
        steps = max(len(value) for value in self.values.values())
        means = {name: float(torch.stack(value).mean()) for name, value in self.values.items()}
        means["samples_per_s"] = steps * self.batch_size / (time.perf_counter() - self.since)
        self.values, self.since = {}, time.perf_counter()
        return means


def log_scalars(writer: SummaryWriter, group: str, scalars: dict[str, float], step: int) -> None:
    """Write scalars under group/name."""
    for name, value in scalars.items():
        writer.add_scalar(f"{group}/{name}", value, step)
