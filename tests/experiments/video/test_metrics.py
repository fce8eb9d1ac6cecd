"""Metrics of predicted videos: against scikit-image, by hand, one image at a time; the weights of LPIPS."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn import functional as F

from experiments.video.lpips import ALEXNET_SHA256, HEADS, HEADS_SHA256, LAYERS, load_lpips
from experiments.video.metrics import IDENTICAL, best_of, frame_metrics


def videos(height: int = 20, width: int = 24, noise: int = 30) -> tuple[Tensor, Tensor]:
    """Two videos of three frames, from even and dark to bright, and a noisy prediction of them."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (2, 3, height, width, 3))
    true[0, 0], true[0, 1] = 0, 250
    predicted = np.clip(true + rng.integers(-noise, noise + 1, true.shape), 0, 255)
    return torch.from_numpy(predicted.astype(np.uint8)), torch.from_numpy(true.astype(np.uint8))


# ------------------------------------------------------------------------ SSIM and PSNR


@pytest.mark.parametrize("noise", [2, 90])
def test_ssim_and_psnr_of_every_image_are_scikit_images(noise):
    predicted, true = videos(noise=noise)
    values = frame_metrics(predicted, true)
    assert set(values) == {"ssim", "psnr"}
    for place in np.ndindex(2, 3):
        a, b = predicted[place].numpy(), true[place].numpy()
        ssim = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
        )
        assert values["ssim"][place] == pytest.approx(ssim, abs=1e-6)
        assert values["psnr"][place] == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-4)


def test_an_images_values_do_not_depend_on_the_others(monkeypatch):
    """Pooled over the batch, a bad image would change the PSNR of a good one."""
    predicted, true = videos()
    together = frame_metrics(predicted, true)
    monkeypatch.setattr("experiments.video.metrics.TOGETHER", 4)
    in_pieces = frame_metrics(predicted, true)
    for place in np.ndindex(2, 3):
        alone = frame_metrics(predicted[place], true[place])
        for name, value in alone.items():
            assert value.shape == ()
            assert together[name][place] == pytest.approx(float(value), rel=1e-6)
            assert in_pieces[name][place] == pytest.approx(float(value), rel=1e-6)


def test_psnr_by_hand():
    """A difference of 5 everywhere: 10 log10(255² / 25) = 34.1514 decibels; equal images have 100, not infinity."""
    true = torch.full((2, 11, 11, 3), 100, dtype=torch.uint8)
    predicted = true.clone()
    predicted[0] += 5
    assert frame_metrics(predicted, true)["psnr"] == pytest.approx([34.1514, IDENTICAL], abs=1e-3)
    assert frame_metrics(predicted, true)["ssim"][1] == 1


def test_ssim_of_even_images_by_hand():
    """Without variance SSIM is (2 · 100 · 105 + C1) / (100² + 105² + C1), C1 = (0.01 · 255)² = 6.5025: 0.998811."""
    true = torch.full((11, 11, 3), 100, dtype=torch.uint8)
    assert frame_metrics(true + 5, true)["ssim"] == pytest.approx(0.998811, abs=1e-6)


def test_images_smaller_than_a_window_are_refused():
    predicted, true = videos(height=10)
    with pytest.raises(ValueError, match=r"SSIM.*11 x 11.*got 10 x 24"):
        frame_metrics(predicted, true)


# ------------------------------------------------------------------------ the best of several samples


def test_best_sample_by_its_mean_over_the_video():
    """Means 2, 3 and 1, though sample 0 has the best single frame."""
    values = np.array([[0.0, 4.0], [3, 3], [1, 1]])
    assert best_of(values, "psnr").tolist() == best_of(values, "ssim").tolist() == [3, 3]
    assert best_of(values, "lpips").tolist() == [1, 1]  # a distance: the lowest


def test_lpips_is_not_measured_without_weights():
    assert load_lpips(None) is None
    assert set(frame_metrics(*videos())) == {"ssim", "psnr"}


# ------------------------------------------------------------------------ LPIPS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An AlexNet with random convolutions, as torchvision saves it, and its hash."""
    torch.manual_seed(0)
    state = {"classifier.6.bias": torch.zeros(1000)}  # the real file has the classifier, too
    for place, (inputs, outputs, kernel, _, _) in LAYERS.items():
        state[f"features.{place}.weight"] = torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5
        state[f"features.{place}.bias"] = torch.randn(outputs) / 10
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(state, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def plain_lpips(path: Path, x: Tensor, y: Tensor) -> float:
    """Distance of two images (3, H, W) in [-1, 1], layer after layer as the paper draws it."""
    alexnet, heads = (torch.load(file, map_location="cpu", weights_only=True) for file in (path, HEADS))
    mean, std = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    a, b = (((image - mean[:, None, None]) / std[:, None, None])[None] for image in (x, y))
    distance = 0.0
    strides = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
    for number, (place, (stride, padding)) in enumerate(strides.items()):
        if place in (3, 6):
            a, b = F.max_pool2d(a, 3, 2), F.max_pool2d(b, 3, 2)
        weight, bias = alexnet[f"features.{place}.weight"], alexnet[f"features.{place}.bias"]
        a, b = (F.relu(F.conv2d(image, weight, bias, stride, padding)) for image in (a, b))
        unit_a, unit_b = a[0] / (a[0].norm(dim=0) + 1e-10), b[0] / (b[0].norm(dim=0) + 1e-10)
        head = heads[f"lin{number}.model.1.weight"][0, :, 0, 0]
        distance += float((head[:, None, None] * (unit_a - unit_b) ** 2).sum(0).mean())
    return distance


def test_lpips_of_every_image_is_that_of_the_paper(weights):
    lpips = load_lpips(*weights)
    assert lpips is not None
    predicted, true = videos(height=32, width=40, noise=90)
    values = frame_metrics(predicted, true, lpips)["lpips"]
    assert values.shape == (2, 3)
    for place in np.ndindex(2, 3):
        x, y = (images[place].movedim(-1, 0) / 127.5 - 1 for images in (predicted, true))
        assert values[place] == pytest.approx(plain_lpips(weights[0], x, y), rel=1e-4)
    assert values.std() > 0.005
    assert frame_metrics(true, true, lpips)["lpips"].tolist() == [[0.0] * 3] * 2


def test_the_heads_that_come_with_torchmetrics_are_the_originals():
    assert hashlib.sha256(HEADS.read_bytes()).hexdigest() == HEADS_SHA256


def test_other_weights_are_refused(weights, tmp_path):
    path, sha256 = weights
    with pytest.raises(ValueError, match=f"{sha256}, not {ALEXNET_SHA256}.*alexnet-owt-7be5be79.pth"):
        load_lpips(path)
    altered = tmp_path / "altered.pth"
    altered.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"altered.pth has SHA-256 \w{64}"):
        load_lpips(altered, sha256)
    with pytest.raises(ValueError, match=r"no weights .*missing.pth.*alexnet-owt-7be5be79"):
        load_lpips(tmp_path / "missing.pth")
    with pytest.raises(ValueError, match=r"LPIPS's layers.*'features.0.weight'"):
        load_lpips(HEADS, HEADS_SHA256)


def test_images_too_small_for_lpips_raise(weights):
    lpips = load_lpips(*weights)
    with pytest.raises(ValueError, match=r"LPIPS.*32 x 32.*got \(20, 24\)"):
        frame_metrics(*videos(), lpips)
