"""Small HRSSMs."""

from dataclasses import replace

import torch

from tests.support.tiny import FRAME, PATCH
from world_models.blocks.networks import Sizes
from world_models.hrssm.hrssm import HRSSM
from world_models.hrssm.options import VTA, HRSSMOptions
from world_models.interface import ModelConfig

WINDOW = 9
SHORT = {"window": WINDOW, "horizon": 9, "n_max": 4, "l_max": 4, "contrast_frames": 4}


def build(options: HRSSMOptions = VTA, sizes: Sizes = PATCH, **changes) -> HRSSM:
    torch.manual_seed(0)
    return HRSSM(ModelConfig(sizes, replace(options, **(SHORT | changes)), FRAME))


def set_boundaries(model: HRSSM, logit: float) -> None:
    """Make q(m) answer one logit everywhere."""
    weight, bias = list(model.boundary_net.parameters())[-2:]
    torch.nn.init.zeros_(weight)
    torch.nn.init.constant_(bias, logit)
