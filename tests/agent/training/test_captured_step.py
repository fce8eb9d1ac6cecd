"""The checks around a CUDA graph; the graph itself needs a GPU."""

from functools import partial
from typing import Any

import pytest
import torch

from agent.training import captured_step
from agent.training.captured_step import CapturedStep, capture
from tests.support.tiny import random_batch
from world_models.interface import Batch, Losses
from world_models.registry import build_model


class Eager(CapturedStep):
    """Stands for a captured step that computes anew; one that is wrong by `factor`."""

    def __init__(self, model: Any, batch: Batch, factor: float = 1.0) -> None:
        self.model, self.factor = model, factor

    def replay(self, batch: Batch, step: int) -> Losses:
        self.model.zero_grad(set_to_none=True)
        losses: Losses = self.model.loss(batch, torch.tensor(step))
        (self.factor * losses.total).backward()
        return losses


@pytest.mark.parametrize(("factor", "used"), [(1.0, True), (1.01, False)])
@pytest.mark.parametrize(("name", "actions"), [("rssm", 3), ("dlh", 0)])
def test_a_graph_is_used_only_with_the_plain_steps_gradients(monkeypatch, capsys, name, actions, factor, used):
    model: Any = build_model(name, "quick", "ours", 32, (), actions)
    monkeypatch.setattr(captured_step, "CapturedStep", partial(Eager, factor=factor))
    found = capture(model, random_batch(2, model.window_length))
    assert (found is not None) == used
    shown = capsys.readouterr().out
    assert ("differ" in shown) != used
    assert used == any(parameter.grad is not None for parameter in model.parameters())


def test_what_cannot_be_captured_goes_on_plainly_with_one_line(monkeypatch, capsys):
    model: Any = build_model("rssm", "paper", "vta", 32)  # with batch norm
    batch = random_batch(2, model.window_length)

    def failing(model: Any, batch: Batch) -> None:
        model.loss(batch, 0)  # moves the running means
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    before = {name: value.clone() for name, value in model.named_buffers()}
    monkeypatch.setattr(captured_step, "CapturedStep", failing)
    assert capture(model, batch) is None
    assert capsys.readouterr().out.count("\n") == 1
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_a_model_that_does_not_offer_it_is_not_captured():
    assert capture(build_model("dlh", "quick", "ours", 32), random_batch(1, 1)) is None
