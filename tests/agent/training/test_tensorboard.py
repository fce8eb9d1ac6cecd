"""Pictures for TensorBoard."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from agent.data.replay import Replay
from agent.training.image_grid import GAP, START_COLOUR, stack, strip
from agent.training.tensorboard import log_pictures
from world_models.registry import build_model


def test_strip_lays_frames_side_by_side():
    frames = np.random.default_rng(0).integers(0, 200, (3, 6, 4, 3)).astype(np.uint8)
    picture = strip(frames)
    assert picture.shape == (6 + 2 * GAP, 3 * (4 + GAP) + GAP, 3)
    for number in range(3):
        left = GAP + number * (4 + GAP)
        assert np.array_equal(picture[GAP:-GAP, left : left + 4], frames[number])
        picture[GAP:-GAP, left : left + 4] = 255
    assert (picture == 255).all()  # the rest is white


def test_strip_frames_the_starts_in_red():
    frames = np.zeros((4, 6, 4, 3), np.uint8)
    picture = strip(frames, np.array([1.0, 0.0, 1.0, 1.0]))
    for number, red in enumerate([True, False, True, True]):
        left = GAP + number * (4 + GAP)
        above = picture[:GAP, left : left + 4]
        assert (above == (START_COLOUR if red else 255)).all()
        assert (picture[-GAP:, left : left + 4] == above).all()
        assert not picture[GAP:-GAP, left : left + 4].any()  # the frame itself is untouched
    gap = picture[GAP:-GAP, 4 + GAP : 4 + 2 * GAP]  # between the first and the second frame
    assert (gap == START_COLOUR).all()


def test_stack_pads_to_the_widest_strip():
    picture = stack([np.zeros((5, 7, 3), np.uint8), np.zeros((6, 9, 3), np.uint8)])
    assert picture.shape == (5 + 3 + 6 + 3, 9, 3)
    assert not picture[:5, :7].any()
    assert (picture[:5, 7:] == 255).all()
    assert (picture[5:8] == 255).all()
    assert not picture[8:14].any()


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
