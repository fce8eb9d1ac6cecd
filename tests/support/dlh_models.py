"""Small DLHs whose levels change, and frames that make them."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tests.support.tiny import FRAME, random_batch, random_frames
from world_models.blocks.images import to_float
from world_models.dlh.dlh import DLH
from world_models.dlh.options import DLHOptions, DLHSizes
from world_models.interface import Batch, ModelConfig

WINDOW = 12
PATCH = DLHSizes(images="patch", channels=8, embedding=10, belief=12, state=4, hidden=9)
CONVOLUTION = replace(PATCH, images="convolution", channels=6)


def build(sizes: DLHSizes = PATCH, actions: int = 3, **changes: Any) -> DLH:
    """A model whose levels change in many frames and stay static in many: narrow posteriors that see the frames."""
    torch.manual_seed(0)
    options = DLHOptions(**{"window": WINDOW, "context": 4, "levels": 3} | changes)
    model = DLH(ModelConfig(sizes, options, FRAME, actions))
    with torch.no_grad():
        for level in model.hierarchy.levels:
            level.post.net[-1].bias[sizes.state :] = -6.0 if sizes.images == "patch" else -4.0  # type: ignore
            level.post.net[0].weight[:, : sizes.embedding] *= 6  # type: ignore
            if hasattr(level, "encode"):
                level.encode[-1].weight *= 6  # type: ignore
    return model


def colours(rows: int, frames: int, seed: int = 0) -> Batch:
    """Windows of plain colours."""
    batch, generator = random_batch(rows, frames, seed), torch.Generator().manual_seed(seed)
    colour = torch.randint(256, (rows, frames, 1, 1, 3), generator=generator, dtype=torch.uint8)
    return batch._replace(observation=colour.expand_as(batch.observation).contiguous())


def plain_colours(rows: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The same as floats, with actions."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(rows, frames, 3, 1, 1, generator=generator) * 2 - 1
    return colour.expand(-1, -1, -1, FRAME, FRAME).contiguous(), random_frames(rows, frames, seed)[1]


def plain_floats(batch: Batch) -> Tensor:
    return to_float(batch.observation).contiguous()
