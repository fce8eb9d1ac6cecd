"""Pictures of any size as the models' square frames."""

import numpy as np
from jaxtyping import Float64, UInt8


def square(pictures: UInt8[np.ndarray, "*n h w c"], size: int) -> UInt8[np.ndarray, "*n s s 3"]:
    """Square pictures with three channels, from coloured or grey ones of any shape."""
    pictures = np.broadcast_to(pictures, (*pictures.shape[:-1], 3))
    if pictures.shape[-3:-1] == (size, size):
        return np.array(pictures)
    return np.moveaxis(area_average(np.moveaxis(pictures, -1, -3), size), -3, -1)


def area_average(frames: UInt8[np.ndarray, "*n h w"], size: int) -> UInt8[np.ndarray, "*n s s"]:
    """Resize frames to a square: each new pixel is the mean over its area, with fractions of old pixels.

    Pillow's box filter and torch's `area` only count whole pixels (those with their centre in the area, or those that
    it touches): from 160 to 64 pixels they average two or three instead of two and a half.
    """
    height, width = frames.shape[-2:]
    averaged = _cover(size, height) @ frames @ _cover(size, width).T
    return np.rint(averaged).astype(np.uint8)


def _cover(size: int, length: int) -> Float64[np.ndarray, "size length"]:
    """Weight of each of `length` old pixels in each of `size` new ones; every row sums to 1."""
    edge = np.arange(size + 1) * length / size
    pixel = np.arange(length)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return np.maximum(overlap, 0) * size / length
