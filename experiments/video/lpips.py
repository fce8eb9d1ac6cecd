"""LPIPS of Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (CVPR 2018), AlexNet.

Two images go through AlexNet's five convolutions (Krizhevsky 2014, "One weird trick"). After each of them, features
are normalised to length 1 at every place, and squared differences are weighted by a linear head:

    d(x, y) = sum_l mean_hw w_l . (f^l_hw(x) - f^l_hw(y))²

The heads' weights (version 0.1 of the paper's authors, 6 kB) come with torchmetrics. You provide AlexNet's, 244 MB:
torchvision's file alexnet-owt-7be5be79.pth. Both files are checked by their SHA-256.
"""

import hashlib
import io
from importlib.metadata import distribution
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

ALEXNET_SHA256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
"""of torchvision's alexnet-owt-7be5be79.pth"""
HEADS_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
"""of alex.pth, version 0.1"""
HEADS = Path(str(distribution("torchmetrics").locate_file("torchmetrics/functional/image/lpips_models/alex.pth")))

LAYERS = {0: (3, 64, 11, 4, 2), 3: (64, 192, 5, 1, 2), 6: (192, 384, 3, 1, 1), 8: (384, 256, 3, 1, 1)}
LAYERS |= {10: (256, 256, 3, 1, 1)}
"""AlexNet's convolutions by their number in torchvision's `features`: channels in and out, kernel, stride, padding"""
POOLED = (3, 6)  # the layers after a 3 x 3 max pooling of stride 2

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""mean and standard deviation of ImageNet's channels for images in [-1, 1], as the paper's authors round them"""


class LPIPS(nn.Module):
    """Perceptual distance of images; `load_lpips` reads its fixed weights."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict({str(place): nn.Conv2d(*layer) for place, layer in LAYERS.items()})
        self.heads = nn.ModuleList(nn.Conv2d(layer[1], 1, 1, bias=False) for layer in LAYERS.values())
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1))
        self.requires_grad_(False)

    def features(self, x: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """Features of images in [-1, 1] after each convolution, of length 1 at every place."""
        x = (x - self.shift) / self.scale
        found = []
        for place, convolution in self.convolutions.items():
            x = F.relu(convolution(F.max_pool2d(x, 3, 2) if int(place) in POOLED else x))
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "n 3 h w"], y: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Distance of each x from its y; images in [-1, 1].

        Raises:
            ValueError: if they are smaller than 32 x 32 pixels.
        """
        if min(x.shape[-2:]) < 32:
            raise ValueError(f"LPIPS needs images of at least 32 x 32 pixels, got {tuple(x.shape[-2:])}: enlarge them")
        layers = zip(self.heads, self.features(x), self.features(y), strict=True)
        return torch.stack([head((a - b).square()).mean((1, 2, 3)) for head, a, b in layers]).sum(0)


def load_lpips(alexnet: Path | None, sha256: str = ALEXNET_SHA256, device: torch.device | str = "cpu") -> LPIPS | None:
    """Read the weights of LPIPS.

    Args:
        alexnet: file of torchvision's AlexNet; None: there is no LPIPS.
        sha256: the file's hash; change it for your own weights.
        device: where to compute.

    Raises:
        ValueError: if a file is missing, has another hash, or does not hold these layers.
    """
    if alexnet is None:
        return None
    metric = LPIPS()
    weights = _read(alexnet, sha256, "alexnet-owt-7be5be79.pth of torchvision")
    heads = _read(HEADS, HEADS_SHA256, "alex.pth of LPIPS 0.1")
    try:
        for place, layer in metric.convolutions.items():
            layer.load_state_dict({kind: weights[f"features.{place}.{kind}"] for kind in ("weight", "bias")})
        for number, head in enumerate(metric.heads):
            head.load_state_dict({"weight": heads[f"lin{number}.model.1.weight"]})
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{alexnet} and {HEADS} do not hold LPIPS's layers: {reason:.200}; use the originals"
        ) from error
    return metric.to(device).eval()


def _read(path: Path, sha256: str, original: str) -> dict[str, Tensor]:
    """Read a file of weights with a known hash."""
    if not path.is_file():
        raise ValueError(f"there are no weights {path}: give the path of {original}")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path} has SHA-256 {found}, not {sha256}: use {original}, or pass your file's own hash")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
