"""The last step of the data's way from the disk to a model."""

import numpy as np
import torch

from world_models.interface import Batch


def to_batch(fields: dict[str, np.ndarray], device: torch.device) -> Batch:
    """Move a slice of the replay to the models' device; a video has no actions and no goals."""
    frames = torch.from_numpy(fields["observation"])
    if "action" not in fields:
        action = torch.zeros(frames.shape[:2], dtype=torch.long)
        mask, goal = action.new_zeros((*action.shape, 0), dtype=torch.bool), frames[:, :, :0, :0]
        return Batch(frames, action, mask, goal).to(device)
    return Batch(
        frames,
        torch.from_numpy(fields["action"]).long(),
        torch.from_numpy(fields["action_mask"]).bool(),
        torch.from_numpy(fields["achieved_goal"]),
    ).to(device)
