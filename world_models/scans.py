"""Recurrences over time whose derivatives are written by hand: several times faster than a loop of small operations.

Autograd spends most of such a loop on bookkeeping: every step adds to the weights' gradients, and every slice of an
input gets a gradient of the input's full size. Here the steps write into time-major buffers, what the derivative needs
beside the gradient that flows back is computed for all steps at once, and the weights get their gradients from one
product after the loop. The equations are those of `networks.GRU.step`; test_scans.py compares every value and
gradient with a plain loop of it.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def gru_scan(
    projected: Float[Tensor, "b t g"],
    weight: Float[Tensor, "g h"],
    bias: Float[Tensor, "g"],
    h: Float[Tensor, "b h"],
    *,
    keep: Float[Tensor, "b t"] | None = None,
    update: Float[Tensor, "b t"] | None = None,
    init: tuple[Float[Tensor, "b t h"], Float[Tensor, "b t"]] | None = None,
) -> Float[Tensor, "b t h"]:
    """Run a GRU over time whose state may, per row and step, be reset before, kept through or replaced after a step.

        g_t = keep_t h_{t-1}              RESET where keep is 0; h_{t-1} without `keep`
        u_t = GRU.step(projected_t, g_t)
        h_t = u_t                         by default
            | lerp(g_t, u_t, update_t)    COPY where update is 0
            | lerp(u_t, value_t, start_t) INIT where start is 1

    Everything can be differentiated once, the masks included: they may carry straight-through gradients.

    Args:
        projected: input projections of all steps, `GRU.project(inputs)`; G = 3H: reset gate, update gate, candidate.
        weight: recurrent weights.
        bias: recurrent biases.
        h: state before the first step.
        keep: what the state is multiplied by before each step.
        update: share of each step's result; the rest stays g_t.
        init: (value, start): what replaces a step's result, and its share; excludes `update`.

    Returns:
        The states after each step.
    """
    assert update is None or init is None, "a scan either copies or initialises"
    value, start = (None, None) if init is None else init
    return _GRUScan.apply(projected, weight, bias, h, keep, update, value, start)


def rollout(
    projected: Float[Tensor, "b t g"],
    s: Float[Tensor, "b s"],
    h: Float[Tensor, "b h"],
    update: Float[Tensor, "b t"] | None,
    rnn: tuple[Float[Tensor, "g s"], Float[Tensor, "g h"], Float[Tensor, " g"]],
    head: tuple[Float[Tensor, "d h"], Float[Tensor, " d"], Float[Tensor, "s d"], Float[Tensor, " s"]],
) -> tuple[Float[Tensor, "b t s"], Float[Tensor, "b t h"]]:
    """Run a GRU on its own predictions: what a perceptron makes of its state is part of its next input.

        u_t = GRU.step(projected_t + rnn[0] s_{t-1}, h_{t-1})
        p_t = head[2] ELU(head[0] u_t + head[1]) + head[3]
        s_t = lerp(s_{t-1}, p_t, update_t)
        h_t = lerp(h_{t-1}, u_t, update_t)

    Everything can be differentiated once, `update` included.

    Args:
        projected: the rest of the GRU's input projections, known beforehand, with their biases; G = 3H.
        s: prediction before the first step.
        h: state before the first step.
        update: share of each step's result (None: all); the rest stays as it was.
        rnn: the GRU's input weights for s, recurrent weights and recurrent biases.
        head: weights and biases of the perceptron's two layers.

    Returns:
        Predictions s and states h after each step.
    """
    y = _Rollout.apply(projected, torch.cat([s, h], -1), update, *rnn, *head)
    return y.split((s.shape[-1], h.shape[-1]), -1)


class _GRUScan(torch.autograd.Function):
    """`gru_scan`. Buffers are time-major, (T, B, ...); r, z, n are a GRU's reset gate, update gate and candidate."""

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        weight: Tensor,
        bias: Tensor,
        h: Tensor,
        keep: Tensor | None,
        update: Tensor | None,
        value: Tensor | None,
        start: Tensor | None,
    ) -> Tensor:
        """Run the steps in place."""
        steps, size = projected.shape[1], h.shape[1]
        projected = projected.transpose(0, 1)
        keep, update, start, value = (_time_major(tensor) for tensor in (keep, update, start, value))
        gates = projected + bias  # becomes (r, z, the recurrent part of n)
        gates[..., 2 * size :] = bias[2 * size :]
        h_all = h.new_empty(steps + 1, *h.shape)
        h_all[0] = h
        g_all = h_all[:-1] if keep is None else torch.empty_like(h_all[1:])
        u_all = h_all[1:] if update is None and start is None else torch.empty_like(h_all[1:])
        n_all = torch.empty_like(u_all)
        h_t, transposed = h_all.unbind(), weight.t().contiguous()
        rz_all, inputs = gates[..., : 2 * size], projected[..., 2 * size :]
        buffers = (gates, rz_all, *gates.split(size, -1), inputs, g_all, n_all, u_all)
        for t, (gate, rz, r, z, recurrent, x, g, n, u) in enumerate(zip(*buffers, strict=True)):
            if keep is not None:
                torch.mul(h_t[t], keep[t], out=g)
            gate.addmm_(g, transposed)
            rz.sigmoid_()
            torch.addcmul(x, r, recurrent, out=n).tanh_()
            torch.lerp(n, g, z, out=u)
            if update is not None:
                torch.lerp(g, u, update[t], out=h_t[t + 1])
            elif start is not None and value is not None:
                torch.lerp(u, value[t], start[t], out=h_t[t + 1])
        ctx.save_for_backward(weight, gates, n_all, g_all, h_all, keep, update, start, value)
        return h_all[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Flow back through the steps, then give every input its gradient at once."""
        weight, gates, n, g, h, keep, update, start, value = ctx.saved_tensors
        r, z, recurrent = gates.split(n.shape[-1], -1)
        by_n, by_g = 1 - z, z  # of h_t: by the candidate, and by g_t past the gates
        if update is not None:
            by_n = by_n * update
            by_g = 1 - by_n
        elif start is not None:
            by_n, by_g = by_n * (1 - start), by_g * (1 - start)
        by_gates = torch.empty_like(gates).unflatten(-1, (3, -1))  # of h_t: by the sums that the steps add to `gates`
        by_x = by_arguments(by_n, g, n, r, z, recurrent, by_gates.unbind(-2))

        grad_h = torch.zeros_like(h)
        grad_h[1:] = grad.transpose(0, 1)
        grad_g = grad_h[:-1] if keep is None else torch.zeros_like(g)
        grad_gates = torch.empty_like(by_gates)
        h_t = grad_h.unbind()
        buffers = (grad_h[1:].unsqueeze(2), by_gates, grad_gates, grad_gates.flatten(2), grad_g, by_g)
        for t, (wide, by_gate, grad_gate, flat, grad_g_t, by) in reversed(list(enumerate(zip(*buffers, strict=True)))):
            torch.mul(wide, by_gate, out=grad_gate)
            grad_g_t.addcmul_(h_t[t + 1], by).addmm_(flat, weight)
            if keep is not None:
                h_t[t].addcmul_(grad_g_t, keep[t])

        grad_h, grad_h_0 = grad_h[1:], grad_h[0]
        grad_keep = None if keep is None else (grad_g * h[:-1]).sum(-1).t()
        grad_update = None if update is None else (grad_h * (n - g) * (1 - z)).sum(-1).t()
        grad_start = None if start is None else (grad_h * (value - torch.lerp(n, g, z))).sum(-1).t()
        grad_value = None if start is None else (grad_h * start).transpose(0, 1)
        rows = grad_gates.flatten(0, 1).flatten(1)
        grad_weight, grad_bias = rows.t() @ g.flatten(0, 1), rows.sum(0)
        torch.mul(grad_h, by_x, out=grad_gates[..., 2, :])  # the reset gate passes the input by
        grad_projected = grad_gates.flatten(2).transpose(0, 1)
        return grad_projected, grad_weight, grad_bias, grad_h_0, grad_keep, grad_update, grad_value, grad_start


class _Rollout(torch.autograd.Function):
    """`rollout`. Buffers as in `_GRUScan`; d is the head's hidden layer; y = (s, h) and v = (p, u) lie side by side.

    One product of y gives all arguments of a step's gates: r, z, the input's part of n, the recurrent part of n.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        y: Tensor,
        update: Tensor | None,
        w_s: Tensor,
        w_h: Tensor,
        bias: Tensor,
        w_1: Tensor,
        b_1: Tensor,
        w_2: Tensor,
        b_2: Tensor,
    ) -> Tensor:
        """Run the steps in place."""
        (batch, steps, g), size, split = projected.shape, w_h.shape[1], len(w_2)
        update = _time_major(update)
        weight = y.new_zeros(4 * size, y.shape[1])
        weight[:g, :split] = w_s
        weight[: 2 * size, split:], weight[g:, split:] = w_h[: 2 * size], w_h[2 * size :]
        gates = y.new_empty(steps, batch, 4 * size)
        gates[..., :g] = projected.transpose(0, 1)
        gates[..., : 2 * size] += bias[: 2 * size]
        gates[..., g:] = bias[2 * size :]
        y_all = y.new_empty(steps + 1, *y.shape)
        y_all[0] = y
        v_all = y_all[1:] if update is None else torch.empty_like(y_all[1:])
        n_all, d_all = y.new_empty(steps, batch, size), y.new_empty(steps, batch, len(w_1))
        transposed, t_1, t_2 = (matrix.t().contiguous() for matrix in (weight, w_1, w_2))
        arguments, parts = gates.split(size, -1), v_all.split((split, size), -1)
        buffers = (gates, gates[..., : 2 * size], *arguments, n_all, y_all[:-1, :, split:], d_all, v_all, *parts)
        y_t = y_all.unbind()
        for t, (gate, rz, r, z, x, recurrent, n, h, d, v, p, u) in enumerate(zip(*buffers, strict=True)):
            gate.addmm_(y_t[t], transposed)
            rz.sigmoid_()
            torch.addcmul(x, r, recurrent, out=n).tanh_()
            torch.lerp(n, h, z, out=u)
            F.elu_(torch.addmm(b_1, u, t_1, out=d))
            torch.addmm(b_2, d, t_2, out=p)
            if update is not None:
                torch.lerp(y_t[t], v, update[t], out=y_t[t + 1])
        ctx.save_for_backward(weight, w_1, w_2, gates, n_all, d_all, y_all, v_all, update)
        return y_all[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Flow back through the steps, then give every input its gradient at once."""
        weight, w_1, w_2, gates, n, d, y, v, update = ctx.saved_tensors
        size, split = n.shape[-1], len(w_2)
        r, z, _, recurrent = gates.split(size, -1)
        by_gates = torch.empty_like(gates).unflatten(-1, (4, -1))  # of u_t
        by_r, by_z, by_x, by_recurrent = by_gates.unbind(-2)
        by_x.copy_(by_arguments(1 - z, y[:-1, :, split:], n, r, z, recurrent, (by_r, by_z, by_recurrent)))
        by_d = torch.where(d > 0, 1, d + 1)  # of the hidden layer, by its argument

        grad_y = torch.zeros_like(y)
        grad_y[1:] = grad.transpose(0, 1)
        grad_v = grad_y[1:] if update is None else torch.empty_like(v)
        grad_p, grad_u = grad_v.split((split, size), -1)
        grad_d, grad_gates = torch.empty_like(d), torch.empty_like(by_gates)
        wide, flat = grad_u.unsqueeze(2), grad_gates.flatten(2)
        stay, y_t = None if update is None else 1 - update, grad_y.unbind()
        buffers = (grad_y[:-1, :, split:], grad_v, grad_p, grad_u, wide, grad_d, grad_gates, flat, by_d, by_gates, z)
        steps = list(enumerate(zip(*buffers, strict=True)))
        for t, (g_h, g_v, g_p, g_u, g_wide, g_d, g_gate, g_flat, b_d, b_gate, b_h) in reversed(steps):
            if update is not None and stay is not None:
                torch.mul(y_t[t + 1], update[t], out=g_v)
                y_t[t].addcmul_(y_t[t + 1], stay[t])
            g_u.addmm_(torch.mm(g_p, w_2, out=g_d).mul_(b_d), w_1)
            torch.mul(g_wide, b_gate, out=g_gate)
            g_h.addcmul_(g_u, b_h)
            y_t[t].addmm_(g_flat, weight)

        grad_update = None if update is None else (grad_y[1:] * (v - y[:-1])).sum(-1).t()
        rows, rows_p, rows_d = flat.flatten(0, 1), grad_p.flatten(0, 1), grad_d.flatten(0, 1)
        grad_weight, sums = rows.t() @ y[:-1].flatten(0, 1), rows.sum(0)
        rz, g = slice(2 * size), 3 * size
        grad_w_h = torch.cat([grad_weight[rz, split:], grad_weight[g:, split:]])
        grad_bias = torch.cat([sums[rz], sums[g:]])
        grad_1 = (rows_d.t() @ v[..., split:].flatten(0, 1), rows_d.sum(0))
        grad_2 = (rows_p.t() @ d.flatten(0, 1), rows_p.sum(0))
        grad_projected = flat[..., :g].transpose(0, 1)
        return grad_projected, grad_y[0], grad_update, grad_weight[:g, :split], grad_w_h, grad_bias, *grad_1, *grad_2


def by_arguments(
    by_n: Tensor, g: Tensor, n: Tensor, r: Tensor, z: Tensor, recurrent: Tensor, out: tuple[Tensor, ...]
) -> Tensor:
    """Differentiate a result by the arguments of a GRU's gates, given its derivative by the candidate n.

    Args:
        by_n: derivative by n, which is 1 - z times a share that z's derivative has, too.
        g: state before the step.
        n: candidate.
        r: reset gate.
        z: update gate.
        recurrent: recurrent part of the candidate's argument.
        out: takes the derivatives by the arguments of r and z and by `recurrent`.

    Returns:
        The derivative by the input's part of the candidate's argument.
    """
    by_r, by_z, by_recurrent = out
    torch.sub(g, n, out=by_z).mul_(z).mul_(by_n)
    by_x = torch.ops.aten.tanh_backward(by_n, n)
    torch.mul(by_x, r, out=by_recurrent)
    torch.ops.aten.sigmoid_backward(by_x * recurrent, r, grad_input=by_r)
    return by_x


def _time_major(tensor: Tensor | None) -> Tensor | None:
    """Swap batch and time; a mask (B, T) becomes columns (T, B, 1)."""
    if tensor is None:
        return None
    return (tensor if tensor.dim() == 3 else tensor.unsqueeze(-1)).transpose(0, 1)
