"""Tiny models' sizes and data, and how results and gradients are compared."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from world_models.blocks.networks import Sizes
from world_models.interface import Batch, Plannable

PATCH = Sizes(images="patch", channels=8, embedding=10, belief=12, state=4, abstraction=3, feature=6)
CONVOLUTION = Sizes(images="convolution", channels=6, embedding=10, belief=12, state=4, abstraction=3, feature=6)
FRAME = 32


def random_batch(rows: int, frames: int, seed: int = 0) -> Batch:
    """Windows of noise; crops come from a pool of six, so that equal ones meet."""
    generator = torch.Generator().manual_seed(seed)
    pool = torch.randint(256, (6, 3, 3, 3), generator=generator, dtype=torch.uint8)
    return Batch(
        torch.randint(256, (rows, frames, FRAME, FRAME, 3), generator=generator, dtype=torch.uint8),
        torch.randint(3, (rows, frames), generator=generator),
        torch.rand(rows, frames, 3, generator=generator) > 0.4,
        pool[torch.randint(6, (rows, frames), generator=generator)],
    )


def random_frames(rows: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Frames (B, T, 3, H, W) in [-1, 1] and actions (B, T)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, frames, 3, FRAME, FRAME, generator=generator) * 2 - 1
    return x, torch.randint(3, (rows, frames), generator=generator)


def lengths(rows: int, length: int) -> Tensor:
    return torch.full((rows,), length)


def observe_without_padding(model: Plannable, x: Tensor, a: Tensor, length: int, atol: float = 1e-6) -> Any:
    """The state after the last ``length`` frames alone, once padding of any value was seen to answer the same."""
    rows, padding = len(x), x.shape[1] - length
    alone = model.observe(x[:, padding:], a[:, padding:-1], lengths(rows, length))
    for filling in (0.0, 1.0, -1e3):
        padded_x, padded_a = x.clone(), a[:, :-1].clone()
        padded_x[:, :padding] = filling
        padded_a[:, :padding] = 2
        padded = model.observe(padded_x, padded_a, lengths(rows, length))
        for one, other in zip(alone, padded, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=atol)
    return alone


def assert_close(actual: Tensor, expected: Tensor, name: str, tolerance: float = 1e-5) -> None:
    """Equal up to a share of the largest entry."""
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max(), name


def assert_same_losses(
    model: nn.Module,
    actual: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    weights: Mapping[str, float | torch.Tensor],
    tolerance: float = 1e-5,
) -> None:
    """Every term to relative 1e-5 and, of their weighted sum, every parameter's gradient to the tolerance."""
    assert set(actual) == set(expected)
    for name, term in expected.items():
        assert_close(actual[name], term, name)
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = [
        torch.autograd.grad(sum(weights[name] * terms[name] for name in terms), parameters)  # type: ignore[arg-type]
        for terms in (actual, expected)
    ]
    for name, fast, plain in zip(names, *gradients, strict=True):
        assert_close(fast, plain, name, tolerance)


class Oracle(torch.nn.Module):
    """Answers the boundaries that it is told."""

    def __init__(self, boundaries: np.ndarray) -> None:
        super().__init__()
        self.boundaries = torch.from_numpy(boundaries).float()

    def segment(self, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        assert x.shape[:2] == a.shape == self.boundaries.shape
        return 0.1 + 0.8 * self.boundaries
