"""`jumpy speed train`: training steps and the plain loops of `world_models.reference`, in turns within one run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
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
from agent.system.device import choose_device
from agent.system.memory import is_out_of_memory, limited_memory
from agent.training.config import TrainConfig
from agent.training.trainer import Trainer
from experiments.common.hardware import about, foreign_load, peak_memory_gb, reset_peak_memory, wait
from experiments.common.json_files import write_shared_json
from experiments.common.numbers import print_numbers
from world_models.interface import Batch, Losses

GEMM = 2048
"""size of the square matrices whose product gives the machine's peak"""

PlainLoss = Callable[[Any, Batch, int], dict[str, Tensor]]


@dataclass(frozen=True)
class SpeedTrainConfig:
    """Measure training steps against the plain loops, on freshly collected data."""

    models: tuple[str, ...] = ("hrssm", "rssm")
    """which world models; each needs plain loops in world_models/reference"""
    presets: tuple[str, ...] = ("quick",)
    """their sizes: quick, paper (minutes per model on a CPU)"""
    variant: str | None = None
    """their options; default: ours where there is one, else paper"""
    rounds: int = 5
    """rounds of a step, a plain step and a loaded batch, after one warm-up round; medians are reported"""
    batch_size: int | None = None
    """sequences per step; default: the preset's"""
    device: str = "auto"
    """auto, cpu or cuda"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """of our step, as in `jumpy train`; the plain loop always runs in fp32"""
    json: Path | None = None
    """write the numbers to this file too"""


def speed_train(config: SpeedTrainConfig) -> None:
    """Print, and write if asked, seconds per step and their ratio, gradient error, peak share, loading, memory.

    Every row is written as soon as it is measured.

    Raises:
        ValueError: for an unknown model, preset, variant or device, no rounds, a model without plain loops, or a batch
            that does not fit into memory.
    """
    if config.rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {config.rounds}")
    device = choose_device(config.device)
    trainings = [_training(config, name, preset) for name, preset in product(config.models, config.presets)]
    plain = {name: load_plain_loss(name) for name in config.models}
    result: dict[str, Any] = {name: {} for name in config.models}
    limit = limited_memory() if device.type == "cpu" else nullcontext()
    with limit, tempfile.TemporaryDirectory() as folder:
        replay = collect(CollectConfig(Path(folder) / "data", steps=20_000))
        origin = {"about": about(device)}
        for training in trainings:
            name, preset = training.model, training.preset
            try:
                row = result[name][preset] = _measure(training, plain[name], config.rounds, replay, device)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise ValueError(f"{name} {preset} does not fit into memory: use a smaller --batch-size") from error
            print_numbers(row, f"{name}.{preset}.")
            if config.json is not None:
                write_shared_json(config.json, result | origin)


def _training(config: SpeedTrainConfig, model: str, preset: str) -> TrainConfig:
    """The training that is measured, without folders."""
    none = Path()
    return TrainConfig(
        none, none, model, preset, config.variant, batch_size=config.batch_size, precision=config.precision
    )


def load_plain_loss(model: str) -> PlainLoss:
    """The loss of `world_models.reference`, written as plain loops.

    Raises:
        ValueError: if the model has none.
    """
    try:
        return import_module(f"world_models.reference.{model}").plain_loss
    except ModuleNotFoundError:
        raise ValueError(f"{model} has no plain loops in world_models/reference: choose another of --models") from None


def _measure(
    training: TrainConfig, plain_loss: PlainLoss, rounds: int, replay: Replay, device: torch.device
) -> dict[str, Any]:
    """Measure our step and the plain step in turns, and separately the loading of a batch."""
    fast, plain = (Trainer(each, replay, device) for each in (training, replace(training, precision="fp32")))
    batch, length = fast.recipe.batch_size, fast.model.window_length
    rng = np.random.default_rng(0)
    sample = to_batch(replay.sample(rng, batch, length), device)
    take_plain_loss(plain, plain_loss, sample)
    error = _gradient_error(fast.model, plain.model, sample)
    flops = _flops(fast)
    reset_peak_memory(device)
    fast.update()
    peak = peak_memory_gb(device)
    plain.update()
    steps, plain_steps, loads = [], [], []
    foreign = foreign_load()
    for _ in range(rounds):
        steps.append(seconds_of(fast.update, device))
        plain_steps.append(seconds_of(plain.update, device))
        loads.append(seconds_of(lambda: to_batch(replay.sample(rng, batch, length), device), device))
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


def take_plain_loss(trainer: Trainer, plain_loss: PlainLoss, sample: Batch) -> None:
    """Let a trainer minimise the plain loops' loss, with the weights of the model's own."""
    model: Any = trainer.model
    weights = model.loss(sample, 0).weights
    model.to(memory_format=torch.contiguous_format)
    model.loss = lambda batch, step: Losses(plain_loss(model, batch, step), weights)


def _gradient_error(fast: nn.Module, plain: nn.Module, sample: Batch) -> float:
    """Largest error of a parameter's gradient, relative to its largest entry."""
    gradients = []
    for model in (fast, plain):
        torch.manual_seed(0)
        loss: Losses = model.loss(sample, 0)  # type: ignore[operator]
        gradients.append(torch.autograd.grad(loss.total, list(model.parameters())))
    least = torch.finfo(torch.float32).tiny  # a parameter without gradient (a level that never changes) has no error
    errors = [(a - b).abs().max() / b.abs().max().clamp(min=least) for a, b in zip(*gradients, strict=True)]
    return float(torch.stack(errors).max())


def _flops(trainer: Trainer) -> int:
    """Floating point operations of the matrix products and convolutions in a step."""

    def in_place(_: Any, a: Any, b: Any, out_shape: Any = None, **__: Any) -> int:
        return 2 * a[0] * a[1] * b[1]

    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
        trainer.update()
    return counter.get_total_flops()


def _gemm_flops_per_s(device: torch.device, precision: str) -> float:
    """Throughput of a large matrix product on this device in this precision."""
    a = torch.randn(GEMM, GEMM, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = [seconds_of(lambda: a @ a, device) for _ in range(7)]
    return 2 * GEMM**3 / statistics.median(seconds[2:])


def seconds_of(run: Callable[[], Any], device: torch.device) -> float:
    """Wall time of a call, including the work it started on the device."""
    since = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - since
