"""HRSSM's boundaries: what q(m) reads, its network, its temperature, random ones at first."""

import pytest
import torch

from tests.support.hrssm_models import WINDOW, build, set_boundaries
from tests.support.tiny import random_batch, random_frames
from world_models.hrssm.boundaries import BoundaryNet
from world_models.hrssm.options import VARIANTS, HRSSMOptions


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_segment_gives_probabilities(options):
    x, a = random_frames(3, 30)
    probability = build(options).segment(x, a)
    assert probability.shape == (3, 30)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert probability.std() > 0


def test_causal_boundaries_read_no_later_frame_and_action():
    x, a = random_frames(2, 20)
    later_x, later_a = x.clone(), a.clone()
    later_x[:, 12:] *= -1
    later_a[:, 12:] = (a[:, 12:] + 1) % 3
    for causal in (True, False):
        model = build(boundary_sees_actions=True, boundary_causal=causal)
        differs = (model.segment(x, a) - model.segment(later_x, later_a)).abs().amax(0) > 1e-6
        assert differs[12:].all()
        assert differs[:12].any() == (not causal)


def test_boundaries_read_the_actions_before_them_and_never_their_own():
    x, a = random_frames(2, 20)
    other = a.clone()
    other[:, 12] = (a[:, 12] + 1) % 3
    model = build(boundary_sees_actions=True, boundary_causal=True)
    differs = (model.segment(x, a) - model.segment(x, other)).abs().amax(0) > 1e-6
    assert differs.nonzero().flatten().tolist() == list(range(13, 20))  # 7: three convolutions of 3


def test_temperature_falls_from_one_to_a_tenth():
    model = build()
    assert model.temperature(0) == 1.0
    assert model.temperature(100) == pytest.approx(0.1 + 0.9 * 0.999)
    assert model.temperature(500_000) == pytest.approx(0.1 + 0.9 * 0.999**5000)


@pytest.mark.parametrize("causal", [False, True])
def test_boundary_net_is_three_convolutions_over_time(causal):
    net = BoundaryNet(7, 6, causal)
    x = torch.randn(2, 9, 7)
    y = x.transpose(1, 2)
    for layer in net.layers:
        y = torch.nn.functional.elu(layer(torch.nn.functional.pad(y, net.padding)))
    torch.testing.assert_close(net(x), net.out(y.transpose(1, 2)).squeeze(-1))


def test_normalised_boundaries_are_about_as_likely_as_not_at_first():
    torch.manual_seed(0)
    x = torch.nn.functional.elu(torch.randn(8, 30, 128)) + 3  # far from 0, as embeddings may be
    q = torch.sigmoid(BoundaryNet(128, 128, causal=False, batch_norm=True)(x))
    assert q.mean().item() == pytest.approx(0.5, abs=0.1)


def test_a_training_explores_boundaries_at_first_and_never_when_it_is_measured():
    model = build(explore_steps=10, boundary_rate=1 / 3, l_min=2)
    set_boundaries(model, -60.0)  # q(m) wants none
    batch = random_batch(200, model.window_length)

    def boundaries(step: int) -> float:
        torch.manual_seed(2)
        return model.loss(batch, step).metrics["boundaries"].item() / WINDOW

    assert boundaries(0) == pytest.approx(1 / 3, abs=0.03)
    assert boundaries(5) == pytest.approx(1 / 6, abs=0.04)
    assert boundaries(10) == 0
    model.eval()
    assert boundaries(0) == 0


def test_explored_boundaries_give_no_gradient_to_q_of_m():
    model = build(explore_steps=10)
    terms = model.loss(random_batch(3, model.window_length), 0).terms
    by_image = torch.autograd.grad(terms["image"], list(model.boundary_net.parameters()), allow_unused=True)
    assert not any(gradient is not None and gradient.any() for gradient in by_image)


@pytest.mark.parametrize("rate", [0.0, 1 / 6])
def test_random_subsequences_must_be_long_enough_and_end(rate):
    with pytest.raises(ValueError, match=rf"boundary_rate.*0\.1.*explore_steps.*got {rate:g}"):
        HRSSMOptions(explore_steps=10, l_min=10, boundary_rate=rate)
