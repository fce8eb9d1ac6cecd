"""The layout of patches that merges rely on, and the colour that decoders start at."""

import pytest
import torch

from tests.support.tiny import CONVOLUTION, PATCH
from world_models.blocks.frames import Patchify, Unpatchify, frame_decoder
from world_models.blocks.networks import Sizes


def test_unpatchify_undoes_patchify():
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(Unpatchify()(Patchify()(x)), x)


def test_merged_patches_are_neighbours():
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    pixels = torch.stack([row, column, torch.zeros(32, 32)])[None]
    patches = Patchify()(pixels).view(1, 64, 16, 3)
    for merged in (1, 4, 16, 64):  # patches in a square, and its side in pixels
        squares = patches.view(64 // merged, merged * 16, 3)[..., :2]
        side = 4 * round(merged**0.5)
        assert torch.equal(squares.amax(1) - squares.amin(1), torch.full((64 // merged, 2), side - 1.0))
        assert torch.equal(squares.amin(1) % side, torch.zeros(64 // merged, 2))


def test_stored_frames_are_patchified_like_floats():
    image = torch.randint(256, (3, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(Patchify().stored(image), Patchify()(image.movedim(-1, -3)))
    assert torch.equal(Patchify().stored(image[:, :32, :32]), Patchify()(image[:, :32, :32].movedim(-1, -3)))


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION])
def test_a_decoder_starts_at_a_colour(sizes: Sizes):
    torch.manual_seed(0)
    decoder = frame_decoder(sizes, 32, sizes.state)
    colour = torch.tensor([-1.0, 0.2, 0.7])
    decoder.start_at(colour)
    drawn = decoder(torch.randn(4, 5, sizes.state)).detach()
    torch.testing.assert_close(drawn.mean((0, 1, 3, 4)), colour, atol=0.1, rtol=0)
