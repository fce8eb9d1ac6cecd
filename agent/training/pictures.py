"""Pictures for TensorBoard: reconstructions with their subsequences, and what a model imagines."""

from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from agent.data.batch import to_batch
from agent.data.replay import Replay
from world_models.blocks.images import to_float, to_uint8

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
def log_pictures(writer: SummaryWriter, model: Any, replay: Replay, step: int, device: torch.device) -> None:
    """Write reconstructions of two test windows and generations from a context, full and, for HRSSM, jumpy."""
    training = model.training
    model.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        fields = replay.sample(np.random.default_rng(0), 2, model.window_length, "test")
        batch = to_batch(fields, device)
        x = to_float(batch.observation)
        rebuilt, start = model.reconstruct(x, batch.action)
        context = model.config.options.context
        window = slice(context, context + rebuilt.shape[1])
        rows = []
        for number in range(len(x)):
            mark = None if start is None else start[number].cpu().numpy()
            rows += [strip(fields["observation"][number, window], mark), strip(_pixels(rebuilt[number]), mark)]
        writer.add_image("reconstruction", stack(rows), step, dataformats="HWC")
        length = torch.full((2,), context, device=device)
        actions = torch.randint(max(model.config.actions, 1), (2, 8), device=device)
        for mode in model.generation_modes:
            frames, start = model.generate(x[:, :context], batch.action[:, : context - 1], length, actions, mode)
            marks = [None, None] if start is None else list(start.cpu().numpy())
            shown = [
                strip(
                    np.concatenate([fields["observation"][n, :context], _pixels(frames[n])]), _after(context, marks[n])
                )
                for n in range(2)
            ]
            writer.add_image(f"generation/{mode}", stack(shown), step, dataformats="HWC")
    model.train(training)


def _pixels(frames: Tensor) -> np.ndarray:
    return to_uint8(frames).cpu().numpy()


def _after(context: int, mark: np.ndarray | None) -> np.ndarray | None:
    return None if mark is None else np.concatenate([np.zeros(context), mark])
