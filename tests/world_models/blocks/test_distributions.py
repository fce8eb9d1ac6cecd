"""Densities and divergences against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from world_models.blocks.distributions import (
    Gaussian,
    GaussianHead,
    bernoulli_kl,
    gaussian_kl,
    image_nll,
    straight_through_bernoulli,
)


def random_gaussian(seed: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    return Gaussian(
        torch.randn(4, 3, 5, generator=generator).requires_grad_(),
        (torch.rand(4, 3, 5, generator=generator) + 0.05).requires_grad_(),
    )


def test_gaussian_kl_and_its_gradients():
    q, p = random_gaussian(0), random_gaussian(1)
    actual, expected = gaussian_kl(q, p), kl_divergence(Normal(*q), Normal(*p)).sum(-1)
    torch.testing.assert_close(actual, expected)
    for mine, theirs in zip(*(torch.autograd.grad(kl.sum(), (*q, *p)) for kl in (actual, expected)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_gaussian_sample_is_reparameterised():
    q = random_gaussian(0)
    torch.manual_seed(3)
    sample = q.sample()
    torch.manual_seed(3)
    torch.testing.assert_close(sample, q.mean + q.std * torch.randn(4, 3, 5))
    by_mean, by_std = torch.autograd.grad(sample.sum(), q)
    assert (by_mean == 1).all()
    torch.testing.assert_close(by_std, ((sample - q.mean) / q.std).detach())


def test_std_of_a_head_never_reaches_zero():
    head = GaussianHead(2, 4, 3)
    weight, bias = list(head.parameters())[-2:]
    with torch.no_grad():
        weight.zero_()
        bias.copy_(torch.tensor([1.0, 2.0, 3.0, -200.0, 0.0, 200.0]))
    mean, std = head(torch.ones(1, 2))
    assert mean.tolist() == [[1, 2, 3]]
    # sigmoid(-200) is 0 in float32; 1e-4 is added
    assert std[0].tolist() == pytest.approx([1e-4, 0.5001, 1.0001])


def test_bernoulli_kl_and_its_gradients():
    logit = torch.linspace(-6, 6, 25).repeat(4, 1).requires_grad_()
    p = torch.tensor([0.001, 0.3, 0.9, 0.999])[:, None].repeat(1, 25).requires_grad_()
    actual, expected = bernoulli_kl(logit, p), kl_divergence(Bernoulli(logits=logit), Bernoulli(probs=p))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)
    for mine, theirs in zip(*(torch.autograd.grad(kl.sum(), (logit, p)) for kl in (actual, expected)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_bernoulli_kl_of_a_certain_posterior_is_finite():
    # KL[Bern(1) || Bern(0.001)] = -log 0.001, KL[Bern(0) || Bern(0.001)] = -log 0.999
    logit = torch.tensor([200.0, -200.0], requires_grad=True)
    divergence = bernoulli_kl(logit, torch.full((2,), 1e-3))
    assert divergence.tolist() == pytest.approx([-math.log(0.001), -math.log(0.999)], rel=1e-4)
    divergence.sum().backward()
    assert logit.grad is not None
    assert logit.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_straight_through_sample_is_hard_and_has_the_probability_of_its_logit(temperature):
    torch.manual_seed(0)
    logit = torch.tensor([-2.0, 0.0, 1.0]).repeat(20_000, 1)
    sample = straight_through_bernoulli(logit, temperature)
    assert set(sample.unique().tolist()) == {0.0, 1.0}  # exactly: boundaries are counted and compared
    probability = torch.sigmoid(logit[0])
    error = (probability * (1 - probability) / 20_000).sqrt()
    assert ((sample.mean(0) - probability).abs() < 4 * error).all()


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_straight_through_gradient_is_that_of_the_gumbel_softmax(temperature):
    logit = torch.linspace(-2, 2, 50).requires_grad_()
    torch.manual_seed(1)
    straight_through_bernoulli(logit, temperature).sum().backward()
    torch.manual_seed(1)
    uniform = torch.rand(50)
    # two Gumbel variables differ by a logistic one; y = sigmoid((logit + logistic) / tau), dy/dlogit = y (1 - y) / tau
    y = torch.sigmoid((logit + torch.logit(uniform)) / temperature).detach()
    torch.testing.assert_close(logit.grad, y * (1 - y) / temperature, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sigma", [1.0, 0.3])
def test_image_nll_is_the_normal_density_without_its_constant(sigma):
    generator = torch.Generator().manual_seed(0)
    x, mean = torch.randn(2, 2, 5, 3, 4, 4, generator=generator)
    constant = 3 * 4 * 4 * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
    expected = -Normal(mean, sigma).log_prob(x).sum((-3, -2, -1)) - constant
    torch.testing.assert_close(image_nll(x, mean, sigma), expected.mean(), rtol=1e-4, atol=1e-3)
    patches = image_nll(x.view(2, 5, 6, 8), mean.view(2, 5, 6, 8), sigma)  # whatever the arrangement
    torch.testing.assert_close(patches, expected.mean(), rtol=1e-4, atol=1e-3)
