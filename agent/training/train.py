"""Train any world model on a replay: one loop, resumable to the bit.

Everything random in step n is drawn from (seed, n), so that a checkpoint needs no generator states: weights, optimiser
moments and the step decide the rest of the run.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.system.device import device_name
from agent.system.memory import is_out_of_memory, limit_memory
from agent.training.evaluate import EvaluationConfig, evaluate, nonfinite
from agent.training.pictures import log_pictures
from agent.training.runs import CHECKPOINT, TENSORBOARD, load_run, save_run
from world_models.blocks.images import scale
from world_models.blocks.networks import set_precision
from world_models.interface import Losses
from world_models.registry import build_model, standard_variant, variant_label


@dataclass(frozen=True)
class Recipe:
    """How a preset and variant are trained, unless the command line says otherwise."""

    steps: int
    batch_size: int
    learning_rate: float
    clip: float
    """largest norm of the gradient"""
    warmup: int = 0
    """steps over which the learning rate rises from zero"""
    decay: float = 0.0
    """last share of the steps over which the learning rate falls to zero"""
    epsilon: float = 1e-8
    """of Adam"""
    amsgrad: bool = True
    """keep the largest second moment"""


RECIPES = {
    ("paper", "vta"): Recipe(500_000, 64, 5e-4, 10.0),
    ("paper", "ours"): Recipe(50_000, 64, 5e-4, 10.0, warmup=100, decay=0.5),
    ("quick", "vta"): Recipe(3_000, 32, 5e-4, 10.0),
    ("quick", "ours"): Recipe(1_600, 32, 2e-3, 100.0, warmup=100, decay=0.5),
    ("dlh", "paper"): Recipe(200_000, 100, 5e-4, 1e4, epsilon=1e-4, amsgrad=False),
    ("dlh", "quick"): Recipe(4_000, 16, 1e-3, 1e4, warmup=100, decay=0.5, epsilon=1e-4, amsgrad=False),
    ("cwvae", "paper"): Recipe(60_000, 100, 3e-4, 1e4, epsilon=1e-4, amsgrad=False),
    ("cwvae", "quick"): Recipe(2_000, 32, 1e-3, 1e4, warmup=100, decay=0.5, epsilon=1e-4, amsgrad=False),
}
"""of a preset and variant, or of a model with recipes of its own and a preset"""

MULTIPLIES_BF16 = ("amx_bf16", "avx512_bf16")
"""of a CPU's capabilities, as torch names them, those with which bf16 is faster than fp32"""


@dataclass(frozen=True)
class TrainConfig:
    """Train a world model on collected data."""

    data: Path
    """folder that `jumpy collect` or `jumpy videos` wrote"""
    out: Path
    """run folder: checkpoint, TensorBoard files"""
    model: Literal["hrssm", "rssm", "dlh", "cwvae"] = "hrssm"
    """which world model; cwvae is for videos"""
    preset: Literal["quick", "paper"] = "quick"
    """sizes"""
    variant: Literal["vta", "ours", "paper"] | None = None
    """options: vta (hrssm, rssm) or paper (dlh, cwvae) is faithful, ours (not of cwvae) adds what an ablation showed to
    help; default: ours where there is one, else paper"""
    options: tuple[str, ...] = ()
    """changes of the variant's options, such as n_max=20 l_max=20; results name the variant with them"""
    steps: int | None = None
    """training steps in all, which the learning rate's decay follows; default: the preset's"""
    pause_after: int | None = None
    """save and stop after this many steps of this call, to be resumed (training in pieces)"""
    batch_size: int | None = None
    """sequences a step; default: the preset's"""
    learning_rate: float | None = None
    """peak learning rate of Adam; default: the preset's"""
    seed: int = 0
    """of the weights and of everything drawn while training"""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda"""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """what encoder, decoder and boundary network compute in while training; auto: bf16 on a CPU that
    multiplies it (AMX, AVX512-BF16), else fp32"""
    log_every: int = 50
    """steps between scalars"""
    evaluate_every: int = 500
    """steps between evaluations on the test split, with pictures"""
    checkpoint_every: int = 500
    """steps between checkpoints"""
    resume: bool = False
    """go on with the run in `out`"""
    overwrite: bool = False
    """replace the run in `out`"""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """what is evaluated"""

    def __post_init__(self) -> None:
        """Refuse counts that are not positive."""
        counts = ("steps", "pause_after", "batch_size", "learning_rate", "log_every", "evaluate_every")
        for name in (*counts, "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"--{name.replace('_', '-')} must be more than 0, got {value}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")

    @property
    def chosen_variant(self) -> str:
        """The variant, or the model's standard one."""
        return self.variant or standard_variant(self.model)

    @property
    def recipe(self) -> Recipe:
        """The preset's recipe with the command line's choices."""
        base = RECIPES.get((self.model, self.preset)) or RECIPES[self.preset, self.chosen_variant]
        return replace(
            base,
            steps=self.steps or base.steps,
            batch_size=self.batch_size or base.batch_size,
            learning_rate=self.learning_rate or base.learning_rate,
        )

    def run(self) -> None:
        """Train as the configuration says."""
        train(self)


