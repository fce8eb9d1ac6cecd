"""What a DLH learned of Moving Ball: when its levels change, how surely it foresees that, what each level costs.

Of every test video, from its beginning to its end. The first frame, in which all levels change by definition, does not
count for changes; chances count from the third frame on, the first that can be foreseen, since two frames show the
ball's velocity.

| column | meaning |
|---|---|
| `levels_used` | levels that change, a frame (Table 2) |
| `change` | share of frames whose colour really changed |
| `found`, `true`, `paired`, `paired_exact` | frames with e^2 = 1, true changes, pairs within a frame and exact |
| `paired_other` | pairs within a frame of e^2 and another video's changes: what comes about by chance |
| `p_change`, `n_change`, `p_static`, `n_static` | sums of p(e^2 = 1) where e^2 is 1 and 0, and how often (Table 3) |
| `g_change`, `m_change`, `g_static`, `m_static` | the same of the generator, where the colour changed or not |
| `kl_1` … `kl_N`, `kl_e` | divergences of the levels' states (8b), and of e (8c), nats a frame (Tables 2 and 5) |

Changes are inferred with states at their posteriors' means, divergences with samples.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from tqdm import tqdm

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.boundary_scores import match
from experiments.common.bootstrap import Estimate, PairedBootstrap
from experiments.common.trained_runs import TrainedRun
from world_models.blocks.images import to_float

TOGETHER = 20  # videos inferred at once; bounds the memory
FORESEEN = 2  # first frame, counted from 0, whose change a generator can foresee from those before it
Columns = dict[str, np.ndarray]


@torch.no_grad()
def measure(run: TrainedRun, replay: Replay, sequences: int | None = None, seed: int = 0) -> Columns:
    """Every column, one entry a test video.

    Args:
        run: a DLH of two levels or more.
        replay: the videos, with their changes and bounces.
        sequences: how many test videos, the first of them; None: all.
        seed: of the samples behind the divergences.
    """
    device = next(run.model.parameters()).device
    test = np.array(replay.split("test")[:sequences])
    parts: list[Columns] = []
    for numbers in tqdm([test[k : k + TOGETHER] for k in range(0, len(test), TOGETHER)], desc=run.name):
        fields = replay.slices(numbers, np.zeros_like(numbers), replay.episode_length)
        batch = to_batch(fields, device)
        changes = run.model.infer(to_float(batch.observation), batch.action)
        inferred, prior = (changes.q > 0.5).cpu().numpy(), changes.p[..., 1].cpu().numpy()
        columns = changing(inferred, fields["change"] > 0)
        columns |= chances(inferred[..., 1], prior, "pn")
        columns |= chances(fields["change"] > 0, generator_chance(fields["bounce"] > 0, _recolour(run)), "gm")
        parts.append(columns | _divergences(run, fields, numbers, seed))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def changing(inferred: Bool[np.ndarray, "b t n"], true: Bool[np.ndarray, "b t"]) -> Columns:
    """Levels used, and e^2 beside the true changes."""
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
    """How many of each video's changes were found."""
    recalls = [match(one[None], other[None], tolerance).recall for one, other in zip(found, true, strict=True)]
    return np.rint(np.array(recalls) * true.sum(1))


def chances(change: Bool[np.ndarray, "b t"], p: Float[np.ndarray, "b t"], names: str) -> Columns:
    """Sums of probabilities of a change where there is one and where there is none, and how often that is.

    Args:
        change: whether there is one.
        p: its probability, given what was before.
        names: first letters of the sums' names and of the counts'.
    """
    change, p = change[:, FORESEEN:], p[:, FORESEEN:].astype(np.float64)
    return {
        f"{names[0]}_change": (p * change).sum(1),
        f"{names[1]}_change": change.sum(1),
        f"{names[0]}_static": (p * ~change).sum(1),
        f"{names[1]}_static": (~change).sum(1),
    }


