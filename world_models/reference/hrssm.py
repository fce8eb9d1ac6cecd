"""The HRSSM's loss as loops over frames, written from sections 2.3 to 3 of Kim et al. 2019.

Where the paper chooses by m (COPY or UPDATE, UPDATE or INIT, reset or not), the choice is a sum weighted by m and
1 - m, through which straight-through gradients reach q(m).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, kl_divergence
from torch.nn import functional as F

from world_models.blocks.distributions import logistic_like, straight_through_bernoulli
from world_models.blocks.networks import one_hot_actions
from world_models.hrssm.hrssm import HRSSM
from world_models.interface import Batch
from world_models.reference.loops import plain_contrast, plain_frames, plain_goal, plain_image, plain_kl, plain_legal


class Samples(NamedTuple):
    """What `HRSSM.loss` samples, in its order, and what follows from it at once."""

    length: Tensor  # of the context, (B,)
    x: Tensor  # frames as floats, context and lookahead included
    e: Tensor  # their embeddings
    logit: Tensor  # of q(m)
    noise: Tensor  # logistic noise of the boundaries
    m: Tensor  # boundaries
    z: Tensor  # standard normals of q(z), (B, T, Dz)
    s: Tensor  # standard normals of q(s), (B, T, Ds)


def sample(model: HRSSM, batch: Batch, step: int) -> Samples:
    """Sample as `HRSSM.loss` does."""
    o, sizes = model.config.options, model.config.sizes
    rows = len(batch.action)
    length = torch.randint(1, o.context + 1, (rows,), device=batch.action.device)
    x = plain_frames(model, batch)
    e = model.encoder(x)
    logit = model.boundary_logit(e, batch.action)
    noise = logistic_like(logit)
    m = straight_through_bernoulli(logit, model.temperature(step), noise)
    z, s = (
        torch.randn(rows, o.window, sizes.abstraction, device=batch.action.device),
        torch.randn(rows, o.window, sizes.state, device=batch.action.device),
    )
    return Samples(length, x, e, logit, noise, m, z, s)


def plain_loss(model: HRSSM, batch: Batch, step: int) -> dict[str, Tensor]:
    """See `world_models.reference`."""
    o = model.config.options
    given = sample(model, batch, step)
    terms, states = plain_bound(model, batch, given, step)
    q = torch.sigmoid(given.logit)
    if o.short_weight:
        pairs = [q[:, apart:] * q[:, :-apart] for apart in range(1, o.l_min)]
        terms["short"] = torch.stack([pair.sum() for pair in pairs]).sum() / q.numel()
    if o.rate_weight:
        terms["rate"] = kl_divergence(Bernoulli(q.mean()), Bernoulli(torch.tensor(o.boundary_rate, device=q.device)))
    if o.imagination_weight is not None:
        return terms | plain_imagination(model, batch, given, step)
    return terms | {"goal": plain_goal(model, states, batch.achieved_goal[:, o.context : o.context + o.window])}


def plain_bound(model: HRSSM, batch: Batch, given: Samples, step: int) -> tuple[dict[str, Tensor], Tensor]:
    """Terms of the windows, averaged over frames and rows, and the states (z, c), (B, T, ...)."""
    o, sizes = model.config.options, model.config.sizes
    b, first = len(batch.action), o.context
    fields = (given.x, given.e, given.logit, given.noise, given.m)
    x, e, logit, noise, m = (field[:, : first + o.window] for field in fields)
    c = psi_forward = psi_backward = phi = h = torch.zeros(b, sizes.belief, device=m.device)
    for t in range(first):
        counts = (t >= first - given.length)[:, None]
        c = counts * model.context_rnn(e[:, t], h=c)
        psi_forward = counts * model.psi_forward(e[:, t], h=psi_forward)
    backward: list[Tensor] = []
    for t in reversed(range(first, first + o.window)):
        psi_backward = model.psi_backward(e[:, t], h=(1 - m[:, t, None]) * psi_backward)
        backward.insert(0, psi_backward)

    z, s = torch.zeros(b, sizes.abstraction, device=m.device), torch.zeros(b, sizes.state, device=m.device)
    n = frames = torch.ones(b, device=m.device)  # subsequences so far; frames of the current one
    samples: list[Tensor] = []
    kl_s, kl_z, kl_m, states = [], [], [], []
    for k, t in enumerate(range(first, first + o.window)):
        start = m[:, t - 1, None] if k else torch.ones(b, 1, device=m.device)  # m_{t-1}; m_0 = 1
        # temporal abstraction: UPDATE where m_{t-1} = 1, else COPY
        c = start * model.z_rnn(z, plain_jump_action(model, batch, m, t), h=c) + (1 - start) * c
        q_z = model.post_z(torch.cat([psi_forward, backward[k]], -1))  # psi_fwd at t - 1, psi_bwd at t
        z = start * (q_z.mean + q_z.std * given.z[:, k]) + (1 - start) * z
        weight = start if o.weight_moves_boundaries else start.detach()
        kl_z.append(weight[:, 0] * plain_kl(q_z, model.prior_z(c)))
        # observation abstraction: INIT where m_{t-1} = 1, else UPDATE
        known = torch.cat([z, c], -1) if o.init_sees_belief else z
        below = torch.cat([z, c], -1) if o.below_sees_belief else z
        h = start * model.s_init(known) + (1 - start) * model.s_rnn(s, below, h=h)
        phi = model.phi_forward(e[:, t], h=(1 - start) * phi)
        q_s = model.post_s(torch.cat([phi, below], -1))
        s = q_s.mean + q_s.std * given.s[:, k]
        kl_s.append(plain_kl(q_s, model.prior_s(h)))
        late = 0.0 if step < o.belief_from else 1.0
        shown = torch.cat([s, late * h], -1) if o.frames_see_belief else s
        told = torch.cat([s, h], -1) if o.frames_see_belief else s
        p_m = plain_boundary_prior(model, told, n, frames)
        if o.relaxed_kl_m:
            kl_m.append(plain_relaxed_kl(logit[:, t], p_m, noise[:, t], model.temperature(step)))
        else:
            kl_m.append(kl_divergence(Bernoulli(logits=logit[:, t]), Bernoulli(p_m)))
        ends = m[:, t].detach() > 0.5
        n, frames = n + ends, torch.where(ends, 1, frames + 1)
        samples.append(shown)
        states.append(torch.cat([z, c], -1))
        psi_forward = model.psi_forward(e[:, t], h=psi_forward)
    terms = {"image": plain_image(model, x[:, first:], torch.stack(samples, 1))}
    terms |= {name: torch.stack(kl).mean() for name, kl in (("kl_s", kl_s), ("kl_z", kl_z), ("kl_m", kl_m))}
    return terms, torch.stack(states, 1)


def plain_jump_action(model: HRSSM, batch: Batch, m: Tensor, t: int) -> Tensor:
    """The action, one-hot (B, A), that a subsequence which starts at t is conditioned on."""
    o, a = model.config.options, one_hot_actions(batch.action)
    if o.jump_action != "decision":
        return a[:, t - 1 if o.jump_action == "before" else t]
    chosen = torch.zeros_like(a[:, t])
    for row in range(len(a)):
        for frame in range(t, o.context + o.window):
            if batch.action_mask[row, frame].sum() > 1:
                chosen[row] = a[row, frame]
                break
            if m[row, frame] > 0.5:
                break
    return chosen


def plain_boundary_prior(model: HRSSM, told: Tensor, n: Tensor, frames: Tensor) -> Tensor:
    """p(m_t = 1 | s_t, m_{<t}) of section 2.3, (B,): n subsequences so far, `frames` of the current one, t included."""
    o = model.config.options
    p = torch.sigmoid(model.prior_m(told))[:, 0].clamp(o.forced, 1 - o.forced)
    p = torch.where(frames >= o.l_max, 1 - o.forced, p)
    return torch.where(n >= o.n_max, o.forced, p)


def plain_relaxed_kl(q_logit: Tensor, p: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Log ratio of the densities of relaxed boundaries (Maddison et al. 2017, Eq. 23, in logits), (B,)."""
    relaxed = (q_logit + noise) / temperature
    ratio = torch.zeros_like(noise)
    for sign, logit in ((1, q_logit), (-1, torch.logit(p))):
        away = logit - temperature * relaxed
        ratio = ratio + sign * (away - 2 * F.softplus(away))
    return ratio


