"""Evaluation mode and random seeds for the duration of a block."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from world_models.interface import Network


@contextmanager
def evaluating(model: Network) -> Iterator[None]:
    """Put a model into evaluation mode; restore its mode afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's random numbers; restore its random state afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
