"""Rows of frames as one image, for figures and TensorBoard."""

import numpy as np
from jaxtyping import UInt8

START_COLOUR = (255, 40, 40)
GAP = 2  # pixels between frames


def strip(frames: UInt8[np.ndarray, "t h w 3"], start: np.ndarray | None = None) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Put frames side by side, with a red border where a subsequence starts (as Figure 3 of Kim et al. 2019)."""
    t, height, width, _ = frames.shape
    canvas = np.full((height + 2 * GAP, t * (width + GAP) + GAP, 3), 255, np.uint8)
    for number, frame in enumerate(frames):
        left = GAP + number * (width + GAP)
        if start is not None and start[number]:
            canvas[:, left - GAP : left + width + GAP] = START_COLOUR
        canvas[GAP : GAP + height, left : left + width] = frame
    return canvas


def stack(strips: list[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "h w 3"]:
    """Put strips below each other, padded with white to the widest."""
    width = max(row.shape[1] for row in strips)
    padding = [((0, 3), (0, width - row.shape[1]), (0, 0)) for row in strips]
    return np.concatenate([np.pad(row, pad, constant_values=255) for row, pad in zip(strips, padding, strict=True)])
