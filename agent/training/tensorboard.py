"""What TensorBoard shows of a training run: means of the loss terms, reconstructions and generated sequences."""

import io
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.evaluation_mode import evaluating, seeded
from agent.training.image_grid import stack, strip
from agent.training.runs import TENSORBOARD
from world_models.blocks.images import to_float, to_uint8
from world_models.interface import Batch, Generative, Losses, Rebuilding, Trainable

OURS = ".jumpy"
"""ends the names of the files that a training writes"""
ENLARGE, MILLISECONDS = 3, 125
"""pixels of a film for each pixel of a frame; time that a picture is shown"""


def open_curves(run: Path, step: int) -> SummaryWriter:
    """A run's writer from a step on; hides what a run that was killed logged from there on."""
    return SummaryWriter(run / TENSORBOARD, purge_step=step, filename_suffix=OURS)


def remove_curves(run: Path) -> None:
    """Remove the files that trainings wrote with `open_curves`, and no others."""
    for path in (run / TENSORBOARD).glob(f"events.out.tfevents.*{OURS}"):
        path.unlink()


class Meter:
    """Means of the loss terms between two logs, and the speed."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.values: dict[str, list[Tensor]] = {}
        self.since = time.perf_counter()

    def add(self, losses: Losses, norm: Tensor) -> None:
        """Add one step."""
        for name, value in {**losses.terms, **losses.metrics, "total": losses.total, "gradient": norm}.items():
            self.values.setdefault(name, []).append(value.detach())

    def flush(self) -> dict[str, float]:
        """Means since the last call, with `samples_per_s` (sequences per second)."""
        steps = max(len(value) for value in self.values.values())
        means = {name: float(torch.stack(value).mean()) for name, value in self.values.items()}
        means["samples_per_s"] = steps * self.batch_size / (time.perf_counter() - self.since)
        self.values, self.since = {}, time.perf_counter()
        return means


def log_scalars(writer: SummaryWriter, group: str, scalars: dict[str, float], step: int) -> None:
    """Write scalars under group/name."""
    for name, value in scalars.items():
        writer.add_scalar(f"{group}/{name}", value, step)


@torch.no_grad()
def log_pictures(writer: SummaryWriter, model: Trainable, replay: Replay, step: int, device: torch.device) -> None:
    """Write reconstructions of two test windows and continuations in each generation mode, where a model has them.

    The continuations frame by frame are a short film, too.
    """
    with evaluating(model), seeded(device, 0):
        fields = replay.sample(np.random.default_rng(0), 2, model.window_length, "test")
        batch = to_batch(fields, device)
        if isinstance(model, Rebuilding):
            writer.add_image("reconstruction", _reconstructions(model, batch), step, dataformats="HWC")
        if isinstance(model, Generative):
            actions = torch.randint(max(model.config.actions, 1), (2, 8), device=device)
            for mode in model.generation_modes:
                shown = _generations(model, batch, actions, mode)
                writer.add_image(f"generation/{mode}", stack([strip(*row) for row in shown]), step, dataformats="HWC")
                if mode == model.generation_modes[0]:
                    _add_film(writer, f"film/{mode}", [frames for frames, _ in shown], step)


def _reconstructions(model: Rebuilding, batch: Batch) -> np.ndarray:
    """Each window above its reconstruction, subsequences marked."""
    rebuilt, start = model.reconstruct(to_float(batch.observation), batch.action)
    window = batch.observation[:, model.context : model.context + rebuilt.shape[1]].cpu().numpy()
    marks = [None] * len(rebuilt) if start is None else start.cpu().numpy()
    rows = zip(window, to_uint8(rebuilt).cpu().numpy(), marks, strict=True)
    return stack([strip(frames, mark) for true, decoded, mark in rows for frames in (true, decoded)])


def _generations(
    model: Generative, batch: Batch, actions: Tensor, mode: str
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Each context and the frames sampled after it, and where subsequences start."""
    context, x = model.context, to_float(batch.observation)
    length = torch.full((len(x),), context, device=x.device)
    sampled, start = model.generate(x[:, :context], batch.action[:, : context - 1], length, actions, mode)
    frames = torch.cat([batch.observation[:, :context], to_uint8(sampled)], 1).cpu().numpy()
    marks = [None] * len(x) if start is None else torch.nn.functional.pad(start, (context, 0)).cpu().numpy()
    return list(zip(frames, marks, strict=True))


def _add_film(writer: SummaryWriter, tag: str, sequences: list[np.ndarray], step: int) -> None:
    """Write sequences (T, H, W, 3) side by side as a GIF, which TensorBoard plays among the images."""
    joined = np.concatenate(sequences, axis=2).repeat(ENLARGE, axis=1).repeat(ENLARGE, axis=2)
    first, *rest = (Image.fromarray(picture) for picture in joined)
    content = io.BytesIO()
    first.save(content, "gif", save_all=True, append_images=rest, duration=MILLISECONDS, loop=0)
    image = Summary.Image(height=first.height, width=first.width, colorspace=3, encoded_image_string=content.getvalue())
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
