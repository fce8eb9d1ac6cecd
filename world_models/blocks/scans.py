"""A recurrence over time whose derivative is written by hand, and the functions that such derivatives share.

Autograd spends most of such a loop on bookkeeping: every step adds to the weights' gradients, and every slice of an
input gets a gradient of the input's full size. Here the steps write into time-major buffers, all factors of the
gradient that flows back are computed at once, and the weights get their gradients from one product after the loop
(savings: experiments/LOG.md, 31). The equations are those of `networks.GRU.step`; test_scans.py compares every value
and gradient with a plain loop over it.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


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
    """Run a GRU over time whose state may, per row and step, be reset before a step, or kept or replaced after it.

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
        keep: factor of the state before each step.
        update: share of each step's result; the rest stays g_t.
        init: (value, start): replacement of a step's result, and its share; excludes `update`.

    Returns:
        The states after each step.
    """
    assert update is None or init is None, "a scan either copies or initialises"
    value, start = (None, None) if init is None else init
    return _GRUScan.apply(projected, weight, bias, h, keep, update, value, start)


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
        keep, update, start, value = (time_major(tensor) for tensor in (keep, update, start, value))
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
        """Go back through the steps, then compute every input's gradient at once."""
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
        torch.mul(grad_h, by_x, out=grad_gates[..., 2, :])  # the reset gate does not apply to the input
        grad_projected = grad_gates.flatten(2).transpose(0, 1)
        return grad_projected, grad_weight, grad_bias, grad_h_0, grad_keep, grad_update, grad_value, grad_start


def by_arguments(
    by_n: Tensor, g: Tensor, n: Tensor, r: Tensor, z: Tensor, recurrent: Tensor, out: tuple[Tensor, ...]
) -> Tensor:
    """Differentiate a step from state g by the arguments of its gates, given the derivative by the candidate n.

    `by_n` is 1 - z times a share that also applies to z's derivative. `out` receives the derivatives by the arguments
    of r and z and by `recurrent`, the recurrent part of n's argument; the one by the input's part is returned.
    """
    by_r, by_z, by_recurrent = out
    torch.sub(g, n, out=by_z).mul_(z).mul_(by_n)
    by_x = torch.ops.aten.tanh_backward(by_n, n)
    torch.mul(by_x, r, out=by_recurrent)
    torch.ops.aten.sigmoid_backward(by_x * recurrent, r, grad_input=by_r)
    return by_x


def time_major(tensor: Tensor | None) -> Tensor | None:
    """Swap batch and time; a mask (B, T) becomes columns (T, B, 1)."""
    if tensor is None:
        return None
    return (tensor if tensor.dim() == 3 else tensor.unsqueeze(-1)).transpose(0, 1)
