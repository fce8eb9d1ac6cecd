"""The one place where stored uint8 images become floats, and back.

Images are quantised to 5 bits and scaled to [-1, 1]; in training, uniform noise within the quantisation step can make
the density continuous (Kim et al. 2019, experimental set-up; Kingma and Dhariwal 2018).
"""

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from world_models.blocks.global_batch import uniform

BITS = 5
LEVELS = 2**BITS


def to_float(image: UInt8[Tensor, "*batch h w 3"]) -> Float[Tensor, "*batch 3 h w"]:
    """Convert stored images, channels last, to the models' input: channels first, in [-1, 1]."""
    return scale(image).movedim(-1, -3)


def goal_to_float(goal: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*converted"]:
    """Convert stored goals to the models' input: pictures as `to_float` does, vectors stay as they are."""
    return to_float(goal) if goal.dtype == torch.uint8 else goal.float()


def scale(pixel: UInt8[Tensor, "*shape"], dequantise: bool = False) -> Float[Tensor, "*shape"]:
    """Convert stored pixels, in any layout, to [-1, 1].

    With `dequantise` (training), uniform noise is added within a quantisation step; without it, pixels lie mid-step.
    """
    level = (pixel >> 8 - BITS).float()
    if dequantise:
        level += uniform(level.shape, level.device)
    return level.mul_(2 / LEVELS).add_(-1 if dequantise else 1 / LEVELS - 1)


def to_uint8(image: Float[Tensor, "*batch c h w"]) -> UInt8[Tensor, "*batch h w c"]:
    """Convert decoded images to pixels: the middle of the lowest level is black, that of the highest is white."""
    share = image.movedim(-3, -1) * (LEVELS / (LEVELS - 1))  # spreads the levels' middles over [-1, 1]
    return ((share + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
