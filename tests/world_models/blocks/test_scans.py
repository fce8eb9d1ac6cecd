"""The scans of world_models/scans.py and filter_scan.py against plain loops of the modules that they speed up."""

from typing import Any

import pytest
import torch
from torch import Tensor

from world_models.blocks.distributions import GaussianHead
from world_models.blocks.filter_scan import filter_scan
from world_models.blocks.networks import GRU, one_hot_actions
from world_models.blocks.scans import gru_scan
from world_models.registry import build_model

BATCH, STEPS, INPUTS, HIDDEN = 5, 4, 3, 4
PREDICTION = 2


def tensors(dtype: torch.dtype, *, hard: bool) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "inputs": (BATCH, STEPS, INPUTS),
        "h": (BATCH, HIDDEN),
        "value": (BATCH, STEPS, HIDDEN),
        "keep": (BATCH, STEPS),
        "update": (BATCH, STEPS),
        "start": (BATCH, STEPS),
    }
    values = {name: torch.randn(shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}
    for name in ("keep", "update", "start"):
        values[name] = (values[name] > 0).to(dtype) if hard else torch.sigmoid(values[name])
    for name, passing in (("keep", 1), ("update", 1), ("start", 0)):
        values[name][0, 0] = passing  # a gradient reaches h
    return {name: value.requires_grad_() for name, value in values.items()}


def plain_loop(rnn: GRU, x: dict[str, Tensor], keep: bool, after: str) -> Tensor:
    h, states = x["h"], []
    for t in range(STEPS):
        given = h * x["keep"][:, t, None] if keep else h
        h = rnn.step(rnn.project(x["inputs"][:, t]), given)
        if after == "update":
            h = torch.lerp(given, h, x["update"][:, t, None])
        elif after == "init":
            h = torch.lerp(h, x["value"][:, t], x["start"][:, t, None])
        states.append(h)
    return torch.stack(states, 1)


def fast_loop(rnn: GRU, x: dict[str, Tensor], keep: bool, after: str) -> Tensor:
    return gru_scan(
        rnn.project(x["inputs"]),
        rnn.recur.weight,
        rnn.recur.bias,
        x["h"],
        keep=x["keep"] if keep else None,
        update=x["update"] if after == "update" else None,
        init=(x["value"], x["start"]) if after == "init" else None,
    )


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """Relative 1e-5 of the largest entry."""
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("after", ["", "update", "init"])
def test_scan_equals_a_loop_of_steps(keep, after, hard):
    torch.manual_seed(0)
    rnn, x = GRU(INPUTS, HIDDEN), tensors(torch.float32, hard=hard)
    leaves = dict(rnn.named_parameters()) | x
    target = torch.randn(BATCH, STEPS, HIDDEN)
    expected, actual = plain_loop(rnn, x, keep, after), fast_loop(rnn, x, keep, after)
    assert_close(actual, expected)
    gradients = [
        torch.autograd.grad((states - target).square().sum(), list(leaves.values()), allow_unused=True)
        for states in (expected, actual)
    ]
    used = {"keep": keep, "update": after == "update", "start": after == "init", "value": after == "init"}
    for name, plain, fast in zip(leaves, *gradients, strict=True):
        assert (plain is None) == (fast is None) == (not used.get(name, True)), name
        if plain is not None:
            assert plain.abs().max() > 0, name
            assert_close(fast, plain)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("after", ["", "update", "init"])
def test_scan_gradients_in_double_precision(keep, after):
    rnn, x = GRU(INPUTS, HIDDEN).double(), tensors(torch.float64, hard=False)
    weights = [parameter.detach().requires_grad_() for parameter in rnn.recur.parameters()]
    names = ["keep"] * keep + {"": [], "update": ["update"], "init": ["value", "start"]}[after]

    def scan(projected: Tensor, weight: Tensor, bias: Tensor, h: Tensor, *given: Tensor) -> Tensor:
        masks = dict(zip(names, given, strict=True))
        init = (masks.pop("value"), masks.pop("start")) if after == "init" else None
        return gru_scan(projected, weight, bias, h, init=init, **masks)

    projected = rnn.project(x["inputs"]).detach().requires_grad_()
    assert torch.autograd.gradcheck(scan, (projected, *weights, x["h"], *(x[name] for name in names)))


def test_scan_without_gradients_equals_the_one_with():
    rnn, x = GRU(INPUTS, HIDDEN), tensors(torch.float32, hard=True)
    with torch.no_grad():
        without = fast_loop(rnn, x, True, "init")
    states = fast_loop(rnn, x, True, "init")
    assert states.requires_grad and not without.requires_grad
    assert torch.equal(without, states)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("copy", [False, True])
def test_rollout_equals_a_loop_of_steps_and_means(copy, hard):
    torch.manual_seed(0)
    rnn, head, x = (
        GRU(PREDICTION + INPUTS, HIDDEN),
        GaussianHead(HIDDEN, 7, PREDICTION),
        tensors(torch.float32, hard=hard),
    )
    x["s"] = torch.randn(BATCH, PREDICTION, requires_grad=True)
    leaves = dict(rnn.named_parameters()) | dict(head.named_parameters()) | x
    s, h, states = x["s"], x["h"], []
    for t in range(STEPS):
        u = rnn.step(rnn.project(torch.cat([s, x["inputs"][:, t]], -1)), h)
        share = x["update"][:, t, None] if copy else torch.ones(BATCH, 1)
        s, h = torch.lerp(s, head(u).mean, share), torch.lerp(h, u, share)
        states.append(torch.cat([s, h], -1))
    expected = torch.stack(states, 1)
    actual = torch.cat(rnn.rollout(head, x["s"], x["h"], x["inputs"], x["update"] if copy else None), -1)
    assert_close(actual, expected)
    target = torch.randn_like(actual)
    gradients = [
        torch.autograd.grad((y - target).square().sum(), list(leaves.values()), allow_unused=True)
        for y in (expected, actual)
    ]
    unused = {"keep", "start", "value"} | (set() if copy else {"update"})
    for name, plain, fast_gradient in zip(leaves, *gradients, strict=True):
        assert (plain is None) == (fast_gradient is None) == (name in unused), name
        if plain is not None:
            assert plain.abs().max() > 0, name
            assert_close(fast_gradient, plain)


@pytest.mark.parametrize("copy", [False, True])
def test_rollout_gradients_in_double_precision(copy):
    x, generator = tensors(torch.float64, hard=False), torch.Generator().manual_seed(0)
    g, d, p = 3 * HIDDEN, 7, PREDICTION
    shapes = [(BATCH, STEPS, g), (BATCH, p), (g, p), (g, HIDDEN), (g,), (d, HIDDEN), (d,), (2 * p, d), (2 * p,)]
    projected, s, *weights = (torch.randn(shape, generator=generator, dtype=torch.float64) / 2 for shape in shapes)
    given = (projected, s, x["h"], *([x["update"]] if copy else []), *weights)

    def run(projected: Tensor, s: Tensor, h: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        update, (project, recur, bias, first, first_bias, *last) = (rest[0], rest[1:]) if copy else (None, rest)
        features, start = first_bias.expand(BATCH, STEPS, -1), torch.cat([s, h], -1)
        noise, weights = torch.zeros(BATCH, STEPS, PREDICTION, dtype=torch.float64), (first, *last)
        states, _, means = filter_scan(projected, features, noise, (project, recur, bias), weights, start, update)  # type: ignore[arg-type]
        return means, states

    assert torch.autograd.gradcheck(run, tuple(tensor.detach().requires_grad_() for tensor in given))


def test_filter_gradients_in_double_precision():
    generator = torch.Generator().manual_seed(0)
    g, d, p = 3 * HIDDEN, 5, PREDICTION
    recurrence, head = [(g, p), (g, HIDDEN), (g,)], [(d, HIDDEN), (2 * p, d), (2 * p,)]
    shapes = [(BATCH, STEPS, g), (BATCH, STEPS, d), (BATCH, STEPS, p), *recurrence, *head]
    given = [torch.randn(shape, generator=generator, dtype=torch.float64) / 2 for shape in shapes]

    def run(projected: Tensor, features: Tensor, noise: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        h, q, z = filter_scan(projected, features, noise, weights[:3], weights[3:])  # type: ignore[arg-type]
        return h, q.mean, q.std, z

    assert torch.autograd.gradcheck(run, tuple(x.requires_grad_(place != 2) for place, x in enumerate(given)))


@pytest.mark.parametrize(("name", "rnn", "head"), [("hrssm", "z_rnn", "prior_z"), ("rssm", "s_rnn", "prior_s")])
def test_rollout_equals_imagining_step_by_step(name, rnn, head):
    model: Any = build_model(name, "quick", "ours", 32)
    a = torch.randint(3, (BATCH, STEPS))
    state = model.observe(torch.rand(BATCH, 5, 3, 32, 32), a, torch.full((BATCH,), 5))
    s, h = getattr(model, rnn).rollout(getattr(model, head), *state, one_hot_actions(a))
    for t in range(STEPS):
        state = model.imagine(state, a[:, t])
        assert_close(s[:, t], state[0])
        assert_close(h[:, t], state[1])


def test_scan_takes_one_mask_after_the_step():
    rnn, x = GRU(INPUTS, HIDDEN), tensors(torch.float32, hard=True)
    with pytest.raises(AssertionError, match="either copies or initialises"):
        gru_scan(
            rnn.project(x["inputs"]),
            rnn.recur.weight,
            rnn.recur.bias,
            x["h"],
            update=x["update"],
            init=(x["value"], x["start"]),
        )
