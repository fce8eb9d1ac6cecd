"""The space in which beliefs meet goals: features of both, the losses that bring them together, legal actions."""

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.images import to_float
from world_models.blocks.networks import mlp
from world_models.interface import ACTIONS


class GoalSpace(nn.Module):
    """What a planner needs of a belief beside its transition.

    Args:
        size: length of a belief's vector.
        hidden: units of the perceptrons.
        feature: length of a feature; None: the belief's vector is its own feature, as in Kim et al. 2019.
        predict_legal: whether to predict the legal actions.
    """

    def __init__(self, size: int, hidden: int, feature: int | None, predict_legal: bool) -> None:
        super().__init__()
        self.feature = nn.Identity() if feature is None else mlp(size, hidden, feature)
        self.goal = nn.Sequential(nn.Flatten(), nn.Linear(27, hidden), nn.ELU(), mlp(hidden, hidden, feature or size))
        self.legal_net = mlp(size, hidden, ACTIONS) if predict_legal else None

    def legal_logit(self, belief: Float[Tensor, "*b d"]) -> Float[Tensor, "*b 3"]:
        """Logits of the actions being legal; only where they are predicted."""
        assert self.legal_net is not None, "this variant does not predict legal actions"
        return self.legal_net(belief)

    def legal(self, belief: Float[Tensor, "*b d"]) -> Bool[Tensor, "*b 3"]:
        """Actions expected to be legal; the likeliest always is. All, where they are not predicted."""
        if self.legal_net is None:
            return torch.ones(*belief.shape[:-1], ACTIONS, dtype=torch.bool, device=belief.device)
        logit = self.legal_logit(belief)
        return (logit > 0) | (logit == logit.amax(-1, keepdim=True))

    def legal_error(
        self, belief: Float[Tensor, "b t d"], ends: Float[Tensor, "b t"], mask: Bool[Tensor, "b t 3"]
    ) -> Float[Tensor, ""]:
        """Negative log-likelihood of the legal actions, a frame where a subsequence ends (`ends` is 1)."""
        logit = self.legal_logit(belief)
        error = F.binary_cross_entropy_with_logits(logit, mask.to(logit.dtype), reduction="none").sum(-1)
        return (ends * error).sum() / ends.sum().clamp(min=1)

    def contrast(
        self, belief: Float[Tensor, "b t d"], crop: UInt8[Tensor, "b t 3 3 3"], frames: int, temperature: float
    ) -> Float[Tensor, ""]:
        """Contrastive loss between imagined beliefs and the crops seen at their frames.

        Args:
            belief: the first of each row is the present one and always counts.
            crop: what was seen.
            frames: how many of the others count, drawn anew for each row.
            temperature: of the cosines.
        """
        b, t, _ = belief.shape
        drawn = torch.rand(b, t - 1, device=belief.device).argsort(1)[:, :frames] + 1
        pick = torch.cat([torch.zeros_like(drawn[:, :1]), drawn], 1)
        rows = torch.arange(b, device=belief.device)[:, None]
        crop = crop[rows, pick].flatten(0, 1)
        feature = self.feature(belief[rows, pick].flatten(0, 1))
        return contrastive_loss(feature, self.goal(to_float(crop)), crop_id(crop), temperature)


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