def generator_chance(bounce: Bool[np.ndarray, "b t balls"], recolour: float) -> Float[np.ndarray, "b t"]:
    """Probability that a colour changes, given where the balls were and how they moved (`envs.videos.balls`).

    A ball that is reflected, which its motion tells, always gets another colour; any other with probability lambda.
    """
    return 1 - np.where(bounce, 0.0, 1 - recolour).prod(-1)


def _recolour(run: TrainedRun) -> float:
    return float(run.training["video"]["recolour"])


def _divergences(
    run: TrainedRun, fields: dict[str, Shaped[np.ndarray, "b ..."]], numbers: np.ndarray, seed: int
) -> Columns:
    """Divergences of single videos, so that they can be drawn anew."""
    device = next(run.model.parameters()).device
    columns: dict[str, list[float]] = {}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for place, number in enumerate(numbers):
            one = to_batch({name: values[place : place + 1] for name, values in fields.items()}, device)
            torch.manual_seed(int(np.random.default_rng([seed, number]).integers(2**63)))
            losses = run.model.loss(one, run.step)
            levels = run.model.config.options.levels
            values = {f"kl_{n}": losses.metrics[f"kl_s_{n}"] for n in range(1, levels + 1)}
            for name, value in (values | {"kl_e": losses.terms["kl_e"]}).items():
                columns.setdefault(name, []).append(float(value))
    return {name: np.array(values) for name, values in columns.items()}


# ---------------------------------------------------------------- numbers


def change_numbers(columns: Columns) -> dict[str, Estimate]:
    """How well e^2 finds true changes: F1 within a frame, by chance, exact; precision and recall on the exact frame."""
    bootstrap = PairedBootstrap(columns)
    return {
        "f1": bootstrap.estimate(lambda mean: 2 * mean["paired"] / (mean["found"] + mean["true"])),
        "f1_chance": bootstrap.estimate(lambda mean: 2 * mean["paired_other"] / (mean["found"] + mean["true"])),
        "f1_exact": bootstrap.estimate(lambda mean: 2 * mean["paired_exact"] / (mean["found"] + mean["true"])),
        "precision": bootstrap.ratio("paired_exact", "found"),
        "recall": bootstrap.ratio("paired_exact", "true"),
    }


def level_numbers(columns: Columns) -> dict[str, Estimate]:
    """Table 2: levels used, one more than the share of true changes beside them, divergences in all."""
    bootstrap, levels = PairedBootstrap(columns), _levels(columns)
    return {
        "levels_used": bootstrap.mean("levels_used"),
        "one_plus_change": bootstrap.estimate(lambda mean: 1 + mean["change"]),
        "kl": bootstrap.estimate(lambda mean: sum(mean[level] for level in levels)),
        "kl_e": bootstrap.mean("kl_e"),
    }


def chance_numbers(columns: Columns) -> dict[str, Estimate]:
    """Table 3: mean p(e^2 = 1) where e^2 is 1 and 0, each beside the generator's own."""
    bootstrap = PairedBootstrap(columns)
    return {
        "p_change": bootstrap.ratio("p_change", "n_change"),
        "generator_change": bootstrap.ratio("g_change", "m_change"),
        "p_static": bootstrap.ratio("p_static", "n_static"),
        "generator_static": bootstrap.ratio("g_static", "m_static"),
    }


def kl_numbers(columns: Columns) -> dict[str, Estimate]:
    """Table 5: each level's divergence, and the share that the levels above the second have of all."""
    bootstrap, levels = PairedBootstrap(columns), _levels(columns)
    found = {level: bootstrap.mean(level) for level in levels}
    if len(levels) > 2:
        found["kl_share_above_2"] = bootstrap.estimate(
            lambda mean: sum(mean[level] for level in levels[2:]) / sum(mean[level] for level in levels)
        )
    return found


def _levels(columns: Columns) -> list[str]:
    """Columns of the levels' divergences."""
    return [name for name in columns if name.startswith("kl_") and name != "kl_e"]
