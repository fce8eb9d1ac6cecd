"""The forward and backward pass of a step as one CUDA graph, which a GPU replays without waiting for Python.

Small models on a GPU spend most of a step on starting thousands of kernels. A graph starts them all at once, but it
does the same each time: the same kernels on the same memory. So the batch is copied into the memory of the first one,
gradients come out where they lay, the step's number is a tensor, and only models whose step never depends on what is in
the batch can be captured (`Replayable`). Random numbers are new at each replay: torch gives the graph the seed and the
place of its generator.

The graph is used only if it gives the losses and gradients of the plain step; a line says so if not.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from world_models.interface import Batch, Losses, Replayable

WARM_UPS = 3
TOLERANCES = {"fp32": 1e-3, "bf16": 2e-2}
"""largest difference of a gradient from the plain step's, relative to its largest entry; bfloat16 has 8 bits"""


class CapturedStep:
    """A captured forward and backward pass."""

    def __init__(self, model: Any, batch: Batch) -> None:
        """Capture the pass over a batch of this shape; the model's state and gradients are kept as they were."""
        self._batch = Batch(*(tensor.clone() for tensor in batch))
        self._step = torch.zeros((), dtype=torch.long, device=batch.action.device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries choose their kernels and take their memory before the capture
            for _ in range(WARM_UPS):
                model.zero_grad(set_to_none=True)
                model.loss(self._batch, self._step).total.backward()
        torch.cuda.current_stream().wait_stream(stream)
        model.zero_grad(set_to_none=True)  # so that the gradients lie in the graph's memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._losses: Losses = model.loss(self._batch, self._step)
            self._losses.total.backward()

    def replay(self, batch: Batch, step: int) -> Losses:
        """Leave the gradients of a batch in the model, and return its losses; the next replay changes their weights."""
        self._step.fill_(step)
        for mine, its in zip(self._batch, batch, strict=True):
            mine.copy_(its, non_blocking=True)
        self._graph.replay()
        terms, metrics = (
            {name: value.detach().clone() for name, value in part.items()}
            for part in (self._losses.terms, self._losses.metrics)
        )
        return Losses(terms, self._losses.weights, metrics)


def capture(model: Any, batch: Batch, precision: Literal["fp32", "bf16"] = "fp32") -> CapturedStep | None:
    """Capture a model's step, if that can be done and gives the plain step's gradients; a line says why if not."""
    if not isinstance(model, Replayable) or not model.replayable:
        return None
    buffers = {name: value.clone() for name, value in model.named_buffers()}  # type: ignore[attr-defined]
    try:
        plain = _gradients(model, batch)
        captured: CapturedStep | None = CapturedStep(model, batch)
        assert captured is not None
        torch.manual_seed(0)
        captured.replay(batch, 0)
        error = _difference(_held(model), plain)
        if not error <= TOLERANCES[precision]:
            print(
                f"steps are not replayed from a CUDA graph: its gradients differ from the plain step's by {error:.1e}"
            )
            captured = None
    except RuntimeError as reason:
        print(f"steps are not replayed from a CUDA graph: {' '.join(str(reason).split()):.200}")
        captured = None
    if captured is None:
        model.zero_grad(set_to_none=True)  # type: ignore[attr-defined]
    with torch.no_grad():
        for name, value in model.named_buffers():  # type: ignore[attr-defined]
            value.copy_(buffers[name])
    return captured


def _gradients(model: Any, batch: Batch) -> list[Tensor | None]:
    """The plain step's gradients, with the random numbers of seed 0."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    model.loss(batch, 0).total.backward()
    return _held(model)


def _held(model: Any) -> list[Tensor | None]:
    """Copies of the gradients in a model."""
    return [None if each.grad is None else each.grad.clone() for each in model.parameters()]


def _difference(found: list[Tensor | None], wanted: list[Tensor | None]) -> float:
    """The largest difference of a parameter's gradients, relative to the largest entry; infinite if one lacks one."""
    largest = 0.0
    for ours, plain in zip(found, wanted, strict=True):
        if (ours is None) != (plain is None):
            return float("inf")
        if ours is not None and plain is not None:
            scale = plain.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
            largest = max(largest, float((ours - plain).abs().max() / scale))
    return largest
