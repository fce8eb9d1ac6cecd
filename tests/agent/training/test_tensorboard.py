"""Pictures for TensorBoard."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from agent.data.replay import Replay
from agent.training.image_grid import GAP, START_COLOUR
from agent.training.tensorboard import log_pictures
from world_models.registry import build_model


class NoiseReplay(Replay):
    """A replay of noise."""

    def __init__(self) -> None:
        pass

    def sample(self, rng: np.random.Generator, batch_size: int, length: int, split: str = "") -> dict[str, np.ndarray]:
        assert split == "test"
        return {
            "observation": rng.integers(0, 256, (batch_size, length, 32, 32, 3)).astype(np.uint8),
            "action": rng.integers(0, 3, (batch_size, length)).astype(np.int8),
            "action_mask": np.ones((batch_size, length, 3), np.int8),
            "achieved_goal": np.zeros((batch_size, length, 3, 3, 3), np.uint8),
        }


class Album(SummaryWriter):
    """Keeps the pictures that are written."""

    def __init__(self) -> None:
        self.pictures: dict[str, np.ndarray] = {}

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW") -> None:
        assert (global_step, dataformats) == (7, "HWC")
        self.pictures[tag] = img_tensor


@pytest.mark.parametrize(("name", "modes"), [("hrssm", ["full", "jumpy"]), ("rssm", ["full"])])
def test_pictures_of_a_model_in_training(name, modes):
    album = Album()
    model: Any = build_model(name, "quick", "vta", 32)
    state = torch.get_rng_state()
    log_pictures(album, model, NoiseReplay(), 7, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert list(album.pictures) == ["reconstruction", *(f"generation/{mode}" for mode in modes)]
    assert album.pictures["reconstruction"].shape[1] == 20 * (32 + GAP) + GAP  # T = 20
    for picture in album.pictures.values():
        marked = (picture == START_COLOUR).all(-1).any()
        assert marked == (name == "hrssm")  # a RSSM knows no boundaries
