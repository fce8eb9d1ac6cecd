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
from world_models.reference.loops import plain_contrast, plain_frames, plain_goal, plain_image, plain_kl, plain_legal


class Walk(NamedTuple):
    """What the loops find in sequences without padding."""

    change: Tensor
    """e, (B, T, N)"""
    s: Tensor
    """(B, T, N, Ds)"""
    d: Tensor
    """(B, T, N, Dd)"""
    context: Tensor
    """c, (B, T, N, Dd)"""
    surprise: Tensor
    """of a_{t-1}, (B, T); 0 without such a network"""
    kl_s: list[Tensor]
    """Eq. 8b of each level, averaged over frames and rows"""
    kl_e: list[Tensor]
    """Eq. 8c, likewise"""


class Plain(NamedTuple):
    """Terms of the loss, and the loops behind them."""

    terms: dict[str, Tensor]
    walk: Walk


def plain_loss(model: DLH, batch: Batch, step: int) -> dict[str, Tensor]:
    """See `world_models.reference`."""
    return plain(model, batch, step).terms


def plain(model: DLH, batch: Batch, step: int) -> Plain:
    """Terms of the loss, and the states behind them."""
    o = model.config.options
    (rows, frames), levels = batch.action.shape, o.levels
    x = plain_frames(model, batch)
    e = model.encoder(x)
    frames = min(frames, o.window)  # of the bound
    noise = torch.randn(rows, frames, levels, model.config.sizes.state, device=e.device)
    hold = o.hold * max(0.0, 1 - step / o.hold_steps)
    held = torch.rand_like(noise[..., 0]) < hold if hold else torch.zeros_like(noise[..., 0], dtype=torch.bool)
    walk = plain_walk(model, e[:, :frames], batch.action, noise, held)
    code = torch.cat([walk.s[:, :, 0], walk.context[:, :, 0]], -1)
    terms = {"image": plain_image(model, x[:, :frames], code)}
    terms |= {"kl_s": torch.stack(walk.kl_s).sum(), "kl_e": torch.stack(walk.kl_e).sum()}
    if hasattr(model.hierarchy, "foreseen"):
        _, surprise = plain_features(model, e, one_hot_actions(batch.action, model.hierarchy.actions))
        terms["action"] = surprise.mean()
    if model.config.actions and o.imagination_weight is None:
        n = o.jump_level - 1
        terms["goal"] = plain_goal(
            model, torch.cat([walk.s[:, :, n], walk.d[:, :, n]], -1), batch.achieved_goal[:, :frames]
        )
    elif model.config.actions:
        terms |= plain_imagination(model, batch, e, surprise > o.foreseen_nats)
    return Plain(terms, walk)


def plain_features(model: DLH, e: Tensor, a: Tensor) -> tuple[list[Tensor], Tensor]:
    """x^1 to x^N, and the surprise of a_{t-1}, given the codes of a_t."""
    hierarchy, x, surprise = model.hierarchy, [e], [e.new_zeros(len(e))]
    for n in range(model.config.options.levels - 1):
        x.append(hierarchy.levels[n].encode(x[-1]))
        if n == 0 and hasattr(hierarchy, "memory"):
            remembered, h = [], torch.zeros_like(x[1][:, 0])
            for t in range(e.shape[1]):
                before = a[:, t - 1] if t else torch.zeros_like(a[:, 0])
                h = hierarchy.memory(x[1][:, t], before, h=h)
                remembered.append(h)
            x[1] = torch.stack(remembered, 1)
    for t in range(1, e.shape[1]):
        if hasattr(hierarchy, "foreseen"):
            p = torch.softmax(hierarchy.foreseen(x[1][:, t - 1]), -1)
            surprise.append(-(p * a[:, t - 1]).sum(-1).log())
        else:
            surprise.append(surprise[0])
    return x, torch.stack(surprise, 1)


