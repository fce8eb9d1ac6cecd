"""The CW-VAE's loss as a loop over frames and, at each, over the levels whose clocks tick, with the model's own layers.

It proves the fast loss. Rows of a batch go side by side; frames are encoded and decoded together, since batch norm
counts all of them.
"""

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from world_models.blocks.images import to_float
from world_models.cwvae import CWVAE
from world_models.interface import Batch
from world_models.reference.loops import rnn


def plain_loss(model: CWVAE, batch: Batch, step: int) -> dict[str, Tensor]:
    """Unweighted terms; draws the same noise as `CWVAE.loss` in the same order. A CW-VAE does not look at the step."""
    o, sizes = model.config.options, model.config.sizes
    b, frames = batch.action.shape
    x = to_float(batch.observation).contiguous()
    e = model.encoder(x)
    periods = [o.factor**number for number in range(o.levels)]
    noise = [torch.randn(b, -(-frames // period), sizes.state) for period in reversed(periods)][::-1]
    h = [torch.zeros(b, sizes.belief) for _ in periods]
    z = [torch.zeros(b, sizes.state) for _ in periods]
    seen, kl = [], torch.zeros(b)
    for t in range(frames):
        for number in reversed(range(o.levels)):
            if t % periods[number] == 0:
                level, last = model.levels[number], number == o.levels - 1
                above = [] if last else [h[number + 1], z[number + 1]]
                h[number] = rnn(level.rnn, [z[number], *above], h[number])
                tick = torch.zeros(b, sizes.embedding)
                for frame in range(t, min(t + periods[number], frames)):
                    tick = tick + level.embed(e[:, frame])
                q, p = level.post(torch.cat([h[number], tick], -1)), level.prior(h[number])
                kl = kl + kl_divergence(Normal(q.mean, q.std, False), Normal(p.mean, p.std, False)).sum(-1)
                z[number] = q.mean + q.std * noise[number][:, t // periods[number]]
        seen.append(torch.cat([h[0], z[0]], -1))
    error = (x - model.decoder(torch.stack(seen, 1))).square().sum((2, 3, 4))
    return {"image": (error / (2 * o.sigma**2)).mean(), "kl_s": kl.mean() / frames}
