"""Small HRSSMs."""

from dataclasses import replace

import torch
from torch import Tensor

from tests.support.tiny import FRAME, PATCH
from world_models.blocks.networks import Sizes
from world_models.hrssm.hrssm import HRSSM
from world_models.hrssm.options import VTA, HRSSMConfig, HRSSMOptions

WINDOW = 9
SHORT = {"window": WINDOW, "horizon": 9, "n_max": 4, "l_max": 4, "contrast_frames": 4}


def build(options: HRSSMOptions = VTA, sizes: Sizes = PATCH, **changes) -> HRSSM:
    torch.manual_seed(0)
    return HRSSM(HRSSMConfig(sizes, replace(options, **(SHORT | changes)), FRAME))


def lengths(rows: int, length: int) -> Tensor:
    return torch.full((rows,), length)
