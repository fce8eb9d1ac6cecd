"""Loss terms and negative lower bounds on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_scores
from agent.training.evaluation_mode import evaluating, seeded
from agent.training.ranks import Ranks
from world_models.interface import Segmenting, Trainable


@dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation during training."""

    batches: int = 4
    """test batches for the loss terms, the same at every evaluation"""
    batch_size: int = 32
    """windows per batch"""
    episodes: int = 100
    """test episodes for the boundaries"""
    seed: int = 0
    """of the batches and of the model's samples"""


@torch.no_grad()
def evaluate(
    model: Trainable,
    replay: Replay,
    step: int,
    device: torch.device,
    config: EvaluationConfig,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Mean loss terms on fixed test batches; also boundary scores, if model and data have boundaries.

    The model's mode and torch's random state are restored afterwards. Ranks share the rows of the batches.
    """
    ranks, length = ranks or Ranks(device=device), model.window_length
    rows = ranks.rows(config.batch_size, "--evaluation.batch-size")
    rng = np.random.default_rng(config.seed)
    scores: dict[str, list[float]] = {}
    with evaluating(model), seeded(device, config.seed):
        for _ in range(config.batches):
            episode, start = replay.places(rng, config.batch_size, length, "test")
            batch = to_batch(replay.slices(episode[rows], start[rows], length), device)
            with ranks.divided():
                losses = ranks.averaged(model.loss(batch, step))
            for name, value in {**losses.terms, **losses.metrics}.items():
                scores.setdefault(name, []).append(float(value))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    if isinstance(model, Segmenting) and replay.manifest.has_boundaries:
        means |= boundary_scores(model, replay, device, config.episodes, ranks=ranks)
    return means


@torch.no_grad()
def negative_bounds(
    models: Mapping[str, tuple[Trainable, int]], replay: Replay, config: EvaluationConfig
) -> dict[str, np.ndarray]:
    """Negative lower bounds of several models on the same test batches, with the same context lengths.

    All windows start at the same frame; a model with a longer window reads more frames of the slice.

    Args:
        models: each model and its number of training steps, by name; all on one device.
        replay: its test split is read.
        config: number and size of the batches, and their seed.

    Returns:
        For each model nats per frame, without the likelihood's constant, one entry per batch.
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
                torch.manual_seed(config.seed + number)  # context lengths are the first random numbers of a loss
                bounds[name].append(float(model.loss(to_batch(cut, device), step).metrics["nelbo"]))
    return {name: np.array(values) for name, values in bounds.items()}