def plain_imagination(model: HRSSM, batch: Batch, given: Samples, step: int) -> dict[str, Tensor]:
    """Imagine the jumps taken, from the first boundary on at which a context can end; that frame counts too."""
    o, sizes, e, m = model.config.options, model.config.sizes, given.e, given.m
    b, first = len(batch.action), o.context - 1
    rows = torch.arange(b, device=m.device)
    begin = torch.randint(o.lookahead + 1, (b,), device=m.device)  # where there is none, anywhere
    for t in reversed(range(o.lookahead + 1)):
        begin = torch.where(m[:, first + t] > 0.5, t, begin)
    begin = begin + first
    length = torch.randint(1, o.context + 1, (b,), device=m.device)
    sampled = o.samples_from is not None and step >= o.samples_from
    noise = torch.zeros(b, o.horizon, sizes.abstraction, device=m.device)
    if sampled:
        noise.normal_()
    picked = torch.rand(b, o.horizon, device=m.device).argsort(1)[:, : o.contrast_frames]
    c = torch.zeros(b, sizes.belief, device=m.device)
    for t in range(-first, 1):  # the context ends at `begin`
        c = (t > -length)[:, None] * model.context_rnn(e[rows, begin + t], h=c)
    z = torch.zeros(b, sizes.abstraction, device=m.device)
    since = torch.zeros(b, dtype=torch.int64, device=m.device)  # frames since the subsequence began
    states, errors, ends, surprises = [torch.cat([z, c], -1)], [], [], []
    for t in range(1, o.horizon + 1):
        here = begin + t
        start = m[rows, here - 1, None] if t > 1 else torch.ones(b, 1, device=m.device)
        jumped = model.z_rnn(z, one_hot_actions(batch.action[rows, here - 1]), h=c)
        p_z = model.prior_z(jumped)
        z = start * (p_z.mean + p_z.std * noise[:, t - 1]) + (1 - start) * z
        c = start * jumped + (1 - start) * c
        states.append(torch.cat([z, c], -1))
        since = torch.where(start[:, 0] > 0.5, 0, since + 1)
        known = torch.cat([states[-1], F.one_hot(since.clamp(max=o.l_max), o.l_max + 1)], -1)
        surprise = F.cross_entropy(model.foreseen_actions.net(known), batch.action[rows, here], reduction="none")
        surprises.append((1 - m[rows, here]) * surprise)
        ends.append(m[rows, here].detach())
        errors.append(ends[-1] * plain_legal(model, states[-1], batch.action_mask[rows, here]))
    crop = batch.achieved_goal[rows[:, None], begin[:, None] + torch.arange(o.horizon + 1, device=m.device)]
    contrast = plain_contrast(model, states, crop, picked)
    legal = torch.stack(errors).sum() / torch.stack(ends).sum()
    states_drawn, m_drawn = torch.stack(states[1:], 1).detach(), torch.stack(ends, 1)
    drawn = plain_drawn(model, given.x, begin + 1, states_drawn, m_drawn, sampled)
    return {"contrast": contrast, "action": torch.stack(surprises).mean(), "legal": legal} | drawn