def plain_walk(model: DLH, e: Tensor, action: Tensor, noise: Tensor, held: Tensor) -> Walk:
    """Algorithm 1 over embedded frames, their actions and the standard normals of the states."""
    o, sizes, hierarchy = model.config.options, model.config.sizes, model.hierarchy
    (rows, frames), levels = e.shape[:2], o.levels
    a = one_hot_actions(action, hierarchy.actions)
    features, surprise = plain_features(model, e, a)
    nothing = e.new_zeros(rows, sizes.belief)
    s, d, memory = ([e.new_zeros(rows, size)] * levels for size in (sizes.state, sizes.belief, sizes.belief))
    context = [hierarchy.top_context.expand(rows, -1)] * levels
    last = [Gaussian(s[0], torch.ones_like(s[0]))] * levels
    kl_s, kl_e = ([e.new_zeros(())] * levels for _ in range(2))
    found: dict[str, list[Tensor]] = {"change": [], "s": [], "d": [], "context": []}
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
        change = [torch.ones(rows, dtype=torch.bool, device=e.device)]
        for n in range(1, levels):
            # levels above as at t - 1: Eq. 25
            odds = log_odds(hierarchy.levels[n], seen[n], context[n], ahead[n], last[n])
            odds = torch.where(held[:, t, n], 0.0, odds)
            if n + 1 == o.jump_level and hasattr(hierarchy, "foreseen"):
                odds = odds + o.surprise_weight * (surprise[:, t] - o.foreseen_nats)
            change.append(change[n - 1] & (odds > 0) if t else change[0])
        # Top-down: posteriors up to the first static level, whose samples are the context below
        for n in reversed(range(levels)):
            level, open_ = hierarchy.levels[n], change[n - 1] if n else change[0]
            q_s = level.post(torch.cat([seen[n], context[n]], -1))
            p_s = level.prior(torch.cat([ahead[n], context[n]], -1))
            static = plain_kl(q_s, last[n]) if t else e.new_zeros(rows)
            kl = torch.where(change[n], plain_kl(q_s, p_s), static)  # Eq. 9
            kl_s[n] = kl_s[n] + torch.where(open_, kl, 0.0).sum()
            if n and t:
                kl = kl_divergence(Bernoulli(change[n].float()), Bernoulli(logits=logit[n]))
                kl_e[n] = kl_e[n] + torch.where(open_ & ~held[:, t, n], kl, 0.0).sum()
            s[n] = torch.where(open_[:, None], q_s.mean + q_s.std * noise[:, t, n], s[n])
            last[n] = Gaussian(*(torch.where(open_[:, None], *pair) for pair in zip(q_s, last[n], strict=True)))
            d[n] = torch.where(change[n][:, None], ahead[n], d[n])
            if not t and hasattr(level, "first"):  # known to what follows, not to this frame's prior
                d[n] = level.first(seen[n])
            if n:
                context[n - 1] = level.decode_net(torch.cat([s[n], context[n]], -1))
        for name, values in (("change", change), ("s", s), ("d", d), ("context", context)):
            found[name].append(torch.stack(list(values), 1))
    kl_s, kl_e = ([kl / (rows * frames) for kl in kls] for kls in (kl_s, kl_e))
    stacked = {name: torch.stack(values, 1) for name, values in found.items()}
    return Walk(**stacked, surprise=surprise, kl_s=kl_s, kl_e=kl_e)


def plain_imagination(model: DLH, batch: Batch, e: Tensor, change: Tensor) -> dict[str, Tensor]:
    """Imagine a change after each choice, from the first one on at which a context can end; that frame counts too."""
    o, n = model.config.options, model.config.options.jump_level - 1
    level, (b, frames), first = model.hierarchy.levels[n], change.shape, o.context - 1
    horizon = min(o.horizon, frames - o.context)
    spare = frames - o.context - horizon
    begin = torch.randint(spare + 1, (b,), device=e.device)  # where there is none, anywhere
    for t in reversed(range(spare + 1)):
        begin = torch.where(change[:, first + t + 1], t, begin)
    begin = begin + first
    length = torch.randint(1, o.context + 1, (b,), device=e.device)
    picked = torch.rand(b, horizon, device=e.device).argsort(1)[:, : o.contrast_frames]
    states, ends, errors = [], [], []  # one row after the other
    for row, last in enumerate(begin.tolist()):
        context = e[row, last + 1 - length[row] : last + 1][None]
        size = context.shape[1], o.levels
        noise = e.new_zeros(1, *size, model.config.sizes.state)
        held = torch.zeros_like(noise[..., 0], dtype=torch.bool)
        before = batch.action[row, last + 1 - length[row] : last + 1][None]
        s, d, above = plain_belief(model, context, before, plain_walk(model, context, before, noise, held))
        its = [torch.cat([s, d], -1)[0]]
        for t in range(last + 1, last + 1 + horizon):
            if change[row, t] or t == last + 1:
                d = level.temporal(s, one_hot_actions(batch.action[row, t - 1, None], 3), h=d)
                s = level.prior(torch.cat([d, above], -1)).mean
            its.append(torch.cat([s, d], -1)[0])
            if o.legal_weight is not None and t + 1 < frames and change[row, t + 1]:
                ends.append(1.0)
                errors.append(plain_legal(model, its[-1], batch.action_mask[row, t]))
        states.append(torch.stack(its))
    crop = batch.achieved_goal[
        torch.arange(b, device=e.device)[:, None], begin[:, None] + torch.arange(horizon + 1, device=e.device)
    ]
    terms = {"contrast": plain_contrast(model, list(torch.stack(states).unbind(1)), crop, picked)}
    return terms if o.legal_weight is None else terms | {"legal": torch.stack(errors).sum() / len(ends)}


def plain_belief(model: DLH, e: Tensor, action: Tensor, walk: Walk) -> tuple[Tensor, Tensor, Tensor]:
    """s^n, d^n and c^n of level `jump_level` after a walk over embedded frames, (B, ...)."""
    hierarchy, n = model.hierarchy, model.config.options.jump_level - 1
    s, d, above = walk.s[:, -1, n], walk.d[:, -1, n], walk.context[:, -1, n]
    if not hasattr(hierarchy.levels[n], "first"):
        return s, d, above
    features, _ = plain_features(model, e, one_hot_actions(action, hierarchy.actions))
    above = hierarchy.top_context.expand(len(e), -1)
    for k in reversed(range(n, model.config.options.levels)):  # these levels begin anew
        level, x = hierarchy.levels[k], features[k][:, -1]
        s, d, context = level.post(torch.cat([x, above], -1)).mean, level.first(x), above
        above = level.decode_net(torch.cat([s, context], -1))
    return s, d, context


def log_odds(level: Level, x: Tensor, context: Tensor, ahead: Tensor, last: Gaussian) -> Tensor:
    """E[log p(s | e = 1) - log p(s | e = 0)] under the candidate posterior, minus Eq. 20, (B,); without gradients."""
    with torch.no_grad():
        q = level.post(torch.cat([x, context], -1))
        return plain_kl(q, last) - plain_kl(q, level.prior(torch.cat([ahead, context], -1)))
