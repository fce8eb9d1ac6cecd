"""`jumpy speed gpu`: steps of all models, planning and loading on a GPU, in one call of at most ten minutes.

The rows that matter most come first: our steps, decisions, batches; then the plain loops that our steps are compared
with. Each row is written as soon as it is measured. A row that fails is written with its reason, a row for which there
is no time left is "not measured"; neither ends the call.

| file | content |
|---|---|
| `speed_gpu.json` | seconds, rates, memory; the machine |
| `speed_gpu.md` | the same as a table |
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.data.windows import DeviceWindows, HostWindows
from agent.system.atomic_files import locked, write_file, write_json
from agent.system.device import choose_device
from agent.training.config import TrainConfig
from agent.training.trainer import Trainer
from envs.videos import DATASETS
from experiments.common.hardware import about, about_line, peak_memory_gb, reset_peak_memory
from experiments.common.numbers import print_numbers
from experiments.speed.plan import BATCHES, median_decision
from experiments.speed.train import load_plain_loss, seconds_of, take_plain_loss
from planners.tree import TreeSearch
from world_models.registry import MODELS, build_model, spec_of

RESULT, TABLE = "speed_gpu.json", "speed_gpu.md"
WARM_UPS = 2
PLANNED = ("hrssm", "rssm", "dlh")
SHARE = 0.5
"""of the time that is left, which one row may take"""


@dataclass(frozen=True)
class SpeedGpuConfig:
    """Measure training steps of all models at both sizes, planning and loading on a GPU."""

    out: Path = Path("runs/speed-gpu")
    """folder of speed_gpu.json and speed_gpu.md"""
    minutes: float = 10.0
    """rows that do not fit into this time are not measured"""
    models: tuple[str, ...] = tuple(MODELS)
    """which world models"""
    presets: tuple[str, ...] = ("quick", "paper")
    """their sizes"""
    rounds: int = 10
    """steps and batches of each row; medians are reported"""
    batch_size: int | None = None
    """sequences per step; default: the preset's"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """of our steps; the plain loops always run in fp32"""
    depth: int = 5
    """depth of the tree search"""
    device: str = "cuda"
    """cuda; cpu for a dry run, whose numbers are not a GPU's"""

    def __post_init__(self) -> None:
        """Validate names and numbers."""
        for name in ("minutes", "rounds", "depth"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} must be more than 0, got {getattr(self, name)}")
        for model in self.models:
            for preset in self.presets:
                self.training(model, preset)

    def training(self, model: str, preset: str) -> TrainConfig:
        """A training that is measured, without folders."""
        none = Path()
        return TrainConfig(none, none, model, preset, batch_size=self.batch_size, precision=self.precision)


def speed_gpu(config: SpeedGpuConfig) -> dict[str, Any]:
    """Measure every row for which there is time; print, write and return the numbers.

    Raises:
        ValueError: there is no CUDA device, or another process writes the folder.
        OSError: the folder cannot be written.
    """
    device = choose_device(config.device)
    with locked(config.out):
        return _all_rows(config, device, time.monotonic() + 60 * config.minutes)


def _all_rows(config: SpeedGpuConfig, device: torch.device, until: float) -> dict[str, Any]:
    """Measure rows until the time is over, writing each."""
    result: dict[str, Any] = {"about": about(device), "precision": config.precision}
    if device.type == "cuda":
        result["gpu_memory_gb"] = torch.cuda.get_device_properties(device).total_memory / 1e9
    with tempfile.TemporaryDirectory() as folder:
        data = _Data(Path(folder))
        for kind, model, preset, measure in _rows(config, data, device):
            row = result.setdefault(kind, {}).setdefault(model, {}).setdefault(preset, {})
            row |= _measured(measure, until)
            print_numbers(row, f"{kind}.{model}.{preset}.")
            write_json(config.out / RESULT, result)
            write_file(config.out / TABLE, table(result).encode())
    print(table(result))
    return result


