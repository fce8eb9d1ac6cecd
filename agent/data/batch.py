"""From numpy arrays to the batch that models read."""

import numpy as np
import torch

from world_models.interface import Batch


def to_batch(fields: dict[str, np.ndarray], device: torch.device) -> Batch:
    """Move slices of the replay to the model's device; videos get zero actions, empty masks and empty goals."""
    frames = torch.from_numpy(fields["observation"])
    if "action" not in fields:
        action = torch.zeros(frames.shape[:2], dtype=torch.long)
        mask, goal = action.new_zeros((*action.shape, 0), dtype=torch.bool), frames[:, :, :0, :0]
        return Batch(frames, action, mask, goal).to(device)
    action, mask, goal = (torch.from_numpy(fields[name]) for name in ("action", "action_mask", "achieved_goal"))
    return Batch(frames, action.long(), mask.bool(), goal).to(device)
