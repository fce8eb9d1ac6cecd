"""Where subsequences end: the inference network of m, its structure prior, and COPY or UPDATE between boundaries.

Equations: sections 2.3, 2.4 and 3 ("Sequence Decomposition") of Kim, Ahn and Bengio (2019); symbols as in `hrssm`.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.batch_norm import BatchNorm1d
from world_models.blocks.global_batch import integers
from world_models.blocks.networks import LargeNetwork, mlp
from world_models.interface import ACTIONS
from world_models.shapes import Actions


def starts(m: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Return m_{t-1}, which is 1 where a subsequence starts; m_0 = 1."""
    return F.pad(m[:, :-1], (1, 0), value=1.0)


def copy_or_update(proposal: Float[Tensor, "b t d"], start: Float[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
    """Take the proposal where a subsequence starts (UPDATE), the value before it elsewhere (COPY)."""
    value = torch.zeros_like(proposal[:, 0])
    values = []
    for t in range(proposal.shape[1]):
        value = torch.lerp(value, proposal[:, t], start[:, t, None])
        values.append(value)
    return torch.stack(values, 1)


def too_short(q: Float[Tensor, "b t"], l_min: int) -> Float[Tensor, ""]:
    """Return the expected number of pairs of boundaries, with probabilities q, less than l_min frames apart, per frame.

    Differs from the paper, whose structure prior has no shortest subsequence. Both boundaries of a pair get a gradient,
    so that the one that explains less gives way.
    """
    pairs = q.new_zeros(())
    for apart in range(1, l_min):
        pairs = pairs + (q[:, apart:] * q[:, :-apart]).sum()
    return pairs / q.numel()


def random_boundaries(like: Float[Tensor, "b t"], rate: float, l_min: int) -> Float[Tensor, "b t"]:
    """Sample boundaries of subsequences whose lengths are uniform, at least l_min and 1 / rate on average.

    Differs from the paper, which samples m from q(m) only.

    Args:
        like: has the shape, type and device of the result.
        rate: share of frames that end a subsequence, at most 1 / l_min.
        l_min: shortest subsequence, in frames; the first one began before the window and may be cut.
    """
    b, t = like.shape
    longest = max(l_min, round(2 / rate) - l_min)
    lengths = integers(l_min, longest + 1, (b, t), like.device)
    ends = lengths.cumsum(1) - integers(1, longest + 1, (b, 1), like.device)
    outside = (ends < 0) | (ends >= t)
    return like.new_zeros(b, t + 1).scatter_(1, ends.masked_fill(outside, t), 1.0)[:, :t]


def rollout_frames(m: Float[Tensor, "b t"], context: int, lookahead: int, horizon: int) -> tuple[Tensor, ...]:
    """Start each row's rollout at its first boundary that ends a full context, or at a random frame if there is none.

    The rollout may start up to `lookahead` frames after a full context.

    Returns:
        Indices of the rows, (B, 1), and of frames: the context, every t - 1 and every t of the `horizon` frames.
    """
    near = m[:, context - 1 : context + lookahead]
    anywhere = integers(0, near.shape[1], near.shape[:1], m.device)
    begin = context - 1 + torch.where(near.any(1), near.argmax(1), anywhere)[:, None]
    rows = torch.arange(len(m), device=m.device)[:, None]
    before = begin + torch.arange(horizon, device=m.device)
    return rows, begin + torch.arange(1 - context, 1, device=m.device), before, before + 1


def frames_since(start: Float[Tensor, "b t"]) -> Int64[Tensor, "b t"]:
    """Count the frames since the current subsequence started, 0 where it does."""
    t = torch.arange(start.shape[1], device=start.device).expand_as(start)
    return t - torch.where(start > 0.5, t, 0).cummax(1).values


def boundary_prior(
    p: Float[Tensor, "b t"], m: Float[Tensor, "b t"], n_max: int, l_max: int, forced: float
) -> Float[Tensor, "b t"]:
    """Return p(m_t = 1 | s_t, m_{<t}) of hard boundaries m (section 2.3).

    It is forced to 0 where n(m_{<t}) >= n_max, else to 1 where l(m_{<t}) >= l_max, else it is the network's p; the
    distance `forced` is kept from 0 and 1, so that its KL stays finite.
    """
    start = starts(m)
    n = start.cumsum(1)
    length = frames_since(start) + 1
    p = torch.where(length >= l_max, 1 - forced, p.clamp(forced, 1 - forced))
    return torch.where(n >= n_max, forced, p)


def relaxed_kl(
    q_logit: Float[Tensor, "b t"], p: Float[Tensor, "b t"], noise: Float[Tensor, "b t"]
) -> Float[Tensor, "b t"]:
    """Log ratio of the densities of relaxed boundaries under q and p, at the sample that the logistic noise makes of q.

    Differs from the paper's text, whose m is discrete. A relaxed boundary is sigmoid((logit + noise) / temperature)
    with logistic noise (Maddison et al. 2017); the ratio of two such densities at logit(q) + noise does not depend on a
    temperature they share, and its mean, unlike the KL of what is discrete, grows with the distance of the logits.
    """
    apart = q_logit - torch.logit(p)
    return apart + 2 * (F.softplus(-apart - noise) - F.softplus(-noise))


def decisions(
    a: Float[Tensor, "b t actions"], choice: Bool[Tensor, "b t"], m: Float[Tensor, "b t"]
) -> Float[Tensor, "b t actions"]:
    """Return at each frame the first of the actions a at a choice from there to its subsequence's end; 0 if none is.

    Args:
        a: actions as one-hot vectors.
        choice: whether more than one action is legal.
        m: 1 where a subsequence ends; the last frame ends one.
    """
    t = torch.arange(a.shape[1], device=a.device).expand_as(m)
    last = a.shape[1] - 1
    choice_at, end_at = (
        torch.where(here, t, last + beyond).flip(1).cummin(1).values.flip(1)
        for here, beyond in ((choice, 1), (m > 0.5, 0))
    )
    chosen = a.gather(1, choice_at.clamp(max=last)[..., None].expand_as(a))
    return chosen * (choice_at <= end_at)[..., None]


class BoundaryNet(LargeNetwork):
    """Three convolutions over time (kernel 3, ELU) and an output layer (paper, "Sequence Decomposition")."""

    def __init__(self, inputs: int, hidden: int, causal: bool, batch_norm: bool = False) -> None:
        """Map (B, T, inputs) to logits (B, T).

        Args:
            inputs: features of a frame.
            hidden: features of each layer.
            causal: each logit reads only its own and earlier frames.
            batch_norm: features are normalised before each ELU, and the logits are about 0 at first.
        """
        super().__init__()
        self.padding = (2, 0) if causal else (1, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, hidden, 3, bias=not batch_norm) for width in (inputs, hidden, hidden)
        )
        self.norms = nn.ModuleList(BatchNorm1d(hidden) if batch_norm else nn.Identity() for _ in self.layers)
        self.out = nn.Linear(hidden, 1)
        if batch_norm:
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "b t inputs"]) -> Float[Tensor, "b t"]:
        """Return the logits."""
        return self.apply_large(self._logits, x)

    def _logits(self, x: Tensor) -> Tensor:
        rows, frames = x.shape[:2]
        x = x.transpose(0, 1).flatten(0, 1)  # time-major: the frames before and after are slices of the same rows
        for layer, norm in zip(self.layers, self.norms, strict=True):
            # three products per layer: faster than convolutions on a CPU (experiments/LOG.md, 31)
            assert isinstance(layer, nn.Conv1d)
            padded = F.pad(x, (0, 0, *(rows * side for side in self.padding)))
            before, now, after = (padded[rows * k : rows * (k + frames)] for k in range(3))
            w_before, w_now, w_after = layer.weight.permute(2, 1, 0)
            first = before @ w_before if layer.bias is None else torch.addmm(layer.bias, before, w_before)
            x = F.elu(norm(torch.addmm(torch.addmm(first, now, w_now), after, w_after)))
        return self.out(x).view(frames, rows).t()