Measure = Callable[[float], dict[str, Any]]
"""measures a row in about so many seconds"""


def _rows(config: SpeedGpuConfig, data: _Data, device: torch.device) -> Iterator[tuple[str, str, str, Measure]]:
    """Every row in the order of its importance: kind, model, preset, and what measures it."""
    pairs = [(model, preset) for preset in config.presets for model in config.models]
    for model, preset in pairs:
        yield "step", model, preset, partial(_steps, config, data, device, model, preset)
    for model, preset in pairs:
        if model in PLANNED:
            yield "plan", model, preset, partial(_decisions, config, device, model, preset)
    for model in config.models[:1]:
        yield "load", model, config.presets[0], partial(_loads, config, data, device, model)
    for model, preset in pairs:
        yield "plain", model, preset, partial(_plain, config, data, device, model, preset)


def _measured(measure: Measure, until: float) -> dict[str, Any]:
    """A row's numbers, or why there are none."""
    left = until - time.monotonic()
    if left <= 0:
        return {"reason": "no time was left"}
    try:
        return measure(SHARE * left)
    except (RuntimeError, ValueError, MemoryError, AssertionError, TypeError) as error:  # the other rows still count
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return {"reason": f"{type(error).__name__}: {' '.join(str(error).split()):.200}"}


def _steps(
    config: SpeedGpuConfig, data: _Data, device: torch.device, model: str, preset: str, seconds: float
) -> dict[str, Any]:
    """Our step, plainly started and, where that works, replayed from a CUDA graph."""
    trainer = Trainer(config.training(model, preset), data.of(model), device)
    reset_peak_memory(device)
    plain = _median(trainer.update, config.rounds, seconds / 2, device)
    frames = trainer.recipe.batch_size * trainer.model.window_length
    row: dict[str, Any] = {"step_s": plain, "frames_per_s": frames / plain, "peak_gb": peak_memory_gb(device)}
    row |= {"batch_size": trainer.recipe.batch_size, "window": trainer.model.window_length}
    trainer.connect()
    if trainer.captured is not None:
        row["graph_step_s"] = _median(trainer.update, config.rounds, seconds / 2, device)
        row["graph_ratio"] = plain / row["graph_step_s"]
    return row


def _plain(
    config: SpeedGpuConfig, data: _Data, device: torch.device, model: str, preset: str, seconds: float
) -> dict[str, Any]:
    """The step of the plain loops."""
    training = replace(config.training(model, preset), precision="fp32")
    plain_loss = load_plain_loss(model)
    trainer = Trainer(training, data.of(model), device)
    episode, start = trainer.replay.places(np.random.default_rng(0), 2, trainer.model.window_length)
    take_plain_loss(trainer, plain_loss, trainer.windows.batch(episode, start, trainer.model.window_length))
    return {"plain_step_s": _median(trainer.update, config.rounds, seconds, device)}


def _decisions(config: SpeedGpuConfig, device: torch.device, model: str, preset: str, seconds: float) -> dict[str, Any]:
    """Exhaustive trees for one episode and for a batch, with an untrained model."""
    network: Any = build_model(model, preset, spec_of(model).standard_variant, 32).to(device).eval()
    row: dict[str, Any] = {}
    for batch in BATCHES:
        took, spent = median_decision(network, batch, TreeSearch(config.depth), config.rounds, device)
        row |= {f"decision_batch{batch}_ms": 1000 * took, "transitions_per_s": spent / took}
    return row


