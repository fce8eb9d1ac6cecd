"""What the variant `ours` of HRSSM adds to the bound: jumps are trained the way planning uses them.

Differs from the paper: starting from the belief after a context that ends at a boundary, the jumps really taken are
imagined, and every imagined feature has to name the crops seen during its subsequence (experiments/LOG.md, 1).
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from world_models.blocks.distributions import image_nll
from world_models.blocks.global_batch import everywhere, integers, normal, per, uniform
from world_models.blocks.networks import one_hot_actions
from world_models.hrssm.boundaries import rollout_frames, starts
from world_models.interface import Batch, Losses


def add_imagination(model: Any, losses: Losses, batch: Batch, x: Tensor, e: Tensor, m: Tensor, step: int) -> None:
    """Add the losses of imagined jumps.

    Args:
        model: the HRSSM whose transition is imagined.
        losses: to add to.
        batch: actions, legal actions and crops.
        x: (B, T, ...) patchified frames.
        e: (B, T, D) embeddings.
        m: (B, T) sampled boundaries, through which gradients reach q(m).
        step: of the training.
    """
    o = model.config.options
    assert o.imagination_weight is not None
    sample = o.samples_from is not None and step >= o.samples_from
    rows, past, before, seen = rollout_frames(m.detach(), o.context, o.lookahead, o.horizon)
    length = integers(1, o.context + 1, m.shape[:1], m.device)
    c = model.context_rnn.last(e[rows, past], length)
    z = c.new_zeros(len(m), model.config.sizes.abstraction)
    m = m[rows, seen]
    start, a = starts(m), one_hot_actions(batch.action[rows, before], model.config.actions)
    noise = normal((*m.shape, z.shape[-1]), m.device) if sample else None
    z_all, c_all = model.z_rnn.rollout(model.prior_z, z, c, a, update=start, noise=noise)
    imagined = torch.cat([z_all, c_all], -1)
    crop = batch.achieved_goal[rows, torch.cat([past[:, -1:], seen], 1)]
    states = torch.cat([torch.cat([z, c], -1)[:, None], imagined], 1)
    contrast = model.goals.contrast(states, crop, o.contrast_frames, o.contrast_temperature)
    losses.add("contrast", contrast, o.imagination_weight)
    if o.action_weight is not None:
        surprise = model.foreseen_actions(imagined, start.detach(), m, batch.action[rows, seen])
        losses.add("action", surprise, o.action_weight)
    if o.frame_weight is not None:
        _add_frames(model, losses, x[rows, seen], z_all.detach(), c_all.detach(), m.detach(), sample)
    if o.legal_weight is not None:
        legal = model.goals.legal_error(imagined, m.detach(), batch.action_mask[rows, seen])
        losses.add("legal", legal, o.legal_weight)


def _add_frames(
    model: Any,
    losses: Losses,
    x: Float[Tensor, "b t *pixels"],
    z: Float[Tensor, "b t z"],
    c: Float[Tensor, "b t c"],
    m: Float[Tensor, "b t"],
    sample: bool,
) -> None:
    """Add the negative log-likelihoods of what is drawn of imagined subsequences, nats a frame, given (z, c).

    Nothing is learned here of what is imagined, which would move boundaries (experiments/LOG.md, 12), only how it is
    drawn.
    """
    o = model.config.options
    row, first = (starts(m) > 0.5).nonzero(as_tuple=True)
    z, c = z[row, first], c[row, first]
    noise = normal((*m.shape, model.config.sizes.state if sample else z.shape[-1]), m.device)[row, first]
    if not sample:
        z = model.prior_z(c).sample(noise).detach()
    h = model.init_s(z, c)
    p_s = model.prior_s(h)
    s = p_s.sample(noise) if sample else p_s.mean
    decoded = model.decoder.patches(model.shown(h, s)[None])
    losses.add("frame", image_nll(x[row, first][None], decoded, o.sigma), o.frame_weight)
    if o.subsequence_weight is None:
        return
    pick = _some_whole(m, o.l_max, o.subsequences)[row, first]
    at = row[pick, None], first[pick, None] + torch.arange(o.l_max, device=m.device)
    state = (z[pick], c[pick], s[pick], h[pick])
    rest = normal((*m.shape, o.l_max - 1, s.shape[-1]), m.device)[row[pick], first[pick]] if sample else None
    error = _rest_of_subsequences(model, state, x[at], m[at], rest)
    losses.add("subsequence", error, o.subsequence_weight)


def _some_whole(m: Float[Tensor, "b t"], longest: int, number: int) -> Bool[Tensor, "b t"]:
    """Where a random choice of subsequences starts, of those with `longest` frames from there on in the window.

    They are chosen from the whole batch; all are if there are no more than `number`.
    """
    t = torch.arange(m.shape[1], device=m.device)
    possible = (starts(m) > 0.5) & (t + longest <= m.shape[1])
    lot = torch.where(possible, uniform(m.shape, m.device), -1.0)
    lots = everywhere(lot).flatten()
    return possible & (lot >= lots.topk(min(number, len(lots))).values[-1])


def _rest_of_subsequences(
    model: Any,
    state: tuple[Tensor, Tensor, Tensor, Tensor],
    x: Float[Tensor, "n t *pixels"],
    m: Float[Tensor, "n t"],
    noise: Float[Tensor, "n t_1 s"] | None,
) -> Float[Tensor, ""]:
    """Negative log-likelihood of frames and boundaries after the first frame, by s as it would be generated.

    Args:
        model: the HRSSM.
        state: (z, c, s, h) at each subsequence's first frame.
        x: frames from there on, those of the next subsequences included, which do not count.
        m: where subsequences end.
        noise: standard normals of s in the frames after the first; None: it is at its prior mean.

    Returns:
        Nats a frame.
    """
    z, c, s, h = state
    o, steps = model.config.options, m.shape[1] - 1
    inputs = model.abstract(z, c)[:, None].expand(-1, steps, -1)
    s_all, h_all = model.s_rnn.rollout(model.prior_s, s, h, inputs, noise=noise)
    s_all, h_all = (torch.cat([one[:, None], rest], 1) for one, rest in ((s, s_all), (h, h_all)))
    here = torch.cumprod(1 - m, 1)  # the subsequence has not ended
    inside = torch.cat([torch.ones_like(here[:, :1]), here[:, :-1]], 1) > 0.5
    free = inside & (torch.arange(steps + 1, device=m.device) + 1 >= o.l_min)
    logit = model.end_logit(h_all[free], s_all[free])
    ends = F.binary_cross_entropy_with_logits(logit, m[free], reduction="sum")
    inside[:, 0] = False  # as `frame`
    decoded = model.decoder.patches(model.shown(h_all[inside], s_all[inside])[None])
    return image_nll(x[inside][None], decoded, o.sigma) + per(ends, free.sum())
