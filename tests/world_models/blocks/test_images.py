"""Stored pixels, the floats that models see, and back."""

import pytest
import torch

from world_models.blocks.images import scale, to_float, to_uint8


@pytest.mark.parametrize(
    ("pixel", "value"),
    [
        # 5 bits: 8 grey values a level, 32 levels over [-1, 1], so a level is 1/16 wide and starts at level/16 - 1;
        # the float is its middle.
        (0, -1 + 0.5 / 16),
        (7, -1 + 0.5 / 16),
        (8, -1 + 1.5 / 16),
        (127, -0.5 / 16),
        (128, 0.5 / 16),
        (255, 1 - 0.5 / 16),
    ],
)
def test_five_bit_levels_by_hand(pixel, value):
    image = torch.full((1, 1, 3), pixel, dtype=torch.uint8)
    assert to_float(image).unique().tolist() == [value]


def test_channels_come_first_as_red_green_blue():
    image = torch.zeros(2, 4, 5, 6, 3, dtype=torch.uint8)  # (B, T, H, W, 3)
    image[1, 2, 3, 4] = torch.tensor([80, 160, 240])
    floats = to_float(image)
    assert floats.shape == (2, 4, 3, 5, 6)
    # levels 10, 20, 30
    assert floats[1, 2, :, 3, 4].tolist() == [10.5 / 16 - 1, 20.5 / 16 - 1, 30.5 / 16 - 1]
    assert (floats > -0.9).sum() == 3


def test_every_pixel_value_keeps_its_level_there_and_back():
    image = torch.arange(256).repeat(3, 1).T.to(torch.uint8).view(16, 16, 3)
    back = to_uint8(to_float(image))
    assert back.dtype == torch.uint8
    assert torch.equal(back // 8, image // 8)


def test_black_and_white_are_drawn_as_such():
    """Four of 255 next to black would cost a dark frame most of its structural similarity."""
    image = torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 1).T.view(1, 2, 3)
    assert torch.equal(to_uint8(to_float(image)), image)


def test_noise_stays_within_the_level_and_fills_it():
    torch.manual_seed(0)
    image = torch.randint(256, (40, 40, 3), dtype=torch.uint8)
    x = scale(image, dequantise=True).movedim(-1, 0)
    assert x.min() >= -1
    assert x.max() < 1
    place = (x.movedim(0, -1) + 1) * 16  # in levels
    assert torch.equal(place.floor().to(torch.uint8), image // 8)
    fraction = place - place.floor()
    assert fraction.min() < 0.01
    assert fraction.max() > 0.99
    assert fraction.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / 4800) ** 0.5)


def test_pixels_of_decoded_images_are_clamped():
    decoded = torch.tensor([-3.0, -1.0, 0.0, 1.0, 7.0]).repeat(3, 1, 1)
    assert to_uint8(decoded)[0, :, 0].tolist() == [0, 0, 128, 255, 255]
