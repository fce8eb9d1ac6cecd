"""What a DLH learned about Moving Ball: when its levels change, how surely it foresees that, and what each level costs.

Measured on every test video from its beginning to its end. Changes are counted from the second frame on, since all
levels change in the first by definition; chances from the third frame on, the first that can be foreseen, since two
frames show the ball's velocity.

| column | meaning |
|---|---|
| `levels_used` | levels that change per frame (Table 2) |
| `change` | fraction of frames whose colour really changed |
| `found`, `true`, `paired`, `paired_exact` | frames with e^2 = 1, true changes, pairs within one frame and exact ones |
| `paired_other` | pairs within one frame of e^2 and another video's changes: the chance level |
| `p_change`, `n_change`, `p_static`, `n_static` | sums of p(e^2 = 1) where e^2 is 1 and 0, and their counts (Table 3) |
| `g_change`, `m_change`, `g_static`, `m_static` | the same for the generator, where the colour changed or not |
| `kl_1` … `kl_N`, `kl_e` | divergences of the levels' states (8b), and of e (8c), nats per frame (Tables 2 and 5) |

Changes are inferred with states at their posteriors' means, divergences with samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from tqdm import tqdm

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.boundary_scores import match
from agent.training.evaluation_mode import seeded
from experiments.common.bootstrap import Estimate, Means, PairedBootstrap
from experiments.common.trained_runs import TrainedRun
from world_models.blocks.images import to_float
from world_models.dlh.dlh import DLH

TOGETHER = 20  # videos inferred at once; bounds the memory
FORESEEN = 2  # first frame, counted from 0, whose change can be foreseen from those before it
Columns = dict[str, np.ndarray]


@torch.no_grad()
def measure(run: TrainedRun, replay: Replay, sequences: int | None = None, seed: int = 0) -> Columns:
    """Every column of a DLH of two levels or more, one entry per test video; `seed` is of the divergences' samples."""
    model, recolour = run.able(DLH), float(run.training["video"]["recolour"])
    device = next(model.parameters()).device
    test = np.array(replay.split("test")[:sequences])
    parts: list[Columns] = []
    for numbers in tqdm(np.split(test, range(TOGETHER, len(test), TOGETHER)), desc=run.name):
        fields = replay.slices(numbers, np.zeros_like(numbers), replay.episode_length)
        batch, true = to_batch(fields, device), fields["change"] > 0
        changes = model.infer(to_float(batch.observation), batch.action)
        inferred, prior = (changes.q > 0.5).cpu().numpy(), changes.p[..., 1].cpu().numpy()
        columns = changing(inferred, true) | chances(inferred[..., 1], prior, "pn")
        columns |= chances(true, generator_chance(fields["bounce"] > 0, recolour), "gm")
        parts.append(columns | _divergences(run, fields, numbers, seed))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def changing(inferred: Bool[np.ndarray, "b t n"], true: Bool[np.ndarray, "b t"]) -> Columns:
    """Levels used, and how e^2 agrees with the true changes."""
    found, true = inferred[:, 1:, 1], true[:, 1:]
    return {
        "levels_used": inferred[:, 1:].sum(-1).mean(1),
        "change": true.mean(1),
        "found": found.sum(1),
        "true": true.sum(1),
        "paired": _pairs(found, true, 1),
        "paired_exact": _pairs(found, true, 0),
        "paired_other": _pairs(found, np.roll(true, 1, axis=0), 1),
    }


def _pairs(found: np.ndarray, true: np.ndarray, tolerance: int) -> np.ndarray:
    """How many of each video's true changes were found."""
    recalls = [match(one[None], other[None], tolerance).recall for one, other in zip(found, true, strict=True)]
    return np.rint(np.array(recalls) * true.sum(1))


def chances(change: Bool[np.ndarray, "b t"], p: Float[np.ndarray, "b t"], names: str) -> Columns:
    """Sums of the probability p of a change where there is one and where there is none, and how often that is.

    `names` are the first letters of the names of the sums and of the counts.
    """
    change, p = change[:, FORESEEN:], p[:, FORESEEN:].astype(np.float64)
    return {
        f"{names[0]}_change": (p * change).sum(1),
        f"{names[1]}_change": change.sum(1),
        f"{names[0]}_static": (p * ~change).sum(1),
        f"{names[1]}_static": (~change).sum(1),
    }


def generator_chance(bounce: Bool[np.ndarray, "b t balls"], recolour: float) -> Float[np.ndarray, "b t"]:
    """Probability that a colour changes, given the balls' positions and velocities (`envs.videos.balls`).

    A ball that bounces, which its motion reveals, always changes its colour; any other with probability lambda.
    """
    return 1 - np.where(bounce, 0.0, 1 - recolour).prod(-1)


def _divergences(
    run: TrainedRun, fields: dict[str, Shaped[np.ndarray, "b ..."]], numbers: np.ndarray, seed: int
) -> Columns:
    """Divergences of each video, sampled independently of the others."""
    model = run.able(DLH)
    device, levels = next(model.parameters()).device, model.config.options.levels
    columns = defaultdict(list)
    for place, number in enumerate(numbers):
        one = to_batch({name: values[place : place + 1] for name, values in fields.items()}, device)
        with seeded(device, int(np.random.default_rng([seed, number]).integers(2**63))):
            losses = model.loss(one, run.step)
        for level in range(1, levels + 1):
            columns[f"kl_{level}"].append(float(losses.metrics[f"kl_s_{level}"]))
        columns["kl_e"].append(float(losses.terms["kl_e"]))
    return {name: np.array(values) for name, values in columns.items()}


# ---------------------------------------------------------------- numbers


def estimates(columns: Columns, names: Iterable[str]) -> dict[str, Estimate]:
    """Some of `STATISTICS`, with 95 % intervals over videos."""
    bootstrap = PairedBootstrap(columns)
    return {name: bootstrap.estimate(STATISTICS[name]) for name in names}


def _ratio(name: str, other: str) -> Callable[[Means], Any]:
    return lambda mean: mean[name] / mean[other]


def _f1(paired: str) -> Callable[[Means], Any]:
    return lambda mean: 2 * mean[paired] / (mean["found"] + mean["true"])


def _level_kl(mean: Means, first: int = 1) -> Any:
    """Sum of the divergences of levels from the first on."""
    return sum(mean[name] for name in mean if name.startswith("kl_") and name != "kl_e" and int(name[3:]) >= first)


STATISTICS: dict[str, Callable[[Means], Any]] = {
    **{name: itemgetter(name) for name in ("levels_used", "kl_e", *(f"kl_{level}" for level in range(1, 10)))},
    "one_plus_change": lambda mean: 1 + mean["change"],
    "kl": _level_kl,
    "kl_share_above_2": lambda mean: _level_kl(mean, 3) / _level_kl(mean),
    "p_change": _ratio("p_change", "n_change"),
    "generator_change": _ratio("g_change", "m_change"),
    "p_static": _ratio("p_static", "n_static"),
    "generator_static": _ratio("g_static", "m_static"),
    "f1": _f1("paired"),
    "f1_chance": _f1("paired_other"),
    "f1_exact": _f1("paired_exact"),
    "precision": _ratio("paired_exact", "found"),
    "recall": _ratio("paired_exact", "true"),
}
"""What tables show, from the means of the columns."""
CHANGES = ("f1", "f1_chance", "f1_exact", "precision", "recall")
"""How well e^2 finds true changes: within one frame, by chance, and on the exact frame."""
