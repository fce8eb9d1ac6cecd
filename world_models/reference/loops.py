"""What the plain loops share: frames as floats, one step of a recurrent network."""

from typing import Any

import torch
from torch import Tensor

from world_models.blocks.images import scale, to_float
from world_models.blocks.networks import GRU
from world_models.interface import Batch


def plain_frames(model: Any, batch: Batch) -> Tensor:
    """A batch's frames as floats (B, T, 3, H, W), with the noise that the model's loss draws in its own arrangement."""
    if not (model.training and model.config.options.dequantise):
        return to_float(batch.observation).contiguous()
    return model.decoder.unpatchify(scale(model.encoder.patchify(batch.observation), dequantise=True))


def rnn(gru: GRU, inputs: list[Tensor], h: Tensor) -> Tensor:
    """One step of a recurrent network from its concatenated inputs."""
    return gru.step(gru.project(torch.cat(inputs, -1)), h)