class ForeseenActions(nn.Module):
    """Actions within a subsequence should follow from its abstraction; those that do not belong at a boundary.

    Differs from the paper. The abstraction's transition reads only the action at a boundary, so every other action
    should be predictable from the imagined abstraction and the frames since the subsequence started. Surprising actions
    move boundaries to where the agent chooses, and to turns that the abstraction does not contain yet. (An option
    follows its own policy until it ends: Sutton, Precup and Singh 1999.)
    """

    def __init__(self, size: int, hidden: int, longest: int, actions: int = ACTIONS) -> None:
        """Predict actions from abstractions of `size`; times beyond `longest` frames count as `longest`."""
        super().__init__()
        self.longest = longest
        self.net = mlp(size + longest + 1, hidden, actions)

    def forward(
        self, state: Float[Tensor, "b t d"], start: Float[Tensor, "b t"], m: Float[Tensor, "b t"], action: Actions
    ) -> Float[Tensor, ""]:
        """Return the negative log-likelihood per frame of the actions taken where no subsequence ends.

        Args:
            state: imagined (z, c) at each frame.
            start: 1 where a subsequence starts; carries no gradient.
            m: 1 where one ends; the gradient raises it where the action is surprising.
            action: taken after each frame.
        """
        since = frames_since(start).clamp(max=self.longest)
        logit = self.net(torch.cat([state, F.one_hot(since, self.longest + 1).to(state.dtype)], -1))
        surprise = F.cross_entropy(logit.flatten(0, 1), action.flatten(), reduction="none").view_as(m)
        return ((1 - m) * surprise).mean()
