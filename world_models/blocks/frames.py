"""Networks between frames and vectors, for all frames of a batch at once: patches (`quick`), convolutions (`paper`)."""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from world_models.blocks.batch_norm import BatchNorm2d
from world_models.blocks.networks import FrameSizes, LargeNetwork


def over_time(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a network for (N, ...) to (B, T, ...), all frames at once."""
    return network(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class FrameNetwork(LargeNetwork):
    """Wraps a network for single frames; weights of convolutions lie channels last, as stored frames do: faster on CPU.

    A patch network starts or ends by changing the layout of pixels. A loss that also compares frames patchifies them
    once, as stored bytes, and compares patches; for convolutions the "patches" are the frames themselves.
    """

    def __init__(self, module: nn.Sequential) -> None:
        super().__init__()
        self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "b t *inputs"]) -> Float[Tensor, "b t *outputs"]:
        """Encode (B, T, 3, H, W) to (B, T, D), or decode (B, T, D) to (B, T, 3, H, W) in [-1, 1]."""
        return over_time(self.module, x)


class FrameEncoder(FrameNetwork):
    """Encodes frames (B, T, 3, H, W) to (B, T, D)."""

    def patchify(self, image: UInt8[Tensor, "b t h w 3"]) -> UInt8[Tensor, "b t *pixels"]:
        """Return stored frames in the layout that `embed` reads."""
        first = self.module[0]
        return over_time(first.stored, image) if isinstance(first, Patchify) else image.movedim(-1, -3)

    def embed(self, x: Float[Tensor, "b t *pixels"]) -> Float[Tensor, "b t d"]:
        """Return the embeddings of patchified frames."""
        network = self.module[isinstance(self.module[0], Patchify) :]
        return self.apply_large(partial(over_time, network), x)


class FrameDecoder(FrameNetwork):
    """Decodes (B, T, D) to frames (B, T, 3, H, W) in [-1, 1]."""

    @torch.no_grad()
    def start_at(self, colour: Float[Tensor, "3"]) -> None:
        """Let the untrained network decode about one colour, channels in [-1, 1].

        Where frames are nearly all background, the first steps would otherwise saturate every output's tanh, and
        nothing but background is decoded for a thousand steps (experiments/LOG.md, 13).
        """
        *_, last = (layer for layer in self.module if isinstance(layer, (nn.Linear, nn.ConvTranspose2d)))
        assert last.bias is not None
        last.bias.copy_(torch.atanh(colour.clamp(-0.95, 0.95)).repeat(len(last.bias) // 3))  # channels vary fastest

    def patches(self, s: Float[Tensor, "b t inputs"]) -> Float[Tensor, "b t *pixels"]:
        """Return the frames in the layout of `FrameEncoder.patchify`."""
        network = self.module[:-1] if isinstance(self.module[-1], Unpatchify) else self.module
        return self.apply_large(partial(over_time, network), s)

    def unpatchify(self, patches: Float[Tensor, "b t *pixels"]) -> Float[Tensor, "b t 3 h w"]:
        """Return patchified frames as frames."""
        last = self.module[-1]
        return over_time(last, patches) if isinstance(last, Unpatchify) else patches


class Patchify(nn.Module):
    """Patchify frames into 4 x 4 pixels: (N, 3, S, S) to (N, P, 48), P = S²/16.

    Four neighbouring patches (2 x 2) follow each other, and so do four such groups: merging neighbours takes no copy.
    """

    def forward(self, x: Shaped[Tensor, "n 3 s s"]) -> Shaped[Tensor, "n p 48"]:
        """Return the patches' pixels."""
        side = x.shape[-1] // 16
        x = x.unflatten(3, (side, 2, 2, 4)).unflatten(2, (side, 2, 2, 4))
        return x.permute(0, 2, 6, 3, 7, 4, 8, 5, 9, 1).reshape(len(x), -1, 48)

    def stored(self, image: UInt8[Tensor, "n s s 3"]) -> UInt8[Tensor, "n p 48"]:
        """Patchify stored frames three times faster: a patch's row moves as three words of four bytes."""
        place = torch.arange(image[0].numel(), device=image.device).view(1, *image.shape[1:])
        order = self(place.movedim(-1, -3)).flatten()[::4] // 4
        words = image.flatten(1).contiguous().view(torch.int32).index_select(1, order)
        return words.view(torch.uint8).view(len(image), -1, 48)


class Unpatchify(nn.Module):
    """Undo `Patchify`: (N, P, 48) to (N, 3, S, S), channels last in memory as stored images are."""

    def forward(self, patches: Float[Tensor, "n p 48"]) -> Float[Tensor, "n 3 s s"]:
        """Return the frames."""
        side = math.isqrt(patches.shape[1] // 16)
        x = patches.view(-1, side, side, 2, 2, 2, 2, 4, 4, 3).permute(0, 1, 3, 5, 7, 2, 4, 6, 8, 9)
        return x.reshape(len(patches), 16 * side, 16 * side, 3).movedim(-1, -3)


def patch_encoder(size: int, channels: int, embedding: int) -> nn.Sequential:
    """Encode (N, 3, size, size) by linear maps of 4 x 4 patches and of two merges; size is a multiple of 16."""
    layers: list[nn.Module] = [Patchify(), nn.Linear(48, channels // 2), nn.ELU()]
    for width in (channels, 2 * channels):  # merge 2 x 2 patches
        layers += [nn.Unflatten(1, (-1, 4)), nn.Flatten(2), nn.Linear(2 * width, width), nn.ELU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * channels * (size // 16) ** 2, embedding), nn.ELU())


def patch_decoder(size: int, channels: int, inputs: int) -> nn.Sequential:
    """Mirror `patch_encoder`: (N, inputs) to (N, 3, size, size) in [-1, 1]."""
    patches, width = (size // 16) ** 2, 2 * channels
    layers: list[nn.Module] = [nn.Linear(inputs, patches * width), nn.ELU(), nn.Unflatten(1, (patches, width))]
    for width in (2 * channels, channels):  # split into 2 x 2 patches
        layers += [nn.Linear(width, 2 * width), nn.ELU(), nn.Unflatten(2, (4, -1)), nn.Flatten(1, 2)]
    return nn.Sequential(*layers, nn.Linear(channels // 2, 48), nn.Tanh(), Unpatchify())


def convolution_encoder(size: int, channels: int, embedding: int) -> nn.Sequential:
    """Four convolutions (kernel 4, strides 2, 2, 2, 1) with batch norm and ELU: Kim et al. 2019, published set-up."""
    side = size // 8 - 3
    layers: list[nn.Module] = []
    for inputs, stride, padding in ((3, 2, 1), (channels, 2, 1), (channels, 2, 1), (channels, 1, 0)):
        layers += [nn.Conv2d(inputs, channels, 4, stride, padding, bias=False), BatchNorm2d(channels), nn.ELU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, embedding), nn.ELU())


def convolution_decoder(size: int, channels: int, inputs: int) -> nn.Sequential:
    """Mirror `convolution_encoder`: (N, inputs) to (N, 3, size, size) in [-1, 1]."""
    side = size // 8 - 3
    layers: list[nn.Module] = [nn.Linear(inputs, channels * side * side), nn.Unflatten(1, (channels, side, side))]
    for stride, padding in ((1, 0), (2, 1), (2, 1)):
        convolution = nn.ConvTranspose2d(channels, channels, 4, stride, padding, bias=False)
        layers += [convolution, BatchNorm2d(channels), nn.ELU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh())


def frame_encoder(sizes: FrameSizes, frame_size: int) -> FrameEncoder:
    """Build the encoder.

    Raises:
        ValueError: the frame size is not a multiple of 32.
    """
    if frame_size % 32:
        raise ValueError(
            f"frames of {frame_size} pixels cannot be encoded: collect with a size that is a multiple of 32"
        )
    build = patch_encoder if sizes.images == "patch" else convolution_encoder
    return FrameEncoder(build(frame_size, sizes.channels, sizes.embedding))


def frame_decoder(sizes: FrameSizes, frame_size: int, inputs: int) -> FrameDecoder:
    """Build the decoder of vectors of length `inputs`."""
    build = patch_decoder if sizes.images == "patch" else convolution_decoder
    return FrameDecoder(build(frame_size, sizes.channels, inputs))
