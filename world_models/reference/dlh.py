"""The DLH's loss as loops over frames and levels, with the model's own layers: Algorithm 1 of Zakharov et al. 2022.

It proves the fast loss, and `jumpy speed train` times it. Written from sections 2.1 to 2.5 and appendix B. Rows of a
batch go side by side: where a level is blocked in a row, the row keeps what it had. Frames are encoded and decoded
together, since batch norm counts all of them. Levels are counted from 0.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from world_models.blocks.distributions import Gaussian
from world_models.blocks.goals import cosine_loss
from world_models.blocks.images import to_float
from world_models.blocks.networks import one_hot_actions
from world_models.dlh.dlh import DLH
from world_models.dlh.levels import Level
from world_models.interface import Batch
from world_models.reference.loops import plain_frames, rnn


class Plain(NamedTuple):
    """What the loops find, one entry a level in the inner lists."""

    terms: dict[str, Tensor]
    change: Tensor
    """e, (B, T, N)"""
    q_e: Tensor
    """q(e = 1), (B, T, N)"""
    s: Tensor
    """(B, T, N, Ds)"""
    d: Tensor
    """(B, T, N, Dd)"""
    kl_s: list[Tensor]
    """term 8b of each level, averaged over frames and rows"""


def plain_loss(model: DLH, batch: Batch, step: int) -> dict[str, Tensor]:
    """Unweighted terms; draws the same noise as `DLH.loss` in the same order."""
    return plain(model, batch, step).terms


def plain(model: DLH, batch: Batch, step: int) -> Plain:
    """Everything that the loss is made of. The step tells how often levels are held."""
    o, sizes, hierarchy = model.config.options, model.config.sizes, model.hierarchy
    (rows, frames), levels = batch.action.shape, o.levels
    x = plain_frames(model, batch)
    noise = torch.randn(rows, frames, levels, sizes.state)
    uniform = torch.rand(rows, frames, levels) if o.vade else None
    hold = o.hold * max(0.0, 1 - step / o.hold_steps)
    held = torch.rand(rows, frames, levels) < hold if hold else torch.zeros(rows, frames, levels, dtype=torch.bool)
    features = [model.encoder(x)]
    for n in range(levels - 1):
        features.append(hierarchy.level(n).encode(features[-1]))
    a = one_hot_actions(batch.action, hierarchy.actions)
    nothing = torch.zeros(rows, sizes.belief)
    s, d, memory = ([torch.zeros(rows, size)] * levels for size in (sizes.state, sizes.belief, sizes.belief))
    context = [hierarchy.top_context.expand(rows, -1)] * levels
    last = [Gaussian(torch.zeros(rows, sizes.state), torch.ones(rows, sizes.state))] * levels
    kl_s, kl_e = ([torch.zeros(())] * levels for _ in range(2))
    found: dict[str, list[Tensor]] = {"change": [], "q_e": [], "s": [], "d": [], "code": []}
    for t in range(frames):
        seen = [feature[:, t] for feature in features]
        # f_tem and the prior factor read the states before t and the action before t
        ahead, logit = list(d), [nothing[:, 0]] * levels
        if t:
            for n in range(levels):
                ahead[n] = rnn(hierarchy.level(n).temporal, [s[n], a[:, t - 1]], d[n])
                if n:
                    read = [ahead[n - 1], ahead[n]] if o.factor_sees_below else [ahead[n]]
                    memory[n] = rnn(hierarchy.level(n).factor, read, memory[n])
                    logit[n] = hierarchy.level(n).factor_logit(memory[n])[:, 0]
        # Bottom-up: is the level below static, so is this one (Eq. 5); else the likelier component (Eq. 4 or 34)
        change, q_e = [torch.ones(rows, dtype=torch.bool)], [torch.ones(rows)]
        for n in range(1, levels):
            if not t:
                change.append(change[0])
                q_e.append(q_e[0])
                continue
            odds = log_odds(
                hierarchy.level(n), seen[n], context[n], ahead[n], last[n]
            )  # levels above as at t - 1: Eq. 25
            if uniform is None:
                q, moves = (odds > 0).float(), odds > 0
            else:
                q = torch.sigmoid(odds + logit[n]).detach()
                moves = uniform[:, t, n] < q
            q, moves = torch.where(held[:, t, n], 0.0, q), moves & ~held[:, t, n]
            q_e.append(torch.where(change[n - 1], q, 0.0))
            change.append(change[n - 1] & moves)
        # Top-down: posteriors up to the first static level, whose samples are the context below
        for n in reversed(range(levels)):
            level, open_ = hierarchy.level(n), change[n - 1] if n else change[0]
            q_s = level.post(torch.cat([seen[n], context[n]], -1))
            p_s = level.prior(torch.cat([ahead[n], context[n]], -1))
            static = plain_kl(q_s, last[n]) if t else torch.zeros(rows)
            kl = q_e[n] * plain_kl(q_s, p_s) + (1 - q_e[n]) * static  # Eq. 9
            kl_s[n] = kl_s[n] + torch.where(open_, kl, 0.0).sum()
            if n and t:
                kl = kl_divergence(Bernoulli(q_e[n]), Bernoulli(logits=logit[n]))
                kl_e[n] = kl_e[n] + torch.where(open_ & ~held[:, t, n], kl, 0.0).sum()
            s[n] = torch.where(open_[:, None], q_s.mean + q_s.std * noise[:, t, n], s[n])
            last[n] = Gaussian(*(torch.where(open_[:, None], *pair) for pair in zip(q_s, last[n], strict=True)))
            d[n] = torch.where(change[n][:, None], ahead[n], d[n])
            if n:
                context[n - 1] = level.decode_net(torch.cat([s[n], context[n]], -1))
        for name, values in (("change", change), ("q_e", q_e), ("s", s), ("d", d)):
            found[name].append(torch.stack(list(values), 1))
        found["code"].append(torch.cat([s[0], context[0]], -1))
    error = (x - model.decoder(torch.stack(found.pop("code"), 1))).square().sum((2, 3, 4))
    terms = {"image": (error / (2 * o.sigma**2)).mean()}
    terms |= {"kl_s": torch.stack(kl_s).sum() / (rows * frames), "kl_e": torch.stack(kl_e).sum() / (rows * frames)}
    stacked = {name: torch.stack(values, 1) for name, values in found.items()}
    if model.config.actions:
        n = o.jump_level - 1
        feature = model.goals.feature(torch.cat([stacked["s"][:, :, n], stacked["d"][:, :, n]], -1).flatten(0, 1))
        terms["goal"] = cosine_loss(feature, model.goal_feature(to_float(batch.achieved_goal.flatten(0, 1))))
    return Plain(terms, **stacked, kl_s=[kl / (rows * frames) for kl in kl_s])


def log_odds(level: Level, x: Tensor, context: Tensor, ahead: Tensor, last: Gaussian) -> Tensor:
    """E[log p(s | e = 1) - log p(s | e = 0)] under the candidate posterior (Eq. 20), (B,); no gradient passes it."""
    with torch.no_grad():
        q = level.post(torch.cat([x, context], -1))
        return plain_kl(q, last) - plain_kl(q, level.prior(torch.cat([ahead, context], -1)))


def plain_kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL[q || p], (B,)."""
    return kl_divergence(Normal(*q, validate_args=False), Normal(*p, validate_args=False)).sum(-1)