def train(config: TrainConfig) -> None:
    """Train, evaluate, log and save until the last step, a signal or a non-finite number.

    Raises:
        ValueError: the data set, the run folder or an option does not fit; nothing is changed then.
        FloatingPointError: a loss term or the gradient is not finite; the last checkpoint stays as it was.
    """
    device = choose_device(config.device)
    replay = Replay.open(config.data)
    trainer = Trainer(config, replay, device)
    trainer.restore()
    if device.type == "cpu":
        limit_memory()
    after = trainer.step + 1  # curves of steps that a killed run took after its last checkpoint do not count
    with stop_on_signal() as stop, SummaryWriter(config.out / TENSORBOARD, purge_step=after) as writer:
        trainer.fit(writer, stop)


def choose_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into a device.

    Raises:
        ValueError: the name is unknown or there is no CUDA device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but torch sees no CUDA device: use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(name: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    """Turn auto into bf16 where the hardware multiplies it faster, as far as that was tried, else into fp32."""
    if name != "auto":
        return name
    able = torch.cpu.get_capabilities()
    return "bf16" if device.type == "cpu" and any(able.get(each) for each in MULTIPLIES_BF16) else "fp32"


def _mean_colour(replay: Replay) -> Tensor:
    """Mean (3,) of some training frames, of channels in [-1, 1]."""
    frames = replay.sample(np.random.default_rng(0), batch_size=500, length=1)["observation"]
    return scale(torch.from_numpy(frames)).mean((0, 1, 2, 3))


class Trainer:
    """A model, its optimiser and the step they are at."""

    def __init__(self, config: TrainConfig, replay: Replay, device: torch.device) -> None:
        """Build the model with the seed's weights; refuse what cannot be trained."""
        self.config, self.replay, self.device = config, replay, device
        torch.manual_seed(config.seed)
        c = config
        actions = replay.manifest.actions
        model: Any = build_model(c.model, c.preset, c.chosen_variant, replay.frame_size, c.options, actions)
        if model.window_length > replay.episode_length:
            raise ValueError(
                f"{c.data} has episodes of {replay.episode_length} frames, a training window has "
                f"{model.window_length}: make longer ones, or shorten it with --options window=…"
            )
        if not actions:  # of a video, whose background may be all one colour
            model.decoder.start_at(_mean_colour(replay))
        self.model: Any = model.to(device)
        self.recipe = config.recipe
        self.precision = choose_precision(config.precision, device)
        set_precision(self.model, self.precision)
        rate, epsilon, amsgrad = self.recipe.learning_rate, self.recipe.epsilon, self.recipe.amsgrad
        self.optimiser = torch.optim.Adam(self.model.parameters(), rate, eps=epsilon, amsgrad=amsgrad, fused=True)
        self.step = 0
        self.trained_seconds: dict[str, float] | None = {}

    @property
    def meta(self) -> dict[str, Any]:
        """What defines the run: it has to be equal for `--resume`."""
        return {
            "model": self.config.model,
            "preset": self.config.preset,
            "variant": variant_label(self.config.model, self.config.chosen_variant, self.model.config.options),
            "config": asdict(self.model.config),
            "recipe": asdict(self.recipe),
            "precision": self.precision,
            "seed": self.config.seed,
            **self.replay.manifest.origin,
        }

    def restore(self) -> None:
        """Begin a new run or take up the one in `out`, as the configuration asks."""
        path = self.config.out / CHECKPOINT
        if path.exists() and self.config.resume:
            found = load_run(path, self.model, self.optimiser, self.meta, self.device)
            self.step, self.trained_seconds = found["step"], found.get("trained_seconds")
        elif path.exists() and not self.config.overwrite:
            raise ValueError(
                f"{self.config.out} already holds a run: add --resume to go on or --overwrite to replace it"
            )
        else:
            shutil.rmtree(self.config.out / TENSORBOARD, ignore_errors=True)  # curves of the run that this one replaces
            self.config.out.mkdir(parents=True, exist_ok=True)

    def save(self) -> None:
        """Write the checkpoint in place of the last one."""
        path = self.config.out / CHECKPOINT
        save_run(path, self.model, self.optimiser, self.step, self.meta, self.trained_seconds)

    def fit(self, writer: SummaryWriter, stop: threading.Event) -> None:
        """Run to the last step, or until `stop` is set; always ends with a checkpoint."""
        c, last = self.config, self.recipe.steps
        pause = min(last, self.step + c.pause_after) if c.pause_after else last
        meter = Meter(self.recipe.batch_size)
        with tqdm(total=last, initial=self.step, desc=f"train {c.model}", unit="step", mininterval=1) as bar:
            while self.step < pause and not stop.is_set():
                try:
                    losses, norm = self.update()
                except (RuntimeError, MemoryError) as error:
                    raise self._explained(error) from error
                meter.add(losses, norm)
                bar.update()
                if self.step % c.log_every == 0:
                    scalars = meter.flush()
                    bar.set_postfix({name: f"{scalars[name]:.3g}" for name in ("nelbo", "total") if name in scalars})
                    log_scalars(writer, "train", scalars, self.step)
                if self.step % c.evaluate_every == 0 or self.step == last:
                    test = evaluate(self.model, self.replay, self.step, self.device, c.evaluation)
                    log_scalars(writer, "test", test, self.step)
                    log_pictures(writer, self.model, self.replay, self.step, self.device)
                if self.step % c.checkpoint_every == 0:
                    self.save()
        self.save()
        if self.step < last:
            print(f"stopped at step {self.step} of {last}, saved in {c.out}: go on with --resume")

    def _explained(self, error: RuntimeError | MemoryError) -> Exception:
        """What to do about a batch that does not fit; no step is lost."""
        if not is_out_of_memory(error):
            return error
        if self.step:
            self.save()
        kept = f"; the run is kept at step {self.step}, to be resumed with more memory" if self.step else ""
        return ValueError(
            f"a batch of {self.recipe.batch_size} windows does not fit into memory: use a smaller --batch-size{kept}"
        )

    def update(self) -> tuple[Losses, torch.Tensor]:
        """Take one training step; raise before it changes a weight if a number is not finite."""
        began = self._clock()
        draw = np.random.default_rng([self.config.seed, self.step])
        torch.manual_seed(int(draw.integers(2**63)))
        fields = self.replay.sample(draw, self.recipe.batch_size, self.model.window_length)
        losses: Losses = self.model.loss(to_batch(fields, self.device), self.step)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        if not bool(torch.isfinite(norm + losses.total.detach())):
            wrong = nonfinite(losses.terms) or ["gradient"]
            raise FloatingPointError(
                f"step {self.step}: {', '.join(wrong)} is not finite; the last checkpoint in {self.config.out} is kept"
            )
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * schedule(self.step, self.recipe)
        self.optimiser.step()
        self.step += 1
        self._add_time(self._clock() - began)
        return losses, norm

    def _clock(self) -> float:
        """Seconds; on a CPU those that it worked for this process, since what else runs there is nobody's training."""
        return time.process_time() if self.device.type == "cpu" else time.perf_counter()

    def _add_time(self, seconds: float) -> None:
        """Lengthen the time of training; of a run whose beginning was not timed it stays unknown."""
        if self.trained_seconds is not None:
            name = device_name(self.device)
            if self.device.type == "cpu":
                threads = torch.get_num_threads()
                name += f", {threads} thread{'s' * (threads > 1)}, processor time"
            self.trained_seconds[name] = self.trained_seconds.get(name, 0.0) + seconds


def schedule(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step: linear rise, constant, half a cosine down to zero."""
    rise = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    begin = (1 - recipe.decay) * recipe.steps
    if step <= begin:
        return rise
    return rise * 0.5 * (1 + math.cos(math.pi * (step - begin) / (recipe.steps - begin)))


class Meter:
    """Means of the loss terms between two logs, and the speed."""

    def __init__(self, batch_size: int) -> None:
        """Start counting."""
        self.batch_size = batch_size
        self.values: dict[str, list[torch.Tensor]] = {}
        self.since = time.perf_counter()

    def add(self, losses: Losses, norm: torch.Tensor) -> None:
        """Note one step."""
        for name, value in {**losses.terms, **losses.metrics, "total": losses.total, "gradient": norm}.items():
            self.values.setdefault(name, []).append(value.detach())

    def flush(self) -> dict[str, float]:
        """Means since the last call, with `samples_per_s` (sequences a second)."""
        steps = max(len(value) for value in self.values.values())
        means = {name: float(torch.stack(value).mean()) for name, value in self.values.items()}
        means["samples_per_s"] = steps * self.batch_size / (time.perf_counter() - self.since)
        self.values, self.since = {}, time.perf_counter()
        return means


def log_scalars(writer: SummaryWriter, group: str, scalars: dict[str, float], step: int) -> None:
    """Write scalars under group/name."""
    for name, value in scalars.items():
        writer.add_scalar(f"{group}/{name}", value, step)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event for the time of the block (main thread only)."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
