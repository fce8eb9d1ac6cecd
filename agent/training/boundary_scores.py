"""A model's subsequence boundaries compared with the true ones."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.evaluation_mode import evaluating
from agent.training.ranks import Ranks
from world_models.blocks.images import to_float
from world_models.interface import Segmenting

ALONE = Ranks()


def boundary_scores(
    model: Segmenting,
    replay: Replay,
    device: torch.device,
    episodes: int,
    choices: bool = False,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """F1, precision and recall of the boundaries q(m_t) > 0.5 in whole test episodes, and their share of the frames.

    With `choices` the true boundaries of a maze are those where more than one action is legal: bends are none.

    `boundary_f1` allows one frame of difference, and `boundary_f1_chance` is the same against another episode's true
    boundaries. The first frame of an episode is ignored: nothing in it shows whether a subsequence ends there. Ranks
    share the episodes.
    """
    predicted, true = _boundaries(model, replay, device, episodes, choices, ranks)
    exact, near = match(predicted, true, 0), match(predicted, true, 1)
    return {
        "boundary_f1_exact": exact.f1,
        "boundary_f1": near.f1,
        "boundary_f1_chance": match(predicted, np.roll(true, 1, axis=0), 1).f1,
        "boundary_precision": exact.precision,
        "boundary_recall": exact.recall,
        "boundary_share": float(predicted.mean()),
    }


def boundary_profile(
    model: Segmenting, replay: Replay, device: torch.device, episodes: int, reach: int
) -> dict[int, float | None]:
    """The share of true boundaries that have a predicted one k frames later, for each k from -reach to reach.

    A model that finds every subsequence, but two frames early, has 1 at k = -2; its F1 does not distinguish it from a
    model that finds none. The share is None if no frame is k frames after a true boundary.
    """
    predicted, true = _boundaries(model, replay, device, episodes)
    shares: dict[int, float | None] = {}
    for k in range(-reach, reach + 1):
        early, late = max(0, -k), true.shape[1] - max(0, k)
        found = predicted[:, early + k : late + k][true[:, early:late]]
        shares[k] = float(found.mean()) if len(found) else None
    return shares


@torch.no_grad()
def _boundaries(
    model: Segmenting,
    replay: Replay,
    device: torch.device,
    episodes: int,
    choices: bool = False,
    ranks: Ranks = ALONE,
) -> tuple[Bool[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """Predicted and true ends of subsequences in test episodes, without the first frame."""
    every = np.array_split(np.array(replay.split("test")[:episodes]), ranks.number)
    parts = ranks.gathered(_boundaries_of(model, replay, device, every[ranks.share.rank], choices))
    predicted, true = (np.concatenate([part[k] for part in parts if part is not None]) for k in range(2))
    return predicted, true


def _boundaries_of(
    model: Segmenting, replay: Replay, device: torch.device, chosen: np.ndarray, choices: bool
) -> tuple[Bool[np.ndarray, "n t"], Bool[np.ndarray, "n t"]] | None:
    """`_boundaries` of some episodes; None of none."""
    if not len(chosen):
        return None
    fields = replay.slices(chosen, np.zeros_like(chosen), replay.episode_length)
    batch = to_batch(fields, device)
    true = replay.manifest.subsequence_ends(fields)
    if choices:
        true = true & (fields["action_mask"].sum(-1) > 1)
    with evaluating(model):
        predicted = (model.segment(to_float(batch.observation), batch.action) > 0.5).cpu().numpy()
    return predicted[:, 1 : true.shape[1]], true[:, 1:]


@dataclass(frozen=True)
class Match:
    """Precision and recall of boundaries paired one to one."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def match(predicted: Bool[np.ndarray, "n t"], true: Bool[np.ndarray, "n t"], tolerance: int) -> Match:
    """Pair predicted and true boundaries of each sequence one to one, at most `tolerance` frames apart.

    From left to right, every true boundary takes the earliest unpaired prediction within the tolerance; for intervals
    of equal length this gives the most pairs.
    """
    pairs = 0
    for row_predicted, row_true in zip(predicted, true, strict=True):
        free = np.flatnonzero(row_predicted)
        place = 0
        for boundary in np.flatnonzero(row_true):
            while place < len(free) and free[place] < boundary - tolerance:
                place += 1
            if place < len(free) and free[place] <= boundary + tolerance:
                pairs += 1
                place += 1
    return Match(pairs / max(int(predicted.sum()), 1), pairs / max(int(true.sum()), 1))
