"""How well a model does on the test split: its loss terms, and its boundaries against the true ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from agent.data.batch import to_batch
from agent.data.replay import Replay
from world_models.blocks.images import to_float
from world_models.interface import Network, Segmenting, Trainable


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated while training."""

    batches: int = 4
    """test batches for the loss terms, the same at every evaluation"""
    batch_size: int = 32
    """windows of each"""
    episodes: int = 100
    """test episodes for the boundaries"""
    seed: int = 0
    """of the batches and of the model's samples"""


@contextmanager
def evaluating(model: Network) -> Iterator[None]:
    """Evaluation mode for the time of the block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Random numbers from a seed for the time of the block; torch's random state is left as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def evaluate(
    model: Trainable, replay: Replay, step: int, device: torch.device, config: EvaluationConfig
) -> dict[str, float]:
    """Mean loss terms on fixed test batches; of a model that segments, scores of the boundaries where these are known.

    The model is put back into its mode afterwards, and torch's random state is left as it was.
    """
    rng = np.random.default_rng(config.seed)
    scores: dict[str, list[float]] = {}
    with evaluating(model), seeded(device, config.seed):
        for _ in range(config.batches):
            batch = to_batch(replay.sample(rng, config.batch_size, model.window_length, "test"), device)
            losses = model.loss(batch, step)
            for name, value in {**losses.terms, **losses.metrics}.items():
                scores.setdefault(name, []).append(float(value))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    if isinstance(model, Segmenting) and replay.manifest.has_boundaries:
        means |= boundary_scores(model, replay, device, config.episodes)
    return means


@torch.no_grad()
def negative_bounds(
    models: Mapping[str, tuple[Trainable, int]], replay: Replay, config: EvaluationConfig
) -> dict[str, np.ndarray]:
    """Negative lower bounds of several models on the same test batches, with the same lengths of context.

    The models' windows begin together; a model with a longer window reads more frames of the same slice.

    Args:
        models: by a name, each model with the training steps that it has taken; all on one device.
        replay: its test split is read.
        config: how many batches.

    Returns:
        For each model nats per frame without the likelihood's constant, one entry per batch.
    """
    rng = np.random.default_rng(config.seed)
    length = max(model.window_length for model, _ in models.values())
    device = next(next(iter(models.values()))[0].parameters()).device
    bounds: dict[str, list[float]] = {name: [] for name in models}
    with seeded(device, config.seed):
        for number in range(config.batches):
            fields = replay.sample(rng, config.batch_size, length, "test")
            for name, (model, step) in models.items():
                cut = {key: value[:, : model.window_length] for key, value in fields.items()}
                torch.manual_seed(config.seed + number)  # lengths of context are drawn first
                bounds[name].append(float(model.loss(to_batch(cut, device), step).metrics["nelbo"]))
    return {name: np.array(values) for name, values in bounds.items()}


def boundary_scores(model: Segmenting, replay: Replay, device: torch.device, episodes: int) -> dict[str, float]:
    """Boundaries q(m_t) > 0.5 of whole test episodes against the true ones: F1, precision, recall, share of frames.

    Beside the F1 within a frame stands what it would be by chance: against another episode's true boundaries. An
    episode's first frame is left out: nothing in it says whether a subsequence ends there.
    """
    predicted, true = _boundaries(model, replay, device, episodes)
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
    """Where boundaries fall beside the true ones: of the latter, the share that has one k frames later.

    A model that finds every subsequence, but two frames early, has 1 at k = -2; its F1 cannot tell it from a model that
    finds none.

    Args:
        model: what finds boundaries.
        replay: whose test split is looked at.
        device: where the model is.
        episodes: test episodes.
        reach: the largest k.

    Returns:
        The share for each k from -reach to reach; None where no frame is that far from a true boundary.
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
    model: Segmenting, replay: Replay, device: torch.device, episodes: int
) -> tuple[Bool[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """Predicted and true ends of subsequences in test episodes, without the first frame."""
    chosen = np.array(replay.split("test")[:episodes])
    fields = replay.slices(chosen, np.zeros_like(chosen), replay.episode_length)
    batch = to_batch(fields, device)
    true = replay.manifest.subsequence_ends(fields)
    with evaluating(model):
        predicted = (model.segment(to_float(batch.observation), batch.action) > 0.5).cpu().numpy()
    return predicted[:, 1 : true.shape[1]], true[:, 1:]


@dataclass(frozen=True)
class Match:
    """Boundaries paired one to one."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def match(predicted: Bool[np.ndarray, "n t"], true: Bool[np.ndarray, "n t"], tolerance: int) -> Match:
    """Pair predicted and true boundaries of each sequence one to one, at most `tolerance` frames apart.

    Going from left to right, every true boundary takes the earliest free prediction in reach; for intervals of equal
    length this gives the most pairs.
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


def nonfinite(values: dict[str, Tensor]) -> list[str]:
    """Names of the values that are infinite or not a number."""
    return [name for name, value in values.items() if not bool(torch.isfinite(value).all())]
