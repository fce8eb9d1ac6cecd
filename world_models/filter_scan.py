"""Filtering with a recurrent state space model: a recurrence through its posterior's samples, derivative by hand.

The posterior of such a model (Hafner et al. 2019, "Learning latent dynamics for planning from pixels") reads the
recurrent belief, and the belief reads the posterior's last sample, so that no part of either can be computed for all
steps before. What does not depend on the samples is: the GRU's other inputs and the embeddings' share of the
posterior's first layer come projected. Written as the recurrences of scans.py are, for the same reason.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from world_models.blocks.distributions import STD_MIN, Gaussian
from world_models.blocks.scans import by_arguments


def filter_scan(
    projected: Float[Tensor, "b t g"],
    features: Float[Tensor, "b t d"],
    noise: Float[Tensor, "b t s"],
    rnn: tuple[Float[Tensor, "g s"], Float[Tensor, "g h"], Float[Tensor, " g"]],
    head: tuple[Float[Tensor, "d h"], Float[Tensor, "d2 d"], Float[Tensor, " d2"]],
) -> tuple[Float[Tensor, "b t h"], Gaussian, Float[Tensor, "b t s"]]:
    """Run a GRU over time on samples of what a perceptron makes of its state and a step's features, from zero.

        h_t = GRU.step(projected_t + rnn[0] z_{t-1}, h_{t-1})
        (mean_t, raw_t) = head[1] ELU(head[0] h_t + features_t) + head[2]
        z_t = mean_t + std_t noise_t, std_t = sigmoid(raw_t) + STD_MIN

    Everything but the noise can be differentiated once.

    Args:
        projected: the rest of the GRU's input projections, biases included; G = 3H: reset gate, update gate, candidate.
        features: the rest of the perceptron's first layer, biases included.
        noise: what the samples are made of; zeros give means.
        rnn: the GRU's input weights for z, recurrent weights and recurrent biases.
        head: the perceptron's weights for h, and the weights and biases of its second layer.

    Returns:
        States h, posteriors N(mean, std²) and samples z of each step.
    """
    h, mean, std, z = _FilterScan.apply(projected, features, noise, *rnn, *head)
    return h, Gaussian(mean, std), z


class _FilterScan(torch.autograd.Function):
    """`filter_scan`. Buffers are time-major; d is the hidden layer, o = (mean, sigmoid(raw)), y = (z, h) side by side.

    One product of y gives all arguments of a step's gates: r, u (update), the input's part of n, its recurrent part.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        features: Tensor,
        noise: Tensor,
        w_z: Tensor,
        w_h: Tensor,
        bias: Tensor,
        w_1: Tensor,
        w_2: Tensor,
        b_2: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the steps in place."""
        (batch, steps, g), size, split = projected.shape, w_h.shape[1], noise.shape[-1]
        noise = noise.transpose(0, 1).contiguous()
        weight = projected.new_zeros(4 * size, split + size)
        weight[:g, :split] = w_z
        weight[: 2 * size, split:], weight[g:, split:] = w_h[: 2 * size], w_h[2 * size :]
        gates = projected.new_empty(steps, batch, 4 * size)
        gates[..., :g] = projected.transpose(0, 1)
        gates[..., : 2 * size] += bias[: 2 * size]
        gates[..., g:] = bias[2 * size :]
        d_all = features.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        y_all = projected.new_zeros(steps + 1, batch, split + size)
        n_all = projected.new_empty(steps, batch, size)
        o_all = projected.new_empty(steps, batch, 2 * split)
        std_all = torch.empty_like(noise)
        transposed, t_1, t_2 = (matrix.t().contiguous() for matrix in (weight, w_1, w_2))
        z_all, h_all = y_all.split((split, size), -1)
        buffers = (gates, gates[..., : 2 * size], *gates.split(size, -1), n_all, d_all, o_all, *o_all.chunk(2, -1))
        steps_of = zip(*buffers, std_all, noise, y_all[:-1], h_all[:-1], h_all[1:], z_all[1:], strict=True)
        for gate, ru, r, u, x, recurrent, n, d, o, mean, raw, std, eps, y, h, h_next, z_next in steps_of:
            gate.addmm_(y, transposed)
            ru.sigmoid_()
            torch.addcmul(x, r, recurrent, out=n).tanh_()
            torch.lerp(n, h, u, out=h_next)
            F.elu_(d.addmm_(h_next, t_1))
            torch.addmm(b_2, d, t_2, out=o)
            torch.add(raw.sigmoid_(), STD_MIN, out=std)
            torch.addcmul(mean, std, eps, out=z_next)
        ctx.save_for_backward(weight, w_1, w_2, gates, n_all, d_all, o_all, y_all, noise)
        mean_all = o_all[..., :split].clone()
        return tuple(tensor.transpose(0, 1) for tensor in (h_all[1:], mean_all, std_all, z_all[1:]))  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_mean: Tensor, grad_std: Tensor, grad_z: Tensor) -> tuple[Any, ...]:
        """Flow back through the steps, then give every input its gradient at once."""
        weight, w_1, w_2, gates, n, d, o, y, noise = ctx.saved_tensors
        size, split = n.shape[-1], noise.shape[-1]
        r, u, _, recurrent = gates.split(size, -1)
        by_gates = torch.empty_like(gates).unflatten(-1, (4, -1))  # of h_t
        by_r, by_u, by_x, by_recurrent = by_gates.unbind(-2)
        by_x.copy_(by_arguments(1 - u, y[:-1, :, split:], n, r, u, recurrent, (by_r, by_u, by_recurrent)))
        by_d = torch.where(d > 0, 1, d + 1)  # of the hidden layer, by its argument
        by_raw = o[..., split:] * (1 - o[..., split:])
        by_o = torch.stack([torch.ones_like(noise), noise * by_raw], -2)  # of z_t

        grad_y = torch.zeros_like(y)
        grad_y[1:, :, :split], grad_y[1:, :, split:] = grad_z.transpose(0, 1), grad_h.transpose(0, 1)
        grad_o = torch.stack([grad_mean.transpose(0, 1), grad_std.transpose(0, 1) * by_raw], -2)
        grad_d, grad_gates = torch.empty_like(d), torch.empty_like(by_gates)
        z_t, h_t, flat = grad_y[..., :split].unsqueeze(-2), grad_y[..., split:], grad_gates.flatten(2)
        buffers = (grad_y[:-1], h_t[:-1], z_t[1:], h_t[1:], h_t[1:].unsqueeze(2), grad_o, grad_o.flatten(2), grad_d)
        steps = list(zip(*buffers, grad_gates, flat, by_o, by_d, by_gates, u, strict=True))
        for g_y, g_h, g_z, g_next, g_wide, g_o, g_flat_o, g_d, g_gate, g_flat, b_o, b_d, b_gate, b_h in reversed(steps):
            g_o.addcmul_(g_z, b_o)
            g_next.addmm_(torch.mm(g_flat_o, w_2, out=g_d).mul_(b_d), w_1)
            torch.mul(g_wide, b_gate, out=g_gate)
            g_h.addcmul_(g_next, b_h)
            g_y.addmm_(g_flat, weight)

        rows, rows_d, rows_o = flat.flatten(0, 1), grad_d.flatten(0, 1), grad_o.flatten(2).flatten(0, 1)
        grad_weight, sums = rows.t() @ y[:-1].flatten(0, 1), rows.sum(0)
        ru, g = slice(2 * size), 3 * size
        grad_w_h = torch.cat([grad_weight[ru, split:], grad_weight[g:, split:]])
        grad_rnn = (grad_weight[:g, :split], grad_w_h, torch.cat([sums[ru], sums[g:]]))
        grad_head = (rows_d.t() @ y[1:, :, split:].flatten(0, 1), rows_o.t() @ d.flatten(0, 1), rows_o.sum(0))
        return flat[..., :g].transpose(0, 1), grad_d.transpose(0, 1), None, *grad_rnn, *grad_head
