"""The RSSM's loss as loops over frames, one time step after the other, with the model's own layers.

It proves the fast loss, and `jumpy speed train` times it. Rows of a batch go side by side; frames are encoded and
decoded together, since batch norm counts all of them.
"""

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from world_models.blocks.goals import contrastive_loss, cosine_loss, crop_id
from world_models.blocks.images import to_float
from world_models.blocks.networks import one_hot_actions
from world_models.interface import Batch
from world_models.reference.loops import plain_frames, rnn
from world_models.rssm import RSSM


def plain_loss(model: RSSM, batch: Batch, step: int) -> dict[str, Tensor]:
    """Unweighted terms; draws the same noise as `RSSM.loss` in the same order. A RSSM does not look at the step."""
    o, sizes = model.config.options, model.config.sizes
    b, first = len(batch.action), o.context
    length = torch.randint(1, o.context + 1, (b,))
    x = plain_frames(model, batch)
    e, a = model.encoder(x), one_hot_actions(batch.action)
    noise = torch.randn(b, o.window, sizes.state)
    h = phi = torch.zeros(b, sizes.belief)
    for t in range(first):
        counts = (t >= first - length)[:, None]
        h, phi = (counts * rnn(gru, [e[:, t]], old) for gru, old in ((model.context_rnn, h), (model.phi_forward, phi)))
    h_0, s = h, torch.zeros(b, sizes.state)
    samples, kl_s, states = [], [], []
    for k, t in enumerate(range(first, first + o.window)):
        phi = rnn(model.phi_forward, [e[:, t]], phi)
        q, h = model.post_s(phi), rnn(model.s_rnn, [s, a[:, t - 1]], h)
        p = model.prior_s(h)
        kl_s.append(kl_divergence(Normal(q.mean, q.std, False), Normal(p.mean, p.std, False)).sum(-1))
        s = q.mean + q.std * noise[:, k]
        samples.append(s)
        states.append(torch.cat([s, h], -1))
    error = (x[:, first : first + o.window] - model.decoder(torch.stack(samples, 1))).square().sum((2, 3, 4))
    terms = {"image": (error / (2 * o.sigma**2)).mean(), "kl_s": torch.stack(kl_s).mean()}
    if o.imagination_weight is not None:
        return terms | plain_imagination(model, batch, h_0)
    feature = model.goals.feature(torch.stack(states, 1)).flatten(0, 1)
    crops = to_float(batch.achieved_goal[:, first : first + o.window].flatten(0, 1))
    return terms | {"goal": cosine_loss(feature, model.goal_feature(crops))}


def plain_imagination(model: RSSM, batch: Batch, h: Tensor) -> dict[str, Tensor]:
    """Imagine the actions taken; name the crops seen from the context's last frame on, predict the legal actions."""
    o = model.config.options
    b = len(batch.action)
    picked = torch.rand(b, o.horizon).argsort(1)[:, : o.contrast_frames]
    s = torch.zeros(b, model.config.sizes.state)
    states, legal = [torch.cat([s, h], -1)], []
    for t in range(o.context, o.context + o.horizon):
        h = rnn(model.s_rnn, [s, one_hot_actions(batch.action[:, t - 1])], h)
        s = model.prior_s(h).mean
        states.append(torch.cat([s, h], -1))
        mask, logit = batch.action_mask[:, t].float(), model.goals.legal_logit(states[-1])
        legal.append(F.binary_cross_entropy_with_logits(logit, mask, reduction="none").sum(-1))
    rows, compared = torch.arange(b)[:, None], torch.cat([torch.zeros(b, 1, dtype=torch.int64), picked + 1], 1)
    feature = model.goals.feature(torch.stack(states, 1)[rows, compared].flatten(0, 1))
    crop = batch.achieved_goal[rows, o.context - 1 + compared].flatten(0, 1)
    contrast = contrastive_loss(feature, model.goal_feature(to_float(crop)), crop_id(crop), o.contrast_temperature)
    return {"contrast": contrast, "legal": torch.stack(legal).mean()}
