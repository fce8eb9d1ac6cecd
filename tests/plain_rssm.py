"""The RSSM's loss as loops over rows and frames, with the model's own layers and nothing that is fast."""

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from tests.tiny import rnn
from world_models.goals import contrastive_loss, cosine_loss, crop_id
from world_models.images import to_float
from world_models.interface import Batch
from world_models.networks import one_hot_actions
from world_models.rssm import RSSM, RSSMState


def plain_loss(model: RSSM, batch: Batch) -> dict[str, Tensor]:
    """Unweighted terms; draws the same noise as `RSSM.loss` in the same order."""
    o, sizes = model.config.options, model.config.sizes
    rows = len(batch.action)
    length = torch.randint(1, o.context + 1, (rows,)).tolist()
    x = to_float(batch.observation, dequantise=model.training and o.dequantise)
    e = model.encoder(x)
    noise = torch.randn(rows, o.window, sizes.state)
    image, kl_s, features, h_0 = [], [], [], []
    for row in range(rows):
        h, phi = context(model, e[row, : o.context], length[row])
        h_0.append(h)
        s = torch.zeros(sizes.state)
        for t in range(o.window):
            frame = o.context + t
            phi = rnn(model.phi_forward, [e[row, frame]], phi)
            q = model.post_s(phi)
            h = rnn(model.s_rnn, [s, one_hot_actions(batch.action[row, frame - 1])], h)
            kl_s.append(kl_divergence(Normal(*q), Normal(*model.prior_s(h))).sum())
            s = q.mean + q.std * noise[row, t]
            image.append(((x[row, frame] - model.decoder(s[None, None])[0, 0]) ** 2).sum() / (2 * o.sigma**2))
            features.append(model.feature(RSSMState(s, h)))
    terms = {"image": torch.stack(image).mean(), "kl_s": torch.stack(kl_s).mean()}
    if o.imagination_weight is not None:
        return terms | plain_imagination(model, batch, h_0)
    crops = to_float(batch.achieved_goal[:, o.context : o.context + o.window].flatten(0, 1))
    return terms | {"goal": cosine_loss(torch.stack(features), model.goal_feature(crops))}


def context(model: RSSM, e: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """What the belief and phi have become after the last `length` frames of a context (T, D)."""
    h = phi = torch.zeros(model.config.sizes.belief)
    for frame in e[len(e) - length :]:
        h, phi = rnn(model.context_rnn, [frame], h), rnn(model.phi_forward, [frame], phi)
    return h, phi


def plain_imagination(model: RSSM, batch: Batch, h_0: list[Tensor]) -> dict[str, Tensor]:
    """Imagine the actions taken; name the crops seen from the context's last frame on, predict the legal actions."""
    o = model.config.options
    rows = len(batch.action)
    picked = torch.rand(rows, o.horizon).argsort(1)[:, : o.contrast_frames].tolist()
    features, crops, legal = [], [], []
    for row in range(rows):
        s, h = torch.zeros(model.config.sizes.state), h_0[row]
        here, imagined = RSSMState(s, h), []
        for t in range(o.horizon):
            h = rnn(model.s_rnn, [s, one_hot_actions(batch.action[row, o.context + t - 1])], h)
            s = model.prior_s(h).mean
            imagined.append(RSSMState(s, h))
            mask = batch.action_mask[row, o.context + t].float()
            legal.append(
                F.binary_cross_entropy_with_logits(
                    model.goals.legal_logit(torch.cat(imagined[t], -1)), mask, reduction="sum"
                )
            )
        features += [model.feature(state) for state in (here, *(imagined[t] for t in picked[row]))]
        crops += [batch.achieved_goal[row, o.context + t] for t in (-1, *picked[row])]
    crop = torch.stack(crops)
    goal = model.goal_feature(to_float(crop))
    contrast = contrastive_loss(torch.stack(features), goal, crop_id(crop), o.contrast_temperature)
    return {"contrast": contrast, "legal": torch.stack(legal).mean()}
