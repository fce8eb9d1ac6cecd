"""Training steps on this rank's rows; rank 0 writes losses and gradients, for tests of ranks.

torchrun --nproc-per-node N -m tests.support.ranked_steps DATA OUT ROWS CASE …
"""

import sys
from pathlib import Path
from typing import Any

import torch

from agent.data.replay import Replay
from agent.training.checkpoint import write_checkpoint
from agent.training.evaluate import EvaluationConfig
from agent.training.ranks import Ranks, started_ranks
from agent.training.trainer import Trainer
from tests.support.maze_runs import tiny

CPU = torch.device("cpu")
MAZE, VIDEOS = "paper", "balls"
DRAWN = ("samples_from=0", "subsequence_weight=0.2", "explore_steps=100")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rssm": (MAZE, {"model": "rssm"}),
    "rssm-noise": (MAZE, {"model": "rssm", "variant": "vta"}),
    "rssm-norm": (MAZE, {"model": "rssm", "variant": "vta", "preset": "paper"}),
    "hrssm": (MAZE, {"model": "hrssm"}),
    "hrssm-drawn": (MAZE, {"model": "hrssm", "options": DRAWN}),
    "hrssm-norm": (MAZE, {"model": "hrssm", "variant": "vta-code"}),
    "dlh": (MAZE, {"model": "dlh"}),
    "cwvae": (VIDEOS, {"model": "cwvae", "options": ("window=12", "context=4", "factor=2")}),
}
"""data and options of each step: noise on the frames, batch norm, what is drawn of subsequences"""
MODELS = ("rssm", "hrssm-drawn", "dlh", "cwvae")


def largest_error(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> tuple[float, str]:
    """The largest difference of a loss or gradient, relative to its largest entry, and its name."""
    assert found.keys() == wanted.keys()
    errors = {name: (found[name] - value).abs().max() / value.abs().max() for name, value in wanted.items()}
    name = max(errors, key=lambda name: float(errors[name].nan_to_num()))
    return float(errors[name].nan_to_num()), name


def step(case: str, data: Path, rows: int, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Losses and gradients of the first step with so many rows, in float32."""
    kind, options = CASES[case]
    folder = data / kind
    config = tiny(
        folder,
        data / "never",
        **{"batch_size": rows, "precision": "fp32", "evaluation": EvaluationConfig(batch_size=rows), **options},
    )
    trainer = Trainer(config, Replay.open(folder, verify=False), CPU, ranks)
    trainer.connect()
    losses, norm = trainer.update()
    found = {f"loss.{name}": value.detach().clone() for name, value in losses.terms.items()} | {"norm": norm}
    gradients = trainer.model.named_parameters()
    return found | {f"gradient.{name}": p.grad.clone() for name, p in gradients if p.grad is not None}


def main(data: Path, out: Path, rows: int, cases: list[str]) -> None:
    """Take the step of each case."""
    with started_ranks(CPU) as ranks:
        for case in cases:
            found = step(case, data, rows, ranks)
            if ranks.first:
                write_checkpoint(out / f"{case}.safetensors", found, {"ranks": ranks.number})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
