"""How imagined states learn to match goal crops."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F


def crop_id(crop: UInt8[Tensor, "*batch 3 3 3"]) -> Int64[Tensor, "*batch"]:
    """Give equal crops equal numbers (a polynomial hash of the 27 bytes, modulo 2^64)."""
    code = torch.zeros(crop.shape[:-3], dtype=torch.int64, device=crop.device)
    for byte in crop.flatten(-3).long().unbind(-1):
        code = code * 1_000_003 + byte + 1
    return code


def cosine_loss(feature: Float[Tensor, "n d"], goal: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Negative cosine with a gradient into the goal feature only (Kim et al. 2019, footnote 2)."""
    return -F.cosine_similarity(feature.detach(), goal, dim=-1).mean()


def contrastive_loss(
    feature: Float[Tensor, "n d"], goal: Float[Tensor, "n d"], crop: Int64[Tensor, " n"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE between features and goals over the batch, both ways (van den Oord et al. 2018), in nats.

    Args:
        feature: imagined features.
        goal: the goal feature that belongs to each.
        crop: number of each goal's crop; an equal crop elsewhere in the batch is no negative.
        temperature: of the cosines.
    """
    similarity = F.normalize(feature, dim=-1) @ F.normalize(goal, dim=-1).T / temperature
    same = crop[:, None] == crop[None, :]
    same.fill_diagonal_(False)
    logits = similarity.masked_fill(same, -torch.inf)
    target = torch.arange(len(feature), device=feature.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
