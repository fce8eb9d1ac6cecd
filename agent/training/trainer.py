"""The training step and the loop over it.

All random numbers of step n derive from (seed, n) and belong to rows of the batch, so that a checkpoint needs no
generator states: weights, optimiser moments and the step determine the rest of the run, on any number of ranks.
"""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from agent.data.replay import Replay
from agent.data.windows import training_windows
from agent.system.device import choose_precision, device_name
from agent.system.memory import is_out_of_memory
from agent.training.captured_step import CapturedStep, capture
from agent.training.config import TrainConfig
from agent.training.evaluate import evaluate
from agent.training.ranks import Ranks
from agent.training.runs import CHECKPOINT, load_run, save_run
from agent.training.tensorboard import Meter, log_pictures, log_scalars, remove_curves
from world_models.blocks.images import scale
from world_models.blocks.networks import set_precision
from world_models.interface import CROP, Batch, Choosy, Colouring, Losses, Phased, Trainable
from world_models.registry import build_model, variant_label
from world_models.spec import Recipe


class Trainer:
    """A model, its optimiser and their step."""

    def __init__(self, config: TrainConfig, replay: Replay, device: torch.device, ranks: Ranks | None = None) -> None:
        """Build the model with the seed's weights; raise ValueError if it cannot be trained on this data."""
        c = self.config = config
        self.replay, self.device, self.ranks = replay, device, ranks or Ranks(device=device)
        self.rows = self.ranks.rows(c.recipe.batch_size, "--batch-size")
        self.ranks.rows(c.evaluation.batch_size, "--evaluation.batch-size")
        torch.manual_seed(c.seed)
        actions = replay.manifest.actions
        goal = replay.manifest.fields["achieved_goal"][1] if actions else CROP
        model = build_model(c.model, c.preset, c.chosen_variant, replay.frame_size, c.options, actions, goal)
        if not isinstance(model, Trainable):
            raise ValueError(f"{c.model} cannot be trained: it lacks config, window_length or loss (Trainable)")
        if model.window_length > replay.episode_length:
            raise ValueError(
                f"{c.data} has episodes of {replay.episode_length} frames, a training window has "
                f"{model.window_length}: make longer ones, or shorten it with --options window=…"
            )
        if isinstance(model, Choosy) and model.channels == 1 and not replay.grey:
            raise ValueError(f"{c.data} has colours, {c.model} reads grey frames: add --options channels=3")
        if not actions and isinstance(model, Colouring):  # a video's background may be a single colour
            frames = replay.sample(np.random.default_rng(0), batch_size=500, length=1)["observation"]
            model.start_at(scale(torch.from_numpy(frames)).mean((0, 1, 2, 3)))
        self.model = model.to(device)
        self.recipe = c.recipe
        self.precision = choose_precision(c.precision, device)
        set_precision(self.model, self.precision)
        rate, epsilon, amsgrad = self.recipe.learning_rate, self.recipe.epsilon, self.recipe.amsgrad
        self.optimiser = torch.optim.Adam(self.model.parameters(), rate, eps=epsilon, amsgrad=amsgrad, fused=True)
        self.windows = training_windows(replay, device)
        self.parallel: nn.Module = nn.Identity()
        self.captured: CapturedStep | None = None
        self.step = 0
        self.within_step = False
        """whether some phases of the next step are done: nothing can be saved then"""
        self.trained_seconds: dict[str, float] | None = {}

    @property
    def meta(self) -> dict[str, Any]:
        """The definition of the run, which `--resume` requires to be equal."""
        return {
            "model": self.config.model,
            "preset": self.config.preset,
            "variant": variant_label(self.config.model, self.config.chosen_variant, self.model.config.options),
            "config": asdict(self.model.config),
            "recipe": asdict(self.recipe),
            "precision": self.precision,
            "seed": self.config.seed,
            **self.replay.manifest.origin,
            "data_sha256": self.replay.manifest.digest,
        }

    def restore(self) -> None:
        """Start a new run, or load the one in `out`, according to the configuration; rank 0 holds its lock."""
        path = self.config.out / CHECKPOINT
        if self.config.resume:
            found = load_run(path, self.model, self.optimiser, self.meta, self.device)
            self.step, self.trained_seconds = found["step"], found.get("trained_seconds")
        elif not self.ranks.first:
            return
        elif self.config.overwrite:
            remove_curves(self.config.out)
        elif path.exists():
            raise ValueError(f"{self.config.out} already holds a run: --resume continues it, --overwrite replaces it")
        self.config.out.mkdir(parents=True, exist_ok=True)

    def connect(self) -> None:
        """Let the ranks share the steps from now on; on one GPU, replay the step from a graph where that works."""
        self.parallel = self.ranks.parallel(self.model)
        if self.config.cuda_graph and self.device.type == "cuda" and self.ranks.number == 1:
            batch = self._batch(np.random.default_rng(self.config.seed))
            self.captured = capture(self.model, batch, self.precision)

    def save(self) -> None:
        """Replace the checkpoint, if this is rank 0."""
        if not self.ranks.first:
            return
        path = self.config.out / CHECKPOINT
        save_run(path, self.model, self.optimiser, self.step, self.meta, self.trained_seconds)

    def fit(self, writer: SummaryWriter | None, stop: threading.Event) -> None:
        """Train to the last step, or until `stop` is set on a rank; save at the end. Rank 0 has a writer."""
        c, last = self.config, self.recipe.steps
        pause = min(last, self.step + c.pause_after) if c.pause_after else last
        until = self._clock() + 60 * (c.pause_after_minutes or math.inf)
        meter, silent = Meter(self.recipe.batch_size), writer is None
        head = {"desc": f"train {c.model}", "unit": "step", "mininterval": 1, "disable": silent}
        with tqdm(total=last, initial=self.step, **head) as bar:
            while self.step < pause and not self.ranks.any(stop.is_set() or self._clock() >= until):
                try:
                    losses, norm = self.update()
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    raise self._batch_too_large() from error
                meter.add(losses, norm)
                bar.update()
                if writer is not None and self.step % c.log_every == 0:
                    scalars = meter.flush()
                    bar.set_postfix({name: f"{scalars[name]:.3g}" for name in ("nelbo", "total") if name in scalars})
                    log_scalars(writer, "train", scalars, self.step)
                if self.step % c.evaluate_every == 0 or self.step == last:
                    self._evaluate(writer)
                if self.step % c.checkpoint_every == 0:
                    self.save()
        self.save()
        if self.step < last and not silent:
            print(f"stopped at step {self.step} of {last}, saved in {c.out}: continue with --resume")

    def _evaluate(self, writer: SummaryWriter | None) -> None:
        """Log scores and images of the test split; save before passing on an error."""
        try:
            test = evaluate(self.model, self.replay, self.step, self.device, self.config.evaluation, self.ranks)
            if writer is None:
                return
            log_scalars(writer, "test", test, self.step)
            log_pictures(writer, self.model, self.replay, self.step, self.device)
        except Exception:
            self.save()
            raise

    def _batch_too_large(self) -> ValueError:
        """Save after the first step, unless within one, and return the error for a batch that is too large."""
        message = f"a batch of {self.recipe.batch_size} windows does not fit into memory: use a smaller --batch-size"
        if self.step and not self.within_step:
            self.save()
            message += f"; the run is saved at step {self.step}, to be resumed with more memory"
        return ValueError(message)

    def update(self) -> tuple[Losses, Tensor]:
        """Take one training step, of one or several phases.

        Raises:
            FloatingPointError: a number is not finite; no weight has changed by it.
        """
        began = self._clock()
        rng = np.random.default_rng([self.config.seed, self.step])
        torch.manual_seed(int(rng.integers(2**63)))
        for losses in self._differentiated(self._batch(rng)):
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            if not bool(torch.isfinite(norm + losses.total.detach())):
                wrong = [name for name, term in losses.terms.items() if not term.isfinite().all()] or ["gradient"]
                raise FloatingPointError(
                    f"step {self.step}: {', '.join(wrong)} is not finite; the last checkpoint in {self.config.out} "
                    "is kept"
                )
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate * schedule(self.step, self.recipe)
            self.optimiser.step()
            self.within_step = True
        self.within_step = False
        self.step += 1
        self._add_time(self._clock() - began)
        return losses, norm

    def _batch(self, rng: np.random.Generator) -> Batch:
        """This rank's rows of a random batch."""
        length = self.model.window_length
        episode, start = self.replay.places(rng, self.recipe.batch_size, length)
        return self.windows.batch(episode[self.rows], start[self.rows], length)

    def _differentiated(self, batch: Batch) -> Iterator[Losses]:
        """The losses of one training step, whose gradients are in the model; each is minimised before the next."""
        if self.captured is not None:
            yield self.captured.replay(batch, self.step)
            return
        phases = iter(self._phases(batch))
        while True:
            with self.ranks.divided():
                losses = next(phases, None)
                if losses is None:
                    return
                self.optimiser.zero_grad(set_to_none=True)
                self.parallel(losses.total).backward()
            yield self.ranks.averaged(losses)

    def _phases(self, batch: Batch) -> Iterable[Losses]:
        """The losses of one training step, each to be minimised before the next is computed."""
        if isinstance(self.model, Phased):
            return self.model.phases(batch, self.step)
        return (self.model.loss(batch, self.step) for _ in range(1))

    def _clock(self) -> float:
        """Seconds; on a CPU this process's processor time, which excludes other processes."""
        return time.process_time() if self.device.type == "cpu" else time.perf_counter()

    def _add_time(self, seconds: float) -> None:
        """Add to the training time; it stays unknown if the start of the run was not timed."""
        if self.trained_seconds is not None:
            name = device_name(self.device)
            if self.device.type == "cpu":
                threads = torch.get_num_threads()
                name += f", {threads} thread{'s' * (threads > 1)}, processor time"
                seconds *= self.ranks.number  # the ranks do the same work
            if self.ranks.number > 1:
                name = f"{self.ranks.number} ranks, {name}"
            self.trained_seconds[name] = self.trained_seconds.get(name, 0.0) + seconds


def schedule(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step: linear warm-up, constant, cosine decay to zero."""
    rise = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    begin = (1 - recipe.decay) * recipe.steps
    if step <= begin:
        return rise
    return rise * 0.5 * (1 + math.cos(math.pi * (step - begin) / (recipe.steps - begin)))