def _loads(config: SpeedGpuConfig, data: _Data, device: torch.device, model: str, seconds: float) -> dict[str, Any]:
    """A batch from the host's files, and from the data that lie on the device."""
    replay, training = data.of(model), config.training(model, config.presets[0])
    length, rows = Trainer(training, replay, device).model.window_length, training.recipe.batch_size
    row: dict[str, Any] = {}
    for name, windows in (("host", HostWindows(replay, device)), ("device", DeviceWindows(replay, device))):
        rng = np.random.default_rng(0)

        def load(windows: Any = windows, rng: np.random.Generator = rng) -> None:
            windows.batch(*replay.places(rng, rows, length), length)

        row[f"{name}_batch_ms"] = 1000 * _median(load, config.rounds, seconds / 2, device)
    return row


def _median(run: Callable[[], Any], rounds: int, seconds: float, device: torch.device) -> float:
    """Median seconds of a call after warm-ups; of fewer calls, or of the first alone, if they would take too long."""
    until = time.monotonic() + seconds
    found = [seconds_of(run, device)]
    while len(found) < WARM_UPS + rounds and time.monotonic() < until:
        found.append(seconds_of(run, device))
    return statistics.median(found[min(WARM_UPS, len(found) - 1) :])


class _Data:
    """Data sets for the models, made when one first needs them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, dict[str, Replay]()

    def of(self, model: str) -> Replay:
        """A maze for models that act, grey videos for the others."""
        kind = "maze" if spec_of(model).acts else "videos"
        if kind not in self._made:
            out = self._folder / kind
            video = DATASETS["moving-mnist"]
            self._made[kind] = (
                collect(CollectConfig(out, steps=20_000))
                if kind == "maze"
                else make_videos(VideosConfig(out, video, sequences=100, length=100))
            )
        return self._made[kind]


def table(result: dict[str, Any]) -> str:
    """The numbers in Markdown; what is missing is not measured."""
    lines = ["# Speed on a GPU", "", f"Measured with `jumpy speed gpu`: {about_line(result)}.", ""]
    lines += [
        "| model, size | step | from a CUDA graph | plain loops | ratio | frames/s | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, presets in result.get("step", {}).items():
        for preset, row in presets.items():
            plain = result.get("plain", {}).get(model, {}).get(preset, {}).get("plain_step_s")
            best = min((row[name] for name in ("step_s", "graph_step_s") if name in row), default=None)
            ratio = None if plain is None or best is None else plain / best
            cells = [_cell("{:.1f} ms", row.get("step_s"), 1000.0), _cell("{:.1f} ms", row.get("graph_step_s"), 1000.0)]
            cells += [_cell("{:.1f} ms", plain, 1000.0), _cell("{:.1f} ×", ratio)]
            frames = None if best is None else row["batch_size"] * row["window"] / best
            cells += [_cell("{:,.0f}", frames), _cell("{:.2f} GB", row.get("peak_gb"))]
            lines.append(f"| {model}, {preset} | {' | '.join(cells)} |")
    lines += ["", "| model, size | decision, one episode | 64 episodes | transitions/s |", "|---|---|---|---|"]
    for model, presets in result.get("plan", {}).items():
        for preset, row in presets.items():
            cells = [_cell("{:.1f} ms", row.get(f"decision_batch{batch}_ms")) for batch in BATCHES]
            lines.append(
                f"| {model}, {preset} | {' | '.join(cells)} | {_cell('{:,.0f}', row.get('transitions_per_s'))} |"
            )
    for presets in result.get("load", {}).values():
        for row in presets.values():
            cells = [f"{name} {_cell('{:.2f} ms', row.get(f'{name}_batch_ms'))}" for name in ("host", "device")]
            lines += ["", f"A batch from the {', from the '.join(cells)}."]
    reasons = [
        f"- {kind}, {model}, {preset}: {row['reason']}"
        for kind in ("step", "plan", "load", "plain")
        for model, presets in result.get(kind, {}).items()
        for preset, row in presets.items()
        if "reason" in row
    ]
    return "\n".join([*lines, *(["", "Not measured, and why:", "", *reasons] if reasons else []), ""])


def _cell(form: str, value: float | None, times: float = 1.0) -> str:
    return "not measured" if value is None else form.format(times * value)
