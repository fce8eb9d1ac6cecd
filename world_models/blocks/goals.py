"""The space in which beliefs are compared with goals: features of both, their losses, and legal actions."""

import math
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.global_batch import everywhere, first_row, is_divided, per, uniform
from world_models.blocks.images import goal_to_float
from world_models.blocks.networks import mlp
from world_models.interface import ACTIONS, CROP


class GoalSpace(nn.Module):
    """What a planner needs to know about a belief: its feature, a goal's feature, the legal actions.

    Args:
        size: length of a belief's vector.
        hidden: units of the perceptrons.
        feature: length of a feature; None: the belief's vector is its own feature, as in Kim et al. 2019.
        predict_legal: whether to predict the legal actions.
        actions: number of actions.
        goal: shape of a stored goal, a picture or a vector.
    """

    def __init__(
        self,
        size: int,
        hidden: int,
        feature: int | None,
        predict_legal: bool,
        actions: int = ACTIONS,
        goal: tuple[int, ...] = CROP,
    ) -> None:
        super().__init__()
        self.actions = actions
        self.feature = nn.Identity() if feature is None else mlp(size, hidden, feature)
        first, rest = nn.Linear(math.prod(goal), hidden), mlp(hidden, hidden, feature or size)
        self.goal = nn.Sequential(nn.Flatten(), first, nn.ELU(), rest)
        self.legal_net = mlp(size, hidden, actions) if predict_legal else None

    def legal_logit(self, belief: Float[Tensor, "*b d"]) -> Float[Tensor, "*b actions"]:
        """Logits of each action being legal."""
        assert self.legal_net is not None, "this variant does not predict legal actions"
        return self.legal_net(belief)

    def legal(self, belief: Float[Tensor, "*b d"]) -> Bool[Tensor, "*b actions"]:
        """Actions expected to be legal, always including the likeliest; all of them if they are not predicted."""
        if self.legal_net is None:
            return torch.ones(*belief.shape[:-1], self.actions, dtype=torch.bool, device=belief.device)
        logit = self.legal_logit(belief)
        return (logit > 0) | (logit == logit.amax(-1, keepdim=True))

    def legal_error(
        self, belief: Float[Tensor, "b t d"], ends: Float[Tensor, "b t"], mask: Bool[Tensor, "b t actions"]
    ) -> Float[Tensor, ""]:
        """Negative log-likelihood of the legal actions, averaged over frames where a subsequence ends (`ends` is 1)."""
        logit = self.legal_logit(belief)
        error = F.binary_cross_entropy_with_logits(logit, mask.to(logit.dtype), reduction="none").sum(-1)
        return per((ends * error).sum(), ends.sum())

    def cosine(self, belief: Float[Tensor, "b t d"], crop: Shaped[Tensor, "b t *goal"]) -> Float[Tensor, ""]:
        """`cosine_loss` between beliefs and the crops seen at their frames."""
        return cosine_loss(self.feature(belief).flatten(0, 1), self.goal(goal_to_float(crop.flatten(0, 1))))

    def contrast(
        self, belief: Float[Tensor, "b t d"], crop: Shaped[Tensor, "b t *goal"], frames: int, temperature: float
    ) -> Float[Tensor, ""]:
        """InfoNCE between imagined beliefs and the crops seen at their frames.

        The first belief of each row, the present one, always counts; of the others `frames` count, sampled per row.
        """
        b, t, _ = belief.shape
        pick = F.pad(uniform((b, t - 1), belief.device).argsort(1)[:, :frames] + 1, (1, 0))
        rows = torch.arange(b, device=belief.device)[:, None]
        crop = crop[rows, pick].flatten(0, 1)
        feature = self.feature(belief[rows, pick].flatten(0, 1))
        return contrastive_loss(feature, self.goal(goal_to_float(crop)), crop_id(crop), temperature)


def check_goals(actions: int, options: Any) -> None:
    """Check that data have the goals and legal actions that options learn from; ValueError if they are videos."""
    needs = [name for name in ("imagination_weight", "legal_weight") if getattr(options, name) is not None]
    if needs and not actions:
        raise ValueError(
            f"options {' and '.join(needs)} learn from goals and legal actions; videos have none: use --variant vta, "
            f"or --options {' '.join(f'{name}=none' for name in needs)}"
        )


def crop_id(crop: Shaped[Tensor, "n *goal"]) -> Int64[Tensor, " n"]:
    """Give equal goals equal numbers (a polynomial hash of their bytes, modulo 2^64)."""
    bytes_ = crop.flatten(1).contiguous().view(torch.uint8).long() + 1
    return (bytes_ * _powers(bytes_.shape[1], crop.device)).sum(-1)


@cache
def _powers(number: int, device: torch.device) -> Int64[Tensor, " number"]:
    """Falling powers of the hash's base, modulo 2^64 as int64 wraps; copied to a device once."""
    powers = [pow(1_000_003, exponent, 2**64) for exponent in reversed(range(number))]
    return torch.tensor([power - 2**64 if power >= 2**63 else power for power in powers], device=device)


def cosine_loss(feature: Float[Tensor, "n d"], goal: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Negative cosine, with a gradient into the goal feature only (Kim et al. 2019, footnote 2)."""
    return -F.cosine_similarity(feature.detach(), goal, dim=-1).mean()


def contrastive_loss(
    feature: Float[Tensor, "n d"], goal: Float[Tensor, "n d"], crop: Int64[Tensor, " n"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE between features and their goals over the batch, both ways (van den Oord et al. 2018), in nats.

    Logits are cosines / temperature. `crop` is each goal's `crop_id`; equal crops elsewhere are not negatives.
    """
    feature, goal = F.normalize(feature, dim=-1), F.normalize(goal, dim=-1)
    features, goals = everywhere(feature), everywhere(goal)
    target = torch.arange(len(feature), device=feature.device) + first_row(len(feature))
    same = (crop[:, None] == everywhere(crop)[None, :]).scatter_(1, target[:, None], False)
    by_feature = (feature @ goals.T / temperature).masked_fill(same, -torch.inf)
    by_goal = (goal @ features.T / temperature).masked_fill(same, -torch.inf) if is_divided() else by_feature.T
    return 0.5 * (F.cross_entropy(by_feature, target) + F.cross_entropy(by_goal, target))