def plain_drawn(model: HRSSM, x: Tensor, begin: Tensor, states: Tensor, m: Tensor, sampled: bool) -> dict[str, Tensor]:
    """Draw imagined subsequences, one after the other.

    `states` and m, (B, T, ...), begin at the frames `begin` of x.
    """
    o, sizes = model.config.options, model.config.sizes
    jumps = [(b, t) for b in range(len(m)) for t in range(m.shape[1]) if t == 0 or m[b, t - 1] > 0.5]
    noise = torch.randn(*m.shape, sizes.state if sampled else sizes.abstraction, device=m.device)
    noise = torch.stack([noise[jump] for jump in jumps])
    z, c = torch.stack([states[jump] for jump in jumps]).split((sizes.abstraction, sizes.belief), -1)
    if not sampled:
        p_z = model.prior_z(c)
        z = (p_z.mean + p_z.std * noise).detach()
    h = model.s_init(torch.cat([z, c], -1) if o.init_sees_belief else z)
    p_s = model.prior_s(h)
    s = p_s.mean + p_s.std * noise if sampled else p_s.mean

    def error(b: int, t: int, h: Tensor, s: Tensor) -> Tensor:
        frame = model.decoder(model.shown(h, s)[None, None])[0, 0]
        return (x[b, begin[b] + t] - frame).square().sum() / (2 * o.sigma**2)

    firsts = [error(b, t, h[i], s[i]) for i, (b, t) in enumerate(jumps)]
    terms = {"frame": torch.stack(firsts).mean()}
    if o.subsequence_weight is None:
        return terms
    whole = [i for i, (_, t) in enumerate(jumps) if t + o.l_max <= m.shape[1]]
    lot = torch.rand(m.shape, device=m.device)
    chosen = sorted(whole, key=lambda i: float(lot[jumps[i]]), reverse=True)[: o.subsequences]
    rest = (torch.randn if sampled else torch.zeros)(*m.shape, o.l_max - 1, sizes.state, device=m.device)
    later: list[Tensor] = []
    ends: list[Tensor] = []
    for i in chosen:
        b, t = jumps[i]
        below, h_k, s_k = model.abstract(z[i], c[i])[None], h[i : i + 1], s[i : i + 1]
        for k in range(o.l_max):
            if k:
                h_k = model.s_rnn(s_k, below, h=h_k)
                p_s = model.prior_s(h_k)
                s_k = p_s.mean + p_s.std * rest[b, t, k - 1]
                later.append(error(b, t + k, h_k[0], s_k[0]))
            if k + 1 >= o.l_min:
                logit = model.end_logit(h_k, s_k)[0]
                ends.append(F.binary_cross_entropy_with_logits(logit, m[b, t + k]))
            if m[b, t + k] > 0.5:
                break
    means = [torch.stack(errors).mean() if errors else torch.tensor(0.0, device=m.device) for errors in (later, ends)]
    return terms | {"subsequence": means[0] + means[1]}
