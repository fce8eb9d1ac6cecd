"""Predictions that know nothing of videos: the floor beside every model.

They are no formality: of Moving MNIST a black frame is right nearly everywhere, and SSIM counts every place alike.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

FLOORS = ("last-frame", "black")


class Floor(nn.Module):
    """Repeats the last frame that it was shown, or shows nothing."""

    def __init__(self, kind: Literal["last-frame", "black"]) -> None:
        """There is nothing to train."""
        super().__init__()
        self.kind = kind

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], None]:
        """Predict as a model does; every sample is the same."""
        frame = x[:, -1:] if self.kind == "last-frame" else torch.full_like(x[:, -1:], -1)
        return frame.expand(-1, actions.shape[1], -1, -1, -1), None
