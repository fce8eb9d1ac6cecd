"""Training in bfloat16: how far its gradients are from float32's, and what it leaves alone."""

from typing import Any

import pytest
import torch

from tests.support.tiny import assert_close, random_batch, random_frames
from world_models.blocks.networks import set_precision
from world_models.registry import build_model

BOUND = {"patch": 0.03, "convolution": 0.1}
"""Largest error of an entry of a parameter's gradient, as a share of the parameter's largest entry.

bfloat16 keeps 8 bits, so a rounding is up to 0.4 %; entries are sums over many rows and a few layers. Batch norm
subtracts most of a gradient again, and with it what the errors are a share of.
"""


@pytest.fixture(scope="module", params=[("hrssm", "quick"), ("rssm", "quick"), ("hrssm", "paper")], ids="-".join)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    name, preset = request.param
    return build_model(name, preset, "ours", 32)


def gradients(model: Any, precision: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    set_precision(model, precision)
    torch.manual_seed(1)
    losses = model.loss(random_batch(4, model.window_length), 300)
    names, parameters = zip(*model.named_parameters(), strict=True)
    return losses.terms, dict(zip(names, torch.autograd.grad(losses.total, parameters), strict=True))


def test_gradients_in_bfloat16_are_those_in_float32_within_the_bound(model):
    (terms, plain), (low_terms, low) = gradients(model, "fp32"), gradients(model, "bf16")
    for name, term in terms.items():
        assert low_terms[name].dtype == torch.float32
        assert_close(low_terms[name], term, name, 1e-2)
    for name, gradient in plain.items():
        assert low[name].dtype == torch.float32
        assert_close(low[name], gradient, name, BOUND[model.config.sizes.images])
    assert any(not torch.equal(low[name], plain[name]) for name in plain)  # it was bfloat16


def test_what_is_saved_and_what_is_evaluated_stays_float32(model):
    x, a = random_frames(2, model.config.options.context)
    beliefs = []
    for precision in ("fp32", "bf16"):
        set_precision(model, precision)
        with torch.no_grad():
            beliefs.append(model.eval().observe(x, a[:, 1:], torch.tensor([1, 5])))
        model.train()
    assert all(torch.equal(one, other) for one, other in zip(*beliefs, strict=True))
    assert {value.dtype for value in model.parameters()} == {torch.float32}
