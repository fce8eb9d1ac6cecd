"""Recurrences through what a perceptron makes of their own state: filtering and rollouts, with derivatives by hand.

The posterior of a recurrent state space model (Hafner et al. 2019, "Learning latent dynamics for planning from pixels")
reads the recurrent belief, and the belief reads the posterior's last sample, so that neither can be computed for all
steps beforehand. A rollout is the same without frames and noise: the belief reads the prior's last mean. What does not
depend on samples is projected beforehand: the GRU's other inputs and the other inputs of the perceptron's first layer.
Written like the recurrence of scans.py, for the same reason.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from world_models.blocks.distributions import STD_MIN, Gaussian
from world_models.blocks.scans import by_arguments, time_major


def filter_scan(
    projected: Float[Tensor, "b t g"],
    features: Float[Tensor, "b t d"],
    noise: Float[Tensor, "b t s"],
    rnn: tuple[Float[Tensor, "g s"], Float[Tensor, "g h"], Float[Tensor, " g"]],
    head: tuple[Float[Tensor, "d h"], Float[Tensor, "d2 d"], Float[Tensor, " d2"]],
    start: Float[Tensor, "b s_h"] | None = None,
    update: Float[Tensor, "b t"] | None = None,
) -> tuple[Float[Tensor, "b t h"], Gaussian, Float[Tensor, "b t s"]]:
    """Run a GRU over time on samples of what a perceptron makes of its state and a step's features.

        u_t = GRU.step(projected_t + rnn[0] z_{t-1}, h_{t-1})
        (mean_t, raw_t) = head[1] ELU(head[0] u_t + features_t) + head[2], std_t = sigmoid(raw_t) + STD_MIN
        z_t = lerp(z_{t-1}, mean_t + std_t noise_t, update_t), h_t = lerp(h_{t-1}, u_t, update_t)

    Everything but the noise can be differentiated once, `update` included.

    Args:
        projected: the rest of the GRU's input projections, biases included; G = 3H: reset gate, update gate, candidate.
        features: the rest of the perceptron's first layer, biases included.
        noise: standard normals of the samples; zeros give means.
        rnn: the GRU's input weights for z, recurrent weights and recurrent biases.
        head: the perceptron's weights for h, and the weights and biases of its second layer.
        start: (z, h) before the first step; zeros by default.
        update: share of each step's result, 1 by default; the rest stays as it was.

    Returns:
        States h, Gaussians N(mean, std²) and samples z of each step.
    """
    if start is None:
        start = projected.new_zeros(len(projected), noise.shape[-1] + rnn[1].shape[1])
    h, mean, std, z = _FilterScan.apply(projected, features, noise, start, update, *rnn, *head)
    return h, Gaussian(mean, std), z


class _FilterScan(torch.autograd.Function):
    """`filter_scan`.

    Buffers are time-major; d is the hidden layer, o = (mean, sigmoid(raw)), y = (z, h), and v is a step's y before
    `update` applies. One product of y gives all arguments of a step's gates: r, u (update), the input's part of n, its
    recurrent part.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        features: Tensor,
        noise: Tensor,
        start: Tensor,
        update: Tensor | None,
        w_z: Tensor,
        w_h: Tensor,
        bias: Tensor,
        w_1: Tensor,
        w_2: Tensor,
        b_2: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the steps in place."""
        (batch, steps, _), size, split = projected.shape, w_h.shape[1], noise.shape[-1]
        noise, update = noise.transpose(0, 1).contiguous(), time_major(update)
        weight, gates = _gates(projected, w_z, w_h, bias)
        d_all = features.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        y_all = projected.new_empty(steps + 1, batch, split + size)
        y_all[0] = start
        v_all = y_all[1:] if update is None else torch.empty_like(y_all[1:])
        n_all, o_all = projected.new_empty(steps, batch, size), projected.new_empty(steps, batch, 2 * split)
        std_all = torch.empty_like(noise)
        transposed, t_1, t_2 = (matrix.t().contiguous() for matrix in (weight, w_1, w_2))
        buffers = (gates, gates[..., : 2 * size], *gates.split(size, -1), n_all, d_all, o_all, *o_all.chunk(2, -1))
        results = (std_all, noise, y_all[:-1, :, split:], v_all, *v_all.split((split, size), -1))
        y_t = y_all.unbind()
        for t, step in enumerate(zip(*buffers, *results, strict=True)):
            gate, ru, r, u, x, recurrent, n, d, o, mean, raw, std, eps, h, v, z_next, h_next = step
            gate.addmm_(y_t[t], transposed)
            ru.sigmoid_()
            torch.addcmul(x, r, recurrent, out=n).tanh_()
            torch.lerp(n, h, u, out=h_next)
            F.elu_(d.addmm_(h_next, t_1))
            torch.addmm(b_2, d, t_2, out=o)
            torch.add(raw.sigmoid_(), STD_MIN, out=std)
            torch.addcmul(mean, std, eps, out=z_next)
            if update is not None:
                torch.lerp(y_t[t], v, update[t], out=y_t[t + 1])
        ctx.save_for_backward(weight, w_1, w_2, gates, n_all, d_all, o_all, y_all, v_all, noise, update)
        z_all, h_all = y_all[1:].split((split, size), -1)
        mean_all = o_all[..., :split].clone()
        return tuple(tensor.transpose(0, 1) for tensor in (h_all, mean_all, std_all, z_all))  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_mean: Tensor, grad_std: Tensor, grad_z: Tensor) -> tuple[Any, ...]:
        """Go back through the steps, then compute every input's gradient at once."""
        weight, w_1, w_2, gates, n, d, o, y, v, noise, update = ctx.saved_tensors
        size, split = n.shape[-1], noise.shape[-1]
        r, u, _, recurrent = gates.split(size, -1)
        by_gates = torch.empty_like(gates).unflatten(-1, (4, -1))  # of v's h
        by_r, by_u, by_x, by_recurrent = by_gates.unbind(-2)
        by_x.copy_(by_arguments(1 - u, y[:-1, :, split:], n, r, u, recurrent, (by_r, by_u, by_recurrent)))
        by_d = torch.where(d > 0, 1, d + 1)  # of the hidden layer, by its argument
        by_raw = o[..., split:] * (1 - o[..., split:])
        by_o = torch.stack([torch.ones_like(noise), noise * by_raw], -2)  # of v's z

        grad_y = torch.zeros_like(y)
        grad_y[1:] = torch.cat([grad_z, grad_h], -1).transpose(0, 1)
        grad_v = grad_y[1:] if update is None else torch.empty_like(v)
        grad_o = torch.stack([grad_mean.transpose(0, 1), grad_std.transpose(0, 1) * by_raw], -2)
        grad_d, grad_gates = torch.empty_like(d), torch.empty_like(by_gates)
        z_t, u_t = grad_v[..., :split].unsqueeze(-2), grad_v[..., split:]
        flat, y_t = grad_gates.flatten(2), grad_y.unbind()
        buffers = (grad_y[:-1, :, split:], grad_v, z_t, u_t, u_t.unsqueeze(2), grad_o, grad_o.flatten(2), grad_d)
        factors = (grad_gates, flat, by_o, by_d, by_gates, u)
        stay = None if update is None else 1 - update
        for t, step in reversed(list(enumerate(zip(*buffers, *factors, strict=True)))):
            g_h, g_v, g_z, g_u, g_wide, g_o, g_flat_o, g_d, g_gate, g_flat, b_o, b_d, b_gate, b_h = step
            if update is not None and stay is not None:
                torch.mul(y_t[t + 1], update[t], out=g_v)
                y_t[t].addcmul_(y_t[t + 1], stay[t])
            g_o.addcmul_(g_z, b_o)
            g_u.addmm_(torch.mm(g_flat_o, w_2, out=g_d).mul_(b_d), w_1)
            torch.mul(g_wide, b_gate, out=g_gate)
            g_h.addcmul_(g_u, b_h)
            y_t[t].addmm_(g_flat, weight)

        grad_update = None if update is None else (grad_y[1:] * (v - y[:-1])).sum(-1).t()
        rows_d, rows_o = grad_d.flatten(0, 1), grad_o.flatten(2).flatten(0, 1)
        grad_head = (rows_d.t() @ v[..., split:].flatten(0, 1), rows_o.t() @ d.flatten(0, 1), rows_o.sum(0))
        grad_rnn = _rnn_gradients(flat.flatten(0, 1), y[:-1].flatten(0, 1), size)
        by_time = flat[..., : 3 * size].transpose(0, 1), grad_d.transpose(0, 1)
        return *by_time, None, grad_y[0], grad_update, *grad_rnn, *grad_head


def _gates(projected: Tensor, w_z: Tensor, w_h: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights of y (4H, S + H), and the arguments of r, u and n's two parts without y's share (T, B, 4H)."""
    (batch, steps, g), size, split = projected.shape, w_h.shape[1], w_z.shape[1]
    weight = projected.new_zeros(4 * size, split + size)
    weight[:g, :split] = w_z
    weight[: 2 * size, split:], weight[g:, split:] = w_h[: 2 * size], w_h[2 * size :]
    gates = projected.new_empty(steps, batch, 4 * size)
    gates[..., :g] = projected.transpose(0, 1)
    gates[..., : 2 * size] += bias[: 2 * size]
    gates[..., g:] = bias[2 * size :]
    return weight, gates


def _rnn_gradients(rows: Tensor, y: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the GRU's weights for z, its recurrent weights and biases, from those of `_gates`' arguments."""
    weight, sums = rows.t() @ y, rows.sum(0)
    ru, g, split = slice(2 * size), 3 * size, y.shape[1] - size
    return weight[:g, :split], torch.cat([weight[ru, split:], weight[g:, split:]]), torch.cat([sums[ru], sums[g:]])
