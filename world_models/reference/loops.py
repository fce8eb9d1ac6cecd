"""What the plain loops share: frames as floats, a divergence, losses of goals."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from world_models.blocks.distributions import Gaussian
from world_models.blocks.goals import contrastive_loss, cosine_loss, crop_id
from world_models.blocks.images import goal_to_float, scale, to_float
from world_models.interface import Batch


def plain_frames(model: Any, batch: Batch) -> Tensor:
    """A batch's frames as floats (B, T, 3, H, W), with the noise that the model's loss samples in its own layout."""
    if not (model.training and model.config.options.dequantise):
        return to_float(batch.observation).contiguous()
    return model.decoder.unpatchify(scale(model.encoder.patchify(batch.observation), dequantise=True))


def plain_image(model: Any, x: Tensor, code: Tensor) -> Tensor:
    """Negative log-likelihood of frames decoded from `code`, without its constant, averaged over frames and rows."""
    error = (x - model.decoder(code)).square().sum((2, 3, 4))
    return (error / (2 * model.config.options.sigma**2)).mean()


def plain_kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL[q || p], (B,)."""
    return kl_divergence(Normal(*q, validate_args=False), Normal(*p, validate_args=False)).sum(-1)


def plain_goal(model: Any, states: Tensor, crop: Tensor) -> Tensor:
    """Negative cosine of states and the crops seen there, (B, T, ...) both."""
    goal = model.goal_feature(goal_to_float(crop.flatten(0, 1)))
    return cosine_loss(model.goals.feature(states).flatten(0, 1), goal)


def plain_contrast(model: Any, states: list[Tensor], crop: Tensor, picked: Tensor) -> Tensor:
    """InfoNCE of imagined states and the crops seen there, (B, T, ...), in the first and picked frames."""
    rows, compared = torch.arange(len(picked), device=picked.device)[:, None], F.pad(picked + 1, (1, 0))
    feature = model.goals.feature(torch.stack(states, 1)[rows, compared].flatten(0, 1))
    crop = crop[rows, compared].flatten(0, 1)
    return contrastive_loss(
        feature, model.goal_feature(goal_to_float(crop)), crop_id(crop), model.config.options.contrast_temperature
    )


def plain_legal(model: Any, state: Tensor, mask: Tensor) -> Tensor:
    """Negative log-likelihood of the legal actions, (B,)."""
    logit = model.goals.legal_logit(state)
    return F.binary_cross_entropy_with_logits(logit, mask.float(), reduction="none").sum(-1)
