"""`jumpy speed train`: training steps and the plain loops of `world_models.reference`, in turns within one run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from agent.data.batch import to_batch
from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.system.atomic_files import write_json
from agent.system.device import choose_device
from agent.system.memory import is_out_of_memory, limit_memory
from agent.training.config import TrainConfig
from agent.training.trainer import Trainer
from envs.camera import Camera
from experiments.common.hardware import about, foreign_load, peak_memory_gb, reset_peak_memory, wait
from world_models.interface import Batch, Losses
from world_models.registry import build_model, standard_variant

GEMM = 2048
"""side of the square matrices whose product gives the machine's peak"""

Timed = Literal["hrssm", "rssm", "dlh"]
"""models that learn from mazes, each with plain loops"""

PlainLoss = Callable[[Any, Batch, int], dict[str, Tensor]]


@dataclass(frozen=True)
class SpeedTrainConfig:
    """Measure training steps beside the plain loops, on freshly collected data."""

    models: tuple[Timed, ...] = ("hrssm", "rssm")
    """which world models"""
    presets: tuple[str, ...] = ("quick",)
    """their sizes: quick, paper (minutes a model on a CPU)"""
    variant: Literal["vta", "ours", "paper"] | None = None
    """their options; default: ours where there is one, else paper"""
    rounds: int = 5
    """rounds of a step, a plain step and a loaded batch, after one for warming up; medians are reported"""
    batch_size: int | None = None
    """sequences a step; default: the preset's"""
    device: str = "auto"
    """auto, cpu or cuda"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """of our step, as in `jumpy train`; the plain loop always runs in fp32"""
    json: Path | None = None
    """write the numbers to this file too"""


def speed_train(config: SpeedTrainConfig) -> None:
    """Print, and write if asked, seconds a step and their ratio, the gradients' error, peak share, loading, memory.

    Every row is written as soon as it is measured.

    Raises:
        ValueError: an unknown model, preset, variant or device, no rounds, a model without plain loops, or a
            batch that does not fit into memory.
    """
    if config.rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {config.rounds}")
    device = choose_device(config.device)
    for name in config.models:
        for preset in config.presets:
            build_model(name, preset, config.variant or standard_variant(name), Camera().size)  # refuses unknown names
    plain = {name: load_plain_loss(name) for name in config.models}
    if device.type == "cpu":
        limit_memory()
    result: dict[str, Any] = {name: {} for name in config.models}
    with tempfile.TemporaryDirectory() as folder:
        replay = collect(CollectConfig(Path(folder) / "data", steps=20_000))
        origin = {"about": about(device)}
        for name, preset in product(config.models, config.presets):
            try:
                row = result[name][preset] = _measure(name, preset, plain[name], config, replay, device)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise ValueError(f"{name} {preset} does not fit into memory: use a smaller --batch-size") from error
            print(_line(name, preset, row), flush=True)
            if config.json is not None:
                write_json(config.json, result | origin)


def load_plain_loss(model: str) -> PlainLoss:
    """The loss written as plain loops, of `world_models.reference`.

    Raises:
        ValueError: the model has none.
    """
    try:
        return import_module(f"world_models.reference.{model}").plain_loss
    except ModuleNotFoundError:
        raise ValueError(f"{model} has no plain loops in world_models/reference: choose another of --models") from None


def _measure(
    name: str, preset: str, plain_loss: PlainLoss, config: SpeedTrainConfig, replay: Replay, device: torch.device
) -> dict[str, Any]:
    """A B A B: our step, the plain step, and apart from them the loading of a batch."""
    fast = _trainer(name, preset, config, replay, device, config.precision)
    plain = _trainer(name, preset, config, replay, device, "fp32")
    batch, length = fast.recipe.batch_size, fast.model.window_length
    rng = np.random.default_rng(0)
    sample = to_batch(replay.sample(rng, batch, length), device)
    weights = plain.model.loss(sample, 0).weights
    plain.model.to(memory_format=torch.contiguous_format)
    plain.model.loss = lambda batch, step: Losses(plain_loss(plain.model, batch, step), weights)
    error = _gradient_error(fast.model, plain.model, sample)
    flops = _flops(fast)
    reset_peak_memory(device)
    fast.update()
    peak = peak_memory_gb(device)
    plain.update()
    steps, plain_steps, loads = [], [], []
    with foreign_load() as foreign:
        for _ in range(config.rounds):
            steps.append(_seconds(fast.update, device))
            plain_steps.append(_seconds(plain.update, device))
            loads.append(_seconds(lambda: to_batch(replay.sample(rng, batch, length), device), device))
    step, gemm = statistics.median(steps), _gemm_flops_per_s(device, fast.precision)
    return {
        "step_s": step,
        "plain_step_s": statistics.median(plain_steps),
        "ratio": statistics.median(b / a for a, b in zip(steps, plain_steps, strict=True)),
        "gradient_error": error,
        "peak_share": flops / step / gemm,
        "peak_rss_gb": peak,
        "frames_per_s": batch * length / step,
        "loading_share": statistics.median(loads) / step,
        "gemm_gflops_per_s": gemm / 1e9,
        "batch_size": batch,
        "precision": fast.precision,
        "foreign_load": foreign(),
    }


def _trainer(
    name: str, preset: str, config: SpeedTrainConfig, replay: Replay, device: torch.device, precision: str
) -> Trainer:
    """A trainer at its first step; equal weights for equal arguments."""
    training: Any = {"model": name, "preset": preset, "variant": config.variant, "batch_size": config.batch_size}
    training |= {"device": str(device), "precision": precision}
    return Trainer(TrainConfig(replay.folder, replay.folder, **training), replay, device)


def _gradient_error(fast: nn.Module, plain: nn.Module, sample: Batch) -> float:
    """Largest error of an entry of a parameter's gradient, as a share of the parameter's largest entry."""
    gradients = []
    for model in (fast, plain):
        torch.manual_seed(0)
        loss: Losses = model.loss(sample, 0)  # type: ignore[operator]
        gradients.append(torch.autograd.grad(loss.total, list(model.parameters())))
    least = torch.finfo(torch.float32).tiny  # what no gradient reaches, as a level that never changes, has no error
    errors = [(a - b).abs().max() / b.abs().max().clamp(min=least) for a, b in zip(*gradients, strict=True)]
    return float(torch.stack(errors).max())


def _flops(trainer: Trainer) -> int:
    """Floating point operations of a step's products and convolutions."""

    def in_place(_: Any, a: Any, b: Any, out_shape: Any = None, **__: Any) -> int:
        return 2 * a[0] * a[1] * b[1]

    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
        trainer.update()
    return counter.get_total_flops()


def _gemm_flops_per_s(device: torch.device, precision: str) -> float:
    """What a large product of matrices reaches here in this precision."""
    a = torch.randn(GEMM, GEMM, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = [_seconds(lambda: a @ a, device) for _ in range(7)]
    return 2 * GEMM**3 / statistics.median(seconds[2:])


def _seconds(run: Callable[[], Any], device: torch.device) -> float:
    """Wall time of a call and of what it started on the device."""
    since = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - since


def _line(name: str, preset: str, row: dict[str, Any]) -> str:
    """A row for people."""
    return (
        f"{name} {preset} ({row['precision']}): {row['step_s']:.3f} s a step, plain {row['plain_step_s']:.3f} s, "
        f"ratio {row['ratio']:.2f}; gradients within {row['gradient_error']:.1e}; {row['peak_share']:.0%} of the GEMM "
        f"peak; {row['frames_per_s']:,.0f} frames/s; loading {row['loading_share']:.1%}; {row['peak_rss_gb']:.2f} GB; "
        f"foreign load {row['foreign_load']:.2f} cores"
    )
