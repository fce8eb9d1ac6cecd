"""Pictures for TensorBoard: reconstructions with their subsequences, and what a model imagines."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.evaluate import evaluating, seeded
from world_models.blocks.images import to_float, to_uint8
from world_models.interface import Batch, Generative, Rebuilding, Trainable

START_COLOUR = (255, 40, 40)
GAP = 2  # pixels between frames


def strip(frames: UInt8[np.ndarray, "t h w 3"], start: np.ndarray | None = None) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Put frames side by side, with a red border where a subsequence starts (as Figure 3 of Kim et al. 2019)."""
    t, height, width, _ = frames.shape
    canvas = np.full((height + 2 * GAP, t * (width + GAP) + GAP, 3), 255, np.uint8)
    for number, frame in enumerate(frames):
        left = GAP + number * (width + GAP)
        if start is not None and start[number]:
            canvas[:, left - GAP : left + width + GAP] = START_COLOUR
        canvas[GAP : GAP + height, left : left + width] = frame
    return canvas


def stack(strips: list[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "h w 3"]:
    """Put strips below each other, padded with white to the widest."""
    width = max(row.shape[1] for row in strips)
    return np.concatenate(
        [np.pad(row, ((0, 3), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in strips]
    )


@torch.no_grad()
def log_pictures(writer: SummaryWriter, model: Trainable, replay: Replay, step: int, device: torch.device) -> None:
    """Write what a model can show of two test windows: reconstructions, and a generation in each of its modes."""
    with evaluating(model), seeded(device, 0):
        fields = replay.sample(np.random.default_rng(0), 2, model.window_length, "test")
        batch = to_batch(fields, device)
        if isinstance(model, Rebuilding):
            writer.add_image("reconstruction", _reconstructions(model, fields, batch), step, dataformats="HWC")
        if isinstance(model, Generative):
            actions = torch.randint(max(model.config.actions, 1), (2, 8), device=device)
            for mode in model.generation_modes:
                shown = _generations(model, fields, batch, actions, mode)
                writer.add_image(f"generation/{mode}", shown, step, dataformats="HWC")


def _reconstructions(model: Rebuilding, fields: dict[str, np.ndarray], batch: Batch) -> np.ndarray:
    """Each window above its reconstruction, subsequences marked."""
    rebuilt, start = model.reconstruct(to_float(batch.observation), batch.action)
    window = slice(model.context, model.context + rebuilt.shape[1])
    rows = []
    for number in range(len(rebuilt)):
        mark = None if start is None else start[number].cpu().numpy()
        rows += [strip(fields["observation"][number, window], mark), strip(_pixels(rebuilt[number]), mark)]
    return stack(rows)


def _generations(
    model: Generative, fields: dict[str, np.ndarray], batch: Batch, actions: Tensor, mode: str
) -> np.ndarray:
    """Each context, then what the model samples after it, subsequences marked."""
    context, x = model.context, to_float(batch.observation)
    length = torch.full((len(x),), context, device=x.device)
    frames, start = model.generate(x[:, :context], batch.action[:, : context - 1], length, actions, mode)
    marks = [None] * len(x) if start is None else list(start.cpu().numpy())
    return stack(
        [
            strip(np.concatenate([seen[:context], _pixels(sampled)]), _after(context, mark))
            for seen, sampled, mark in zip(fields["observation"], frames, marks, strict=True)
        ]
    )


def _pixels(frames: Tensor) -> np.ndarray:
    return to_uint8(frames).cpu().numpy()


def _after(context: int, mark: np.ndarray | None) -> np.ndarray | None:
    return None if mark is None else np.concatenate([np.zeros(context), mark])
