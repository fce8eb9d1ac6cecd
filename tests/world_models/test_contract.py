"""Every registered model keeps the contract of `world_models.interface`, whatever it is."""

import re
from dataclasses import asdict
from itertools import product
from typing import Any

import pytest
import torch

from tests.support.tiny import FRAME, random_batch, random_frames
from world_models.interface import (
    Branching,
    Colouring,
    Decoding,
    Generative,
    ModelConfig,
    Plannable,
    Rebuilding,
    Segmenting,
    Trainable,
)
from world_models.registry import MODELS, build_model, complete, rebuild_model, recipe_of

CASES = [(name, variant) for name, spec in MODELS.items() for variant in spec.variants]
PHASED = [(name, variant) for name, variant in CASES if hasattr(MODELS[name].network, "phases")]
ACTING = [(name, variant) for name, variant in CASES if MODELS[name].acts]


def build(name: str, variant: str) -> Any:
    torch.manual_seed(0)
    return build_model(name, "quick", variant, FRAME, actions=3 if MODELS[name].acts else 0).eval()


@pytest.mark.parametrize("name", MODELS)
def test_the_entry_is_complete(name):
    spec = MODELS[name]
    assert {preset for preset, _ in spec.recipes} <= set(spec.sizes)
    for preset, variant in product(spec.sizes, spec.variants):
        assert recipe_of(name, preset, variant) is spec.recipes[preset if preset != "million" else "quick", variant]
    assert len({type(sizes) for sizes in spec.sizes.values()}) == len({type(o) for o in spec.variants.values()}) == 1
    assert re.fullmatch("#[0-9a-f]{6}", spec.colour)

    assert len({other.colour for other in MODELS.values()}) == len({other.display_name for other in MODELS.values()})


def test_models_of_the_preset_million_can_be_compared_at_equal_size():
    options = {name: ["levels=3"] if name == "dlh" else [] for name in MODELS}
    variants = {name: "ours" if name == "dlh" else next(iter(MODELS[name].variants)) for name in MODELS}
    models = [build_model(name, "million", variants[name], 64, options[name], actions=0) for name in MODELS]
    parameters = [sum(p.numel() for p in model.parameters()) for model in models]
    assert max(parameters) < 1.02 * min(parameters)
    assert min(parameters) == pytest.approx(1e6, rel=0.05)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_model_can_be_trained_and_rebuilt_from_its_checkpoint(name, variant):
    model = build(name, variant)
    assert isinstance(model, Trainable)
    assert isinstance(model.config, ModelConfig)
    config = asdict(model.config)
    assert complete(name, config) == config
    rebuild_model(name, config).load_state_dict(build(name, variant).state_dict())
    model.train()
    losses = model.loss(random_batch(2, model.window_length), 0)
    assert set(losses.weights) == set(losses.terms)
    assert "nelbo" in losses.metrics or MODELS[name].deterministic  # which have no likelihood
    assert torch.isfinite(losses.total)


@pytest.mark.parametrize(("name", "variant"), PHASED)
def test_each_phase_of_a_step_has_losses_of_its_own(name, variant):
    model = build(name, variant).train()
    trained = set()
    for losses in model.phases(random_batch(2, model.window_length), 0):
        assert set(losses.weights) == set(losses.terms)
        model.zero_grad(set_to_none=True)
        losses.total.backward()
        trained |= {key for key, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert trained == {key for key, _ in model.named_parameters()}


@pytest.mark.parametrize(("name", "variant"), ACTING)
@torch.no_grad()
def test_a_model_that_acts_can_plan(name, variant):
    model = build(name, variant)
    assert isinstance(model, Plannable)
    x, a = random_frames(2, model.context)
    length = torch.tensor([1, model.context])
    state = model.observe(x, a[:, 1:], length)
    padded = torch.cat([torch.rand_like(x[:1, :-1]), x[:1, -1:]], 1)  # the same last frame, other padding
    again = model.observe(torch.cat([padded, x[1:]]), a[:, 1:], length)
    for field, same in zip(state, again, strict=True):
        torch.testing.assert_close(field, same)
    state = model.imagine(state, torch.tensor([0, 2]))
    assert model.feature(state).shape == model.goal_feature(torch.rand(2, 3, 3, 3)).shape
    assert model.legal(state).any(1).all()
    soft = model.imagine(state, torch.eye(3)[[1, 0]])
    for one, other in zip(soft, model.imagine(state, torch.tensor([1, 0])), strict=True):
        torch.testing.assert_close(one, other)
    if isinstance(model, Branching):
        parent, action = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
        rows = type(state)(*(field[parent] for field in state))
        for one, other in zip(model.imagine_from(state, parent, action), model.imagine(rows, action), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("name", "variant"), ACTING)
def test_gradients_flow_through_probabilities_of_actions(name, variant):
    model = build(name, variant)
    x, a = random_frames(2, model.context)
    chance = torch.full((2, 3), 1 / 3, requires_grad=True)
    state = model.imagine(model.observe(x, a[:, 1:], torch.full((2,), model.context)), chance)
    model.feature(state).square().sum().backward()
    assert chance.grad is not None and (chance.grad != 0).any(1).all()


@pytest.mark.parametrize(("name", "variant"), CASES)
@torch.no_grad()
def test_optional_capabilities_return_their_shapes(name, variant):
    model = build(name, variant)
    frames = model.window_length
    x, a = random_frames(2, frames)
    length = torch.full((2,), model.context)
    context = x[:, : model.context], a[:, : model.context - 1], length
    if isinstance(model, Generative):
        assert model.generation_modes[0] == "full"
        for mode in model.generation_modes:
            sampled, start = model.generate(*context, a[:, :3], mode)
            assert sampled.shape[2:] == x.shape[2:]
            assert start is None or start.shape == sampled.shape[:2]
    if isinstance(model, Rebuilding):
        rebuilt, start = model.reconstruct(x, a)
        assert rebuilt.shape[2:] == x.shape[2:]
        assert rebuilt.shape[1] <= frames - model.context
    if isinstance(model, Decoding):
        assert model.decode(model.observe(*context)).shape == x[:, 0].shape
    if isinstance(model, Segmenting):
        ends = model.segment(x, a)
        assert ends.shape == a.shape
        assert ((ends >= 0) & (ends <= 1)).all()
    if isinstance(model, Colouring):
        model.start_at(torch.tensor([0.5, -0.5, 0.0]))
