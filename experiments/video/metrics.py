"""How close predicted videos are to true ones: SSIM, PSNR and LPIPS of single frames, and the best of several samples.

Every value belongs to one image: nothing is pooled over a batch or a video. Images are compared as they are stored and
shown, in bytes: `images.to_uint8` makes them from decoded frames.

| metric | better | of an image                                                                                |
|--------|--------|--------------------------------------------------------------------------------------------|
| ssim   | higher | structural similarity (Wang et al. 2004), see `ssim`                                       |
| psnr   | higher | peak signal-to-noise ratio in decibels, see `psnr`                                         |
| lpips  | lower  | learned perceptual distance (Zhang et al. 2018) with AlexNet, whose weights you provide     |
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from experiments.video.lpips import LPIPS

HIGHER_IS_BETTER = {"ssim": True, "psnr": True, "lpips": False}
IDENTICAL = 100.0
"""decibels of two equal images; one level of one channel in one pixel of 64 x 64 gives 89"""
NOT_AVAILABLE = "n/a"
"""in place of LPIPS where its weights are missing"""
SIGMA, MARGIN = 1.5, 5
"""standard deviation of SSIM's windows, and their pixels on either side of the centre: 11 x 11 in all"""
K_1, K_2 = 0.01, 0.03
"""SSIM's constants, as fractions of the data range"""
TOGETHER = 32  # images; their maps stay in the cache


def frame_metrics(
    predicted: UInt8[Tensor, "*batch h w c"], true: UInt8[Tensor, "*batch h w c"], lpips: LPIPS | None = None
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Compare frames, grey ones with one channel, with the true ones, one by one; `lpips` only where it is given.

    Raises:
        ValueError: if images are smaller than SSIM's window.
    """
    if min(predicted.shape[-3:-1]) < 2 * MARGIN + 1:
        height, width = predicted.shape[-3:-1]
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, got {height} x {width}: use larger ones")
    batch = predicted.shape[:-3]
    values: dict[str, list[Tensor]] = {}
    pairs = (images.reshape(-1, *images.shape[-3:]).split(TOGETHER) for images in (predicted, true))
    for a, b in zip(*pairs, strict=True):
        a, b = (images.movedim(-1, -3).float() for images in (a, b))
        values.setdefault("ssim", []).append(ssim(a, b))
        values.setdefault("psnr", []).append(psnr(a, b))
        if lpips is not None:
            a, b = (images.expand(-1, 3, -1, -1) / 127.5 - 1 for images in (a, b))
            values.setdefault("lpips", []).append(lpips(a, b))
    return {name: torch.cat(parts).view(batch).cpu().numpy() for name, parts in values.items()}


def ssim(a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Structural similarity of images with values from 0 to 255.

    Wang et al. 2004: Gaussian windows of 11 x 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, data range L = 255, variances
    divided by the sum of weights (no sample correction); the mean over all windows within the image and over the colour
    channels. Equals scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255, channel_axis=...)`.

    Computed in float64: in float32 the variances of bright, even surfaces lose precision (an error of 3e-4).
    """
    a, b = a.double(), b.double()
    rows, columns = (_windows(size, a.device) for size in a.shape[-2:])
    mean_a, mean_b, square, product = (rows @ image @ columns.mT for image in (a, b, a * a + b * b, a * b))
    means, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    c_1, c_2 = (K_1 * 255) ** 2, (K_2 * 255) ** 2
    local = (2 * means + c_1) * (2 * (product - means) + c_2) / ((squares + c_1) * (square - squares + c_2))
    return local.mean((1, 2, 3)).float()


def _windows(size: int, device: torch.device) -> Float[Tensor, "windows size"]:
    """Weights along one axis of all Gaussian windows within an image."""
    place = torch.arange(size, dtype=torch.float64, device=device)
    apart = place - place[MARGIN : size - MARGIN, None]
    weight = torch.exp(-0.5 * (apart / SIGMA).square()) * (apart.abs() <= MARGIN)
    return weight / weight.sum(1, keepdim=True)


def psnr(a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio of images with values from 0 to 255: 10 log10(255² / mean squared error), decibels.

    The error is the mean over an image's pixels and channels; equal images have `IDENTICAL` decibels.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio  # takes a second to import

    values = peak_signal_noise_ratio(a, b, data_range=255.0, reduction="none", dim=(1, 2, 3))
    return values.clamp(max=IDENTICAL)


def best_of(values: Float[np.ndarray, "s t"], metric: str) -> Float[np.ndarray, " t"]:
    """The values of the sample of one video with the best mean over its frames (Denton and Fergus 2018).

    Each metric chooses on its own: the best sample by SSIM need not be the best by PSNR.
    """
    means = values.mean(1)
    return values[means.argmax() if HIGHER_IS_BETTER[metric] else means.argmin()]
