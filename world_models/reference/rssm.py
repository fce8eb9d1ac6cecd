"""The RSSM's loss as loops over frames."""

import torch
from torch import Tensor

from world_models.blocks.networks import one_hot_actions
from world_models.interface import Batch
from world_models.reference.loops import plain_contrast, plain_frames, plain_goal, plain_image, plain_kl, plain_legal
from world_models.rssm import RSSM


def plain_loss(model: RSSM, batch: Batch, step: int) -> dict[str, Tensor]:
    """See `world_models.reference`."""
    o, sizes = model.config.options, model.config.sizes
    b, first = len(batch.action), o.context
    length = torch.randint(1, o.context + 1, (b,), device=batch.action.device)
    x = plain_frames(model, batch)
    e, a = model.encoder(x), one_hot_actions(batch.action)
    noise = torch.randn(b, o.window, sizes.state, device=batch.action.device)
    h = phi = torch.zeros(b, sizes.belief, device=batch.action.device)
    for t in range(first):
        counts = (t >= first - length)[:, None]
        h, phi = (counts * gru(e[:, t], h=old) for gru, old in ((model.context_rnn, h), (model.phi_forward, phi)))
    h_0, s = h, torch.zeros(b, sizes.state, device=batch.action.device)
    samples, kl_s, states = [], [], []
    for k, t in enumerate(range(first, first + o.window)):
        phi = model.phi_forward(e[:, t], h=phi)
        q, h = model.post_s(phi), model.s_rnn(s, a[:, t - 1], h=h)
        kl_s.append(plain_kl(q, model.prior_s(h)))
        s = q.mean + q.std * noise[:, k]
        samples.append(s)
        states.append(torch.cat([s, h], -1))
    window = slice(first, first + o.window)
    terms = {"image": plain_image(model, x[:, window], torch.stack(samples, 1)), "kl_s": torch.stack(kl_s).mean()}
    if o.imagination_weight is not None:
        return terms | plain_imagination(model, batch, h_0)
    return terms | {"goal": plain_goal(model, torch.stack(states, 1), batch.achieved_goal[:, window])}


def plain_imagination(model: RSSM, batch: Batch, h: Tensor) -> dict[str, Tensor]:
    """Imagine the actions taken; name the crops seen from the context's last frame on, predict the legal actions."""
    o = model.config.options
    b = len(batch.action)
    picked = torch.rand(b, o.horizon, device=h.device).argsort(1)[:, : o.contrast_frames]
    s = torch.zeros(b, model.config.sizes.state, device=h.device)
    states, legal = [torch.cat([s, h], -1)], []
    for t in range(o.context, o.context + o.horizon):
        h = model.s_rnn(s, one_hot_actions(batch.action[:, t - 1]), h=h)
        s = model.prior_s(h).mean
        states.append(torch.cat([s, h], -1))
        legal.append(plain_legal(model, states[-1], batch.action_mask[:, t]))
    contrast = plain_contrast(model, states, batch.achieved_goal[:, o.context - 1 :], picked)
    return {"contrast": contrast, "legal": torch.stack(legal).mean()}
