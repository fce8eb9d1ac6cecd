"""Training windows as batches on the model's device: from files, or on a GPU from the data that lie there.

Both give the same batches: the episodes and the starts of a batch are drawn by the same generator.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from agent.data.batch import to_batch
from agent.data.replay import Replay
from world_models.interface import Batch

GPU_SHARE = 0.4
"""of a GPU's free memory, which a data set may take; its last copy needs as much again for a moment"""


@runtime_checkable
class Windows(Protocol):
    """Where training windows come from."""

    def batch(self, episode: Int64[np.ndarray, " b"], start: Int64[np.ndarray, " b"], length: int) -> Batch:
        """The windows of `length` frames from the given first frame of each given episode."""
        ...


class HostWindows:
    """Windows that are read from the data set's files and copied to the device, batch by batch."""

    def __init__(self, replay: Replay, device: torch.device) -> None:
        self.replay, self.device = replay, device

    def batch(self, episode: Int64[np.ndarray, " b"], start: Int64[np.ndarray, " b"], length: int) -> Batch:
        """See `Windows.batch`."""
        return to_batch(self.replay.slices(episode, start, length), self.device)


class DeviceWindows:
    """Windows of a training split that was copied to the device once, as the bytes that are stored."""

    def __init__(self, replay: Replay, device: torch.device) -> None:
        self.device, self.first = device, replay.split("train").start
        self._fields = _on_device(replay, device)

    def batch(self, episode: Int64[np.ndarray, " b"], start: Int64[np.ndarray, " b"], length: int) -> Batch:
        """See `Windows.batch`."""
        rows = torch.from_numpy(episode - self.first).to(self.device, non_blocking=True)[:, None]
        begin = torch.from_numpy(start).to(self.device, non_blocking=True)[:, None]
        frames = begin + torch.arange(length, device=self.device)
        observation, action, mask, goal = (field[rows, frames] for field in self._fields)
        colours = observation.expand(*observation.shape[:-1], 3).contiguous()  # grey frames are stored with one
        return Batch(colours, action.long(), mask.bool(), goal)


def training_windows(replay: Replay, device: torch.device) -> Windows:
    """Windows of the training split: on a GPU from its memory, if there is room."""
    if device.type != "cuda":
        return HostWindows(replay, device)
    needed, free = training_bytes(replay), torch.cuda.mem_get_info(device)[0]
    if needed > GPU_SHARE * free:
        print(f"the data's {needed / 1e9:.1f} GB are read from the host: {free / 1e9:.1f} GB are free on the GPU")
        return HostWindows(replay, device)
    return DeviceWindows(replay, device)


def training_bytes(replay: Replay) -> int:
    """What the training split takes on a device."""
    fields = replay.manifest.fields
    read = [fields[name] for name in ("observation", "action", "action_mask", "achieved_goal") if name in fields]
    return len(replay.split("train")) * replay.episode_length * sum(kind.itemsize * math.prod(s) for kind, s in read)


def _on_device(replay: Replay, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, actions, masks and crops of the training episodes, (E, T, ...), copied shard by shard."""
    split = replay.split("train")
    parts = []
    for first, fields in replay.shards():
        inside = slice(max(split.start - first, 0), max(split.stop - first, 0))
        parts.append([part.to(device) for part in _stored(fields, inside)])
    observation, action, mask, goal = (torch.cat(field) for field in zip(*parts, strict=True))
    del parts
    torch.cuda.empty_cache()  # the shards' copies are given back, so that the next training finds room beside this one
    return observation, action, mask, goal


def _stored(fields: dict[str, np.ndarray], episodes: slice) -> list[Tensor]:
    """Some of a shard's episodes as they are stored; videos get actions of 0, empty masks and empty crops."""
    frames = torch.from_numpy(np.array(fields["observation"][episodes]))
    if "action" not in fields:
        action = torch.zeros(frames.shape[:2], dtype=torch.int8)
        return [frames, action, action.new_zeros((*action.shape, 0)), frames.new_zeros((*action.shape, 0, 0, 3))]
    names = ("action", "action_mask", "achieved_goal")
    return [frames, *(torch.from_numpy(np.array(fields[name][episodes])) for name in names)]
