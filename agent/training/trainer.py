"""A model, its optimiser and the step they are at: one training step, and the loop over them.

Everything random in step n is drawn from (seed, n), so that a checkpoint needs no generator states: weights, optimiser
moments and the step decide the rest of the run.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.system.device import choose_precision, device_name
from agent.system.memory import is_out_of_memory
from agent.training.config import TrainConfig
from agent.training.evaluate import evaluate, nonfinite
from agent.training.meter import Meter, log_scalars
from agent.training.pictures import log_pictures
from agent.training.runs import CHECKPOINT, TENSORBOARD, load_run, save_run
from world_models.blocks.images import scale
from world_models.blocks.networks import set_precision
from world_models.interface import Colouring, Losses, Trainable
from world_models.registry import build_model, variant_label
from world_models.spec import Recipe


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
        model = build_model(c.model, c.preset, c.chosen_variant, replay.frame_size, c.options, actions)
        if not isinstance(model, Trainable):
            raise ValueError(f"{c.model} cannot be trained: it lacks config, window_length or loss (Trainable)")
        if model.window_length > replay.episode_length:
            raise ValueError(
                f"{c.data} has episodes of {replay.episode_length} frames, a training window has "
                f"{model.window_length}: make longer ones, or shorten it with --options window=…"
            )
        if not actions and isinstance(model, Colouring):  # a video's background may be all one colour
            model.start_at(_mean_colour(replay))
        self.model = model.to(device)
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
                    self._evaluate(writer)
                if self.step % c.checkpoint_every == 0:
                    self.save()
        self.save()
        if self.step < last:
            print(f"stopped at step {self.step} of {last}, saved in {c.out}: go on with --resume")

    def _evaluate(self, writer: SummaryWriter) -> None:
        """Log scores and pictures of the test split; an error there costs no step."""
        try:
            test = evaluate(self.model, self.replay, self.step, self.device, self.config.evaluation)
            log_scalars(writer, "test", test, self.step)
            log_pictures(writer, self.model, self.replay, self.step, self.device)
        except Exception:
            self.save()
            raise

    def _explained(self, error: RuntimeError | MemoryError) -> Exception:
        """Turn out-of-memory into an error that names the remedy; save first."""
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
