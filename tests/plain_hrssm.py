"""The HRSSM's loss as loops over rows and frames, with the model's own layers and nothing that is fast.

Written from sections 2.3 to 3 of Kim et al. 2019. Where the paper chooses by m (COPY or UPDATE, UPDATE or INIT, reset
or not), the choice is a sum weighted by m and 1 - m, through which straight-through gradients reach q(m).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from tests.tiny import rnn
from world_models.boundaries import FORCED
from world_models.distributions import straight_through_bernoulli
from world_models.goals import contrastive_loss, cosine_loss, crop_id
from world_models.hrssm import HRSSM, HRSSMState
from world_models.images import to_float
from world_models.interface import Batch
from world_models.networks import one_hot_actions


class Draws(NamedTuple):
    """What `HRSSM.loss` draws, in its order, and what follows at once."""

    length: list[int]
    """context frames that count"""
    x: Tensor
    """frames as floats, context and lookahead included"""
    e: Tensor
    """their embeddings"""
    logit: Tensor
    """of q(m)"""
    m: Tensor
    """boundaries"""
    z: Tensor
    """standard normals of q(z), (B, T, Dz)"""
    s: Tensor
    """standard normals of q(s), (B, T, Ds)"""


def draw(model: HRSSM, batch: Batch, step: int) -> Draws:
    """Draw as `HRSSM.loss` does."""
    o, sizes = model.config.options, model.config.sizes
    rows = len(batch.action)
    length = torch.randint(1, o.context + 1, (rows,)).tolist()
    x = to_float(batch.observation, dequantise=model.training and o.dequantise)
    e = model.encoder(x)
    logit = model.boundary_logit(e, batch.action)
    m = straight_through_bernoulli(logit, model.temperature(step))
    z, s = torch.randn(rows, o.window, sizes.abstraction), torch.randn(rows, o.window, sizes.state)
    return Draws(length, x, e, logit, m, z, s)


def plain_loss(model: HRSSM, batch: Batch, step: int) -> dict[str, Tensor]:
    """Unweighted terms; draws the same noise as `HRSSM.loss` in the same order."""
    o = model.config.options
    drawn = draw(model, batch, step)
    rows = [plain_row(model, batch, drawn, row) for row in range(len(batch.action))]
    terms = {name: torch.stack([row[name] for row in rows]).mean() for name in ("image", "kl_s", "kl_z", "kl_m")}
    q = torch.sigmoid(drawn.logit)
    if o.short_weight:
        frames = range(q.shape[1])
        pairs = [q[:, t] * q[:, later] for t in frames for later in frames if t < later < t + o.l_min]
        terms["short"] = torch.stack(pairs).sum() / q.numel()
    if o.rate_weight:
        terms["rate"] = kl_divergence(Bernoulli(q.mean()), Bernoulli(torch.tensor(o.boundary_rate)))
    if o.imagination_weight is not None:
        return terms | plain_imagination(model, batch, drawn.e, drawn.m)
    crops = to_float(batch.achieved_goal[:, o.context : o.context + o.window].flatten(0, 1))
    return terms | {"goal": cosine_loss(torch.cat([row["features"] for row in rows]), model.goal_feature(crops))}


def plain_row(model: HRSSM, batch: Batch, drawn: Draws, row: int) -> dict[str, Tensor]:
    """Terms of one window, each averaged over its frames, and the features of (z, c)."""
    o, sizes = model.config.options, model.config.sizes
    past, window = drawn.e[row, : o.context], drawn.e[row, o.context : o.context + o.window]
    x, logit, m = (field[row, o.context : o.context + o.window] for field in (drawn.x, drawn.logit, drawn.m))
    a_before = one_hot_actions(batch.action[row, o.context - 1 :])  # a_{t-1} at t
    m_before = torch.cat([torch.ones(1), m[:-1]])  # m_{t-1} at t; m_0 = 1

    c = psi_forward = psi_backward = phi = h = torch.zeros(sizes.belief)
    for frame in past[o.context - drawn.length[row] :]:
        c = rnn(model.context_rnn, [frame], c)
        psi_forward = rnn(model.psi_forward, [frame], psi_forward)
    backward: list[Tensor] = []
    for t in reversed(range(o.window)):
        psi_backward = rnn(model.psi_backward, [window[t]], (1 - m[t]) * psi_backward)
        backward.insert(0, psi_backward)

    z, s = torch.zeros(sizes.abstraction), torch.zeros(sizes.state)
    image, kl_s, kl_z, kl_m, features = [], [], [], [], []
    for t in range(o.window):
        start = m_before[t]
        # temporal abstraction: UPDATE where m_{t-1} = 1, else COPY
        c = start * rnn(model.z_rnn, [z, a_before[t]], c) + (1 - start) * c
        q_z = model.post_z(torch.cat([psi_forward, backward[t]]))  # psi_fwd at t - 1, psi_bwd at t
        z = start * (q_z.mean + q_z.std * drawn.z[row, t]) + (1 - start) * z
        kl_z.append(start * kl_divergence(Normal(*q_z), Normal(*model.prior_z(c))).sum())
        # observation abstraction: INIT where m_{t-1} = 1, else UPDATE
        h = start * model.s_init(z) + (1 - start) * rnn(model.s_rnn, [s, z], h)
        phi = rnn(model.phi_forward, [window[t]], (1 - start) * phi)
        q_s = model.post_s(torch.cat([phi, z]))
        s = q_s.mean + q_s.std * drawn.s[row, t]
        kl_s.append(kl_divergence(Normal(*q_s), Normal(*model.prior_s(h))).sum())
        kl_m.append(kl_divergence(Bernoulli(logits=logit[t]), Bernoulli(plain_boundary_prior(model, s, m[:t]))))
        image.append(((x[t] - model.decoder(s[None, None])[0, 0]) ** 2).sum() / (2 * o.sigma**2))
        features.append(model.feature(HRSSMState(z, c)))
        psi_forward = rnn(model.psi_forward, [window[t]], psi_forward)
    named = {"image": image, "kl_s": kl_s, "kl_z": kl_z, "kl_m": kl_m}
    return {name: torch.stack(values).mean() for name, values in named.items()} | {"features": torch.stack(features)}


def plain_boundary_prior(model: HRSSM, s: Tensor, past: Tensor) -> Tensor:
    """p(m_t = 1 | s_t, m_{<t}) of section 2.3, forced values FORCED away from 0 and 1; `past` is m_{<t}."""
    o = model.config.options
    boundaries = past.detach().round().tolist()
    subsequences = 1 + sum(boundaries)
    frames = 1
    for m in boundaries:
        frames = 1 if m == 1 else frames + 1
    if subsequences >= o.n_max:
        return torch.tensor(FORCED)
    if frames >= o.l_max:
        return torch.tensor(1 - FORCED)
    return torch.sigmoid(model.prior_m(s))[0].clamp(FORCED, 1 - FORCED)


def plain_imagination(model: HRSSM, batch: Batch, e: Tensor, m: Tensor) -> dict[str, Tensor]:
    """Imagine the jumps taken, from the first boundary on at which a context can end; that frame counts, too."""
    o, sizes = model.config.options, model.config.sizes
    rows = len(batch.action)
    anywhere = torch.randint_like(m[:, 0], o.lookahead + 1).long().tolist()
    length = torch.randint(1, o.context + 1, (rows,)).tolist()
    picked = torch.rand(rows, o.horizon).argsort(1)[:, : o.contrast_frames].tolist()
    features, crops, errors, ends = [], [], [], []
    for row in range(rows):
        boundaries = [t for t in range(o.lookahead + 1) if m[row, o.context - 1 + t] > 0.5]
        begin = o.context - 1 + (boundaries[0] if boundaries else anywhere[row])
        c = torch.zeros(sizes.belief)
        for frame in e[row, begin + 1 - length[row] : begin + 1]:
            c = rnn(model.context_rnn, [frame], c)
        z = torch.zeros(sizes.abstraction)
        here, imagined = HRSSMState(z, c), []
        for t in range(begin + 1, begin + 1 + o.horizon):
            start = m[row, t - 1] if t > begin + 1 else torch.ones(())
            jumped = rnn(model.z_rnn, [z, one_hot_actions(batch.action[row, t - 1])], c)
            z = start * model.prior_z(jumped).mean + (1 - start) * z
            c = start * jumped + (1 - start) * c
            imagined.append(HRSSMState(z, c))
            mask = batch.action_mask[row, t].float()
            error = F.binary_cross_entropy_with_logits(
                model.goals.legal_logit(torch.cat(imagined[-1], -1)), mask, reduction="sum"
            )
            ends.append(m[row, t].detach())
            errors.append(ends[-1] * error)
        features += [model.feature(state) for state in (here, *(imagined[k] for k in picked[row]))]
        crops += [batch.achieved_goal[row, t] for t in (begin, *(begin + 1 + k for k in picked[row]))]
    crop = torch.stack(crops)
    goal = model.goal_feature(to_float(crop))
    contrast = contrastive_loss(torch.stack(features), goal, crop_id(crop), o.contrast_temperature)
    return {"contrast": contrast, "legal": torch.stack(errors).sum() / torch.stack(ends).sum()}
