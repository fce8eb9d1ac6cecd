"""Batch norm over all rows of a batch, however many processes share them; parameters and names are torch's.

torch's `SyncBatchNorm` does this on GPUs only.
"""

import torch
from torch import Tensor, nn

from world_models.blocks.global_batch import is_divided, total


class BatchNorm1d(nn.BatchNorm1d):
    """Over (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training by the batch's own mean and variance."""
        return _normalised(self, x) if self.training and is_divided() else super().forward(x)


class BatchNorm2d(nn.BatchNorm2d):
    """Over (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training by the batch's own mean and variance."""
        return _normalised(self, x) if self.training and is_divided() else super().forward(x)


def _normalised(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise by mean and variance over all processes, and keep their running means."""
    axes, shape = [0, *range(2, x.dim())], (1, -1, *[1] * (x.dim() - 2))
    wide = x.float()
    count = total(wide.new_tensor(x.numel() / x.shape[1]))
    mean = total(wide.sum(axes)) / count
    centred = wide - mean.view(shape)
    variance = total(centred.square().sum(axes)) / count
    with torch.no_grad():
        assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean, norm.momentum or 0.0)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum or 0.0)
    scaled = centred * (norm.weight * torch.rsqrt(variance + norm.eps)).view(shape) + norm.bias.view(shape)
    return scaled.to(x.dtype)
