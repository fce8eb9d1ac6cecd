"""Pictures for TensorBoard."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
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
        self.films: dict[str, bytes] = {}

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW") -> None:
        assert (global_step, dataformats) == (7, "HWC")
        self.pictures[tag] = img_tensor

    def _get_file_writer(self) -> "Album":
        return self

    def add_summary(self, summary, global_step) -> None:
        assert global_step == 7
        self.films |= {value.tag: value.image.encoded_image_string for value in summary.value}


@pytest.mark.parametrize(("name", "modes"), [("hrssm", ["full", "jumpy"]), ("rssm", ["full"])])
def test_pictures_of_a_model_in_training(name, modes):
    album = Album()
    model: Any = build_model(name, "quick", "vta", 32)
    state = torch.get_rng_state()
    log_pictures(album, model, NoiseReplay(), 7, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert list(album.pictures) == ["reconstruction", *(f"generation/{mode}" for mode in modes)]
    assert list(album.films) == ["film/full"]
    film = Image.open(io.BytesIO(album.films["film/full"]))
    assert film.size == (2 * 3 * 32, 3 * 32)  # two sequences side by side, enlarged
    assert len(list(ImageSequence.Iterator(film))) > 5  # the context, and what follows
    assert album.pictures["reconstruction"].shape[1] == 20 * (32 + GAP) + GAP  # T = 20
    for picture in album.pictures.values():
        marked = (picture == START_COLOUR).all(-1).any()
        assert marked == (name == "hrssm")  # a RSSM knows no boundaries
