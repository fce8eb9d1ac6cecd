"""One level of a Dynamic Latent Hierarchy: its networks (Eq. 10 to 15)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.distributions import Gaussian, GaussianHead
from world_models.blocks.networks import GRU, mlp
from world_models.dlh.options import DLHSizes


class Level(nn.Module):
    """The networks of level n; symbols as in `dlh`.

    Args:
        sizes: of the networks (Table 4).
        actions: width of an action's code; 0: the temporal path reads no actions.
        bottom: it has neither f_dec nor a prior factor: the frames' decoder is its own, and it always changes.
        top: it has no f_enc: there is no level above.
        factor_reads: input width of its prior factor.
        begins_with_features: d^n is read from x^n where a sequence begins; otherwise it is 0 there.
    """

    def __init__(
        self, sizes: DLHSizes, actions: int, bottom: bool, top: bool, factor_reads: int, begins_with_features: bool
    ) -> None:
        super().__init__()
        d, belief, state = sizes.embedding, sizes.belief, sizes.state
        self.bottom = bottom
        if not top:
            self.encode = mlp(d, d, d)  # x^{n+1} = f_enc(x^n), Eq. 10
        if not bottom:
            self.decode_net = mlp(state + belief, belief, belief)  # Eq. 11
            self.factor = GRU(factor_reads, belief)  # Eq. 15
            self.factor_logit = nn.Linear(belief, 1)
        if begins_with_features:
            self.first = nn.Sequential(nn.Linear(d, belief), nn.Tanh())
        self.temporal = GRU(state + actions, belief)  # f_tem, Eq. 12
        self.post = GaussianHead(d + belief, sizes.hidden, state, layers=3)
        self.prior = GaussianHead(2 * belief, sizes.hidden, state, layers=3)

    def decode(self, s: Float[Tensor, "*b s"], context: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """Return c^{n-1} = f_dec(s^n, c^n), Eq. 11."""
        return self.decode_net(torch.cat([s, context], -1))

    def posterior(self, x: Float[Tensor, "*b d"], context: Float[Tensor, "*b c"]) -> Gaussian:
        """Return q(s^n | x^n, c^n), Eq. 13."""
        return self.post(torch.cat([x, context], -1))

    def change_prior(self, d: Float[Tensor, "*b d"], context: Float[Tensor, "*b c"]) -> Gaussian:
        """Return p(s^n | d^n, c^n), Eq. 14: the mixture's component for a change."""
        return self.prior(torch.cat([d, context], -1))

    def advance(
        self, s: Float[Tensor, "b s"], a: Float[Tensor, "b a"], d: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b d"]:
        """Return f_tem(s^n_{t-1}, d^n_{t-1}), Eq. 12, given the code of a_{t-1}: d^n_t if the level changes at t."""
        return self.temporal(s, a, h=d)

    def begin(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b c"]:
        """Return d^n where a sequence begins."""
        return self.first(x) if hasattr(self, "first") else x.new_zeros(*x.shape[:-1], self.temporal.recur.in_features)

    def tick(
        self, read: Float[Tensor, "b r"], memory: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
        """Advance the prior factor by one step; return its memory and the logit of p(e^n_t = 1 | d^n_t), Eq. 15."""
        memory = self.factor(read, h=memory)
        return memory, self.factor_logit(memory).squeeze(-1)

    # ---------------------------------------------------------------- over all frames

    def temporal_path(
        self,
        s_before: Float[Tensor, "b t s"],
        a: Float[Tensor, "b t a"],
        change: Bool[Tensor, "b t"],
        start: Bool[Tensor, "b t"],
        x: Float[Tensor, "b t x"],
        masked: bool,
    ) -> tuple[Float[Tensor, "b t d"], Float[Tensor, "b t d"]]:
        """Apply `advance` over time: f_tem ticks where the level changes, and only these frames are scanned.

        All frames are scanned, the others last, if no shape may depend on the changes (`masked`, as in `rows`).

        `change`, e^n_t, is true in the first frame and at `start`, where a sequence begins as in `begin`. Returns d^n_t
        if the level changes at t, as its priors know it: 0 where a sequence begins; and d^n_t.
        """
        inputs, begins, first = torch.cat([s_before, a], -1), start.to(s_before.dtype), self.begin(x)
        if self.bottom or (not masked and bool(change.all())):
            d = self.temporal.scan(inputs, init=(first, begins))
            return torch.where(start[..., None], 0, d), d
        most = change.shape[1] if masked else int(change.sum(1).max())
        frame = change.byte().argsort(dim=1, descending=True, stable=True)[:, :most]  # changes first
        init = first.take_along_dim(frame[..., None], 1), begins.gather(1, frame)
        d = self.temporal.scan(inputs.take_along_dim(frame[..., None], 1), init=init)
        d = d.take_along_dim(change.cumsum(1)[..., None] - 1, 1)
        d_before = F.pad(d[:, :-1], (0, 0, 1, 0))
        ahead = self.temporal(inputs.flatten(0, 1), h=d_before.flatten(0, 1)).view_as(d)
        return torch.where(start[..., None], 0, ahead), d

    def factor_path(
        self, read: Float[Tensor, "b t r"], start: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t d"], Float[Tensor, "b t"]]:
        """Apply `tick` over time; the memory is empty where a sequence begins."""
        nothing = read.new_zeros(*start.shape, self.factor.recur.in_features)
        memory = self.factor.scan(read, init=(nothing, start.to(read.dtype)))
        return memory, self.factor_logit(memory).squeeze(-1)
