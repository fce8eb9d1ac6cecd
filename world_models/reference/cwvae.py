"""The CW-VAE's loss as a loop over frames and, in each, over the levels whose clocks tick."""

import torch
from torch import Tensor

from world_models.blocks.images import to_float
from world_models.cwvae import CWVAE
from world_models.interface import Batch
from world_models.reference.loops import plain_image, plain_kl


def plain_loss(model: CWVAE, batch: Batch, step: int) -> dict[str, Tensor]:
    """See `world_models.reference`."""
    o, sizes = model.config.options, model.config.sizes
    b, frames = batch.action.shape
    x = to_float(batch.observation).contiguous()
    e = model.encoder(x)
    periods = [o.factor**number for number in range(o.levels)]
    noise = [torch.randn(b, -(-frames // period), sizes.state, device=e.device) for period in reversed(periods)][::-1]
    h = [torch.zeros(b, sizes.belief, device=e.device) for _ in periods]
    z = [torch.zeros(b, sizes.state, device=e.device) for _ in periods]
    seen, kl = [], torch.zeros(b, device=e.device)
    for t in range(frames):
        for number in reversed(range(o.levels)):
            if t % periods[number] == 0:
                level, last = model.levels[number], number == o.levels - 1
                above = [] if last else [h[number + 1], z[number + 1]]
                h[number] = level.rnn(z[number], *above, h=h[number])
                tick = torch.zeros(b, sizes.embedding, device=e.device)
                for frame in range(t, min(t + periods[number], frames)):
                    tick = tick + level.embed(e[:, frame])
                q = level.post(torch.cat([h[number], tick], -1))
                kl = kl + plain_kl(q, level.prior(h[number]))
                z[number] = q.mean + q.std * noise[number][:, t // periods[number]]
        seen.append(torch.cat([h[0], z[0]], -1))
    return {"image": plain_image(model, x, torch.stack(seen, 1)), "kl_s": kl.mean() / frames}
