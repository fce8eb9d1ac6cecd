"""Diagonal Gaussians, Bernoulli variables and their divergences, in nats."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.global_batch import normal, per, uniform

STD_MIN = 1e-4
"""smallest standard deviation of a `GaussianHead`"""


class Gaussian(NamedTuple):
    """A diagonal Gaussian; both fields have shape (..., D)."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """One reparameterised sample, (..., D), from standard normals that may be given."""
        return torch.addcmul(
            self.mean, self.std, normal(self.std.shape, self.std.device, self.std.dtype) if noise is None else noise
        )


class GaussianHead(nn.Module):
    """A perceptron with `layers` hidden layers from features to a Gaussian, whose standard deviation is a sigmoid."""

    def __init__(self, inputs: int, hidden: int, size: int, layers: int = 1) -> None:
        super().__init__()
        deeper = [module for _ in range(layers - 1) for module in (nn.Linear(hidden, hidden), nn.ELU())]
        self.net = nn.Sequential(nn.Linear(inputs, hidden), nn.ELU(), *deeper, nn.Linear(hidden, 2 * size))

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """The layers with weights, in order."""
        return [layer for layer in self.net if isinstance(layer, nn.Linear)]

    def forward(self, features: Float[Tensor, "*batch inputs"]) -> Gaussian:
        """Return the Gaussian given the features."""
        mean, raw = self.net(features).chunk(2, dim=-1)
        return Gaussian(mean, torch.sigmoid(raw) + STD_MIN)


def gaussian_kl(q: Gaussian, p: Gaussian) -> Float[Tensor, "*batch"]:
    """KL[q || p], summed over the last axis."""
    ratio = q.std / p.std
    shift = (q.mean - p.mean) / p.std
    return 0.5 * (ratio.square() + shift.square() - 1 - 2 * ratio.log()).sum(-1)


def bernoulli_kl(q_logit: Float[Tensor, "*batch"], p: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """KL[Bern(sigmoid(q_logit)) || Bern(p)] for p strictly between 0 and 1."""
    q = torch.sigmoid(q_logit)
    log_q, log_not_q = F.logsigmoid(q_logit), F.logsigmoid(-q_logit)
    return q * (log_q - p.log()) + (1 - q) * (log_not_q - (-p).log1p())


def logistic_like(tensor: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Sample standard logistic noise of a tensor's shape."""
    share = uniform(tensor.shape, tensor.device, tensor.dtype).clamp(1e-6, 1 - 1e-6)
    return share.log() - (-share).log1p()


def straight_through_bernoulli(
    logit: Float[Tensor, "*batch"], temperature: float, noise: Float[Tensor, "*batch"] | None = None
) -> Float[Tensor, "*batch"]:
    """Sample a hard 0/1 whose gradient is that of the binary Gumbel-softmax (Jang et al. 2017, Bengio et al. 2013).

    Logistic noise may be given.
    """
    soft = torch.sigmoid((logit + (logistic_like(logit) if noise is None else noise)) / temperature)
    return (soft > 0.5).float() + (soft - soft.detach())  # the bracket is exactly 0


def image_nll(x: Float[Tensor, "b t *pixels"], mean: Float[Tensor, "b t *pixels"], sigma: float) -> Float[Tensor, ""]:
    """Negative log-likelihood under N(mean, sigma²) without its constant, summed over pixels, averaged over frames."""
    return per(F.mse_loss(mean, x, reduction="sum") * (0.5 / sigma**2), x.shape[0] * x.shape[1])
