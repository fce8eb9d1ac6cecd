"""The DLH's loss as loops over frames and levels: Algorithm 1 of Zakharov et al. 2022, sections 2.1 to 2.5, appendix B.

Where a level is blocked in a row, the row keeps its values. Levels are counted from 0.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence

from world_models.blocks.distributions import Gaussian
from world_models.blocks.networks import one_hot_actions
from world_models.dlh.dlh import DLH
from world_models.dlh.levels import Level
from world_models.interface import Batch
from world_models.reference.loops import plain_frames, plain_goal, plain_image, plain_kl


class Plain(NamedTuple):
    """Results of the loops."""

    terms: dict[str, Tensor]
    change: Tensor
    """e, (B, T, N)"""
    s: Tensor
    """(B, T, N, Ds)"""
    d: Tensor
    """(B, T, N, Dd)"""
    kl_s: list[Tensor]
    """Eq. 8b of each level, averaged over frames and rows"""


def plain_loss(model: DLH, batch: Batch, step: int) -> dict[str, Tensor]:
    """See `world_models.reference`."""
    return plain(model, batch, step).terms


def plain(model: DLH, batch: Batch, step: int) -> Plain:
    """Terms of the loss, and the states behind them."""
    o, sizes, hierarchy = model.config.options, model.config.sizes, model.hierarchy
    (rows, frames), levels = batch.action.shape, o.levels
    x = plain_frames(model, batch)
    noise = torch.randn(rows, frames, levels, sizes.state)
    hold = o.hold * max(0.0, 1 - step / o.hold_steps)
    held = torch.rand(rows, frames, levels) < hold if hold else torch.zeros(rows, frames, levels, dtype=torch.bool)
    features = [model.encoder(x)]
    for n in range(levels - 1):
        features.append(hierarchy.levels[n].encode(features[-1]))
    a = one_hot_actions(batch.action, hierarchy.actions)
    nothing = torch.zeros(rows, sizes.belief)
    s, d, memory = ([torch.zeros(rows, size)] * levels for size in (sizes.state, sizes.belief, sizes.belief))
    context = [hierarchy.top_context.expand(rows, -1)] * levels
    last = [Gaussian(torch.zeros(rows, sizes.state), torch.ones(rows, sizes.state))] * levels
    kl_s, kl_e = ([torch.zeros(())] * levels for _ in range(2))
    found: dict[str, list[Tensor]] = {"change": [], "s": [], "d": [], "code": []}
    for t in range(frames):
        seen = [feature[:, t] for feature in features]
        # f_tem and the prior factor read the states before t and the action before t
        ahead, logit = list(d), [nothing[:, 0]] * levels
        if t:
            for n in range(levels):
                ahead[n] = hierarchy.levels[n].temporal(s[n], a[:, t - 1], h=d[n])
                if n:
                    read = [ahead[n - 1], ahead[n]] if o.factor_sees_below else [ahead[n]]
                    memory[n] = hierarchy.levels[n].factor(*read, h=memory[n])
                    logit[n] = hierarchy.levels[n].factor_logit(memory[n])[:, 0]
        # Bottom-up: is the level below static, so is this one (Eq. 5); else the likelier component (Eq. 4)
        change = [torch.ones(rows, dtype=torch.bool)]
        for n in range(1, levels):
            # levels above as at t - 1: Eq. 25
            moves = log_odds(hierarchy.levels[n], seen[n], context[n], ahead[n], last[n]) > 0
            change.append(change[n - 1] & moves & ~held[:, t, n] if t else change[0])
        # Top-down: posteriors up to the first static level, whose samples are the context below
        for n in reversed(range(levels)):
            level, open_ = hierarchy.levels[n], change[n - 1] if n else change[0]
            q_s = level.post(torch.cat([seen[n], context[n]], -1))
            p_s = level.prior(torch.cat([ahead[n], context[n]], -1))
            static = plain_kl(q_s, last[n]) if t else torch.zeros(rows)
            kl = torch.where(change[n], plain_kl(q_s, p_s), static)  # Eq. 9
            kl_s[n] = kl_s[n] + torch.where(open_, kl, 0.0).sum()
            if n and t:
                kl = kl_divergence(Bernoulli(change[n].float()), Bernoulli(logits=logit[n]))
                kl_e[n] = kl_e[n] + torch.where(open_ & ~held[:, t, n], kl, 0.0).sum()
            s[n] = torch.where(open_[:, None], q_s.mean + q_s.std * noise[:, t, n], s[n])
            last[n] = Gaussian(*(torch.where(open_[:, None], *pair) for pair in zip(q_s, last[n], strict=True)))
            d[n] = torch.where(change[n][:, None], ahead[n], d[n])
            if n:
                context[n - 1] = level.decode_net(torch.cat([s[n], context[n]], -1))
        for name, values in (("change", change), ("s", s), ("d", d)):
            found[name].append(torch.stack(list(values), 1))
        found["code"].append(torch.cat([s[0], context[0]], -1))
    terms = {"image": plain_image(model, x, torch.stack(found.pop("code"), 1))}
    terms |= {"kl_s": torch.stack(kl_s).sum() / (rows * frames), "kl_e": torch.stack(kl_e).sum() / (rows * frames)}
    stacked = {name: torch.stack(values, 1) for name, values in found.items()}
    if model.config.actions:
        n = o.jump_level - 1
        states = torch.cat([stacked["s"][:, :, n], stacked["d"][:, :, n]], -1)
        terms["goal"] = plain_goal(model, states, batch.achieved_goal)
    return Plain(terms, **stacked, kl_s=[kl / (rows * frames) for kl in kl_s])


def log_odds(level: Level, x: Tensor, context: Tensor, ahead: Tensor, last: Gaussian) -> Tensor:
    """E[log p(s | e = 1) - log p(s | e = 0)] under the candidate posterior, minus Eq. 20, (B,); without gradients."""
    with torch.no_grad():
        q = level.post(torch.cat([x, context], -1))
        return plain_kl(q, last) - plain_kl(q, level.prior(torch.cat([ahead, context], -1)))
