"""What the variant `ours` of HRSSM adds to the bound: jumps are trained the way planning uses them.

Differs from the paper: starting from the belief after a context that ends at a boundary, the jumps really taken are
imagined, and every imagined feature has to name the crops seen during its subsequence (experiments/LOG.md, 1).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.blocks.distributions import image_nll
from world_models.blocks.networks import one_hot_actions
from world_models.hrssm.boundaries import rollout_frames, starts
from world_models.interface import Batch, Losses


def add_imagination(model: Any, losses: Losses, batch: Batch, x: Tensor, e: Tensor, m: Tensor) -> None:
    """Add the losses of imagined jumps.

    Args:
        model: the HRSSM whose transition is imagined.
        losses: to add to.
        batch: actions, legal actions and crops.
        x: (B, T, ...) patchified frames.
        e: (B, T, D) embeddings.
        m: (B, T) sampled boundaries, through which gradients reach q(m).
    """
    o = model.config.options
    assert o.imagination_weight is not None
    rows, past, before, seen = rollout_frames(m.detach(), o.context, o.lookahead, o.horizon)
    length = torch.randint(1, o.context + 1, (len(m),), device=m.device)
    c = model.context_rnn.last(e[rows, past], length)
    z = c.new_zeros(len(m), model.config.sizes.abstraction)
    m = m[rows, seen]
    start, a = starts(m), one_hot_actions(batch.action[rows, before])
    imagined = torch.cat(model.z_rnn.rollout(model.prior_z, z, c, a, update=start), -1)
    crop = batch.achieved_goal[rows, torch.cat([past[:, -1:], seen], 1)]
    states = torch.cat([torch.cat([z, c], -1)[:, None], imagined], 1)
    contrast = model.goals.contrast(states, crop, o.contrast_frames, o.contrast_temperature)
    losses.add("contrast", contrast, o.imagination_weight)
    if o.action_weight is not None:
        surprise = model.foreseen_actions(imagined, start.detach(), m, batch.action[rows, seen])
        losses.add("action", surprise, o.action_weight)
    if o.frame_weight is not None:
        row, jumped = (start > 0.5).nonzero(as_tuple=True)
        error = first_frame_error(model, x[row, seen[row, jumped]], imagined[row, jumped, -c.shape[1] :])
        losses.add("frame", error, o.frame_weight)
    if o.legal_weight is not None:
        legal = model.goals.legal_error(imagined, m.detach(), batch.action_mask[rows, seen])
        losses.add("legal", legal, o.legal_weight)


def first_frame_error(model: Any, x: Float[Tensor, "n *pixels"], c: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Negative log-likelihood of first frames decoded from imagined beliefs, with no gradient into these."""
    with torch.no_grad():
        z = model.prior_z(c).sample()
    h = model.init_s(z, c.detach())
    decoded = model.decoder.patches(model.shown(h, model.prior_s(h).mean)[None])
    return image_nll(x[None], decoded, model.config.options.sigma)
