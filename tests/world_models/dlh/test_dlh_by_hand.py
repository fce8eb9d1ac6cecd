"""DLH's choice of changes and its divergences, worked by hand: Algorithm 1, Eq. 4, 5 and 9 of Zakharov et al. 2022."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from world_models.blocks.distributions import Gaussian
from world_models.dlh.hierarchy import Hierarchy, LevelPath, Seen
from world_models.dlh.options import DLHOptions, DLHSizes


class Answer(nn.Module):
    """A network that answers by a formula."""

    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, features: Tensor) -> Any:
        return self.formula(features)


def by_hand(priors: list[tuple[float, float]], logit: float, sees_context: bool = False, **options: Any) -> Hierarchy:
    """Levels of one number each: q(s^n) = N(x^n (+ c^n), 0.5²), p(s^n | e^n = 1) constant, c^{n-1} = s^n, c^N = 0."""
    sizes = DLHSizes(images="patch", channels=8, embedding=1, belief=1, state=1, hidden=1)
    hierarchy = Hierarchy(sizes, DLHOptions(levels=len(priors), **options), 0)
    nn.init.zeros_(hierarchy.top_context)
    for n, (mean, std) in enumerate(priors):
        level: Any = hierarchy.levels[n]

        def posterior(f: Tensor, scale: float = float(sees_context and n > 0)) -> Gaussian:
            return Gaussian(f[..., :1] + scale * f[..., 1:], torch.full_like(f[..., :1], 0.5))

        def prior(f: Tensor, mean: float = mean, std: float = std) -> Gaussian:
            return Gaussian(torch.full_like(f[..., :1], mean), torch.full_like(f[..., :1], std))

        level.post, level.prior = Answer(posterior), Answer(prior)
        if n:
            level.decode_net = Answer(lambda f: f[..., :1])
            nn.init.zeros_(level.factor_logit.weight)
            nn.init.constant_(level.factor_logit.bias, logit)
    return hierarchy


def follow(hierarchy: Hierarchy, x: list[Tensor]) -> tuple[Tensor, list[LevelPath], Any]:
    """Change of one sequence at the posteriors' means: e, the paths and the divergences."""
    t, n = x[0].shape[1], len(x)
    start = (torch.arange(t) == 0)[None]
    seen, noise = Seen(x, torch.zeros(1, t, 0), start), torch.zeros(1, t, n, 1)
    change = hierarchy.select(seen, noise)
    paths = hierarchy.paths(seen, change, noise)
    return change, paths, hierarchy.divergences(paths, change, start)


def sequence(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[None, :, None]


def test_divergences_worked_by_hand():
    # KL[N(x, 0.5²) || N(m, 1)] = log 2 + (0.25 + (x - m)²) / 2 - 0.5 = 0.318147 + (x - m)² / 2
    # KL[N(x, 0.5²) || N(y, 0.5²)] = 2 (x - y)²
    hierarchy = by_hand([(0.5, 1.0), (1.9, 1.0)], logit=math.log(3))  # p(e = 1) = 3/4
    x = [sequence(0, 1, 0, 1), sequence(0, 0.1, 2, 2.1).requires_grad_()]
    change, _, (kl_s, kl_e) = follow(hierarchy, x)
    # frame       1        2           3             4
    # static      –        2 · 0.1²    2 · 1.9²      2 · 0.1²
    # change      1.9²/2   1.8²/2      0.1²/2        0.2²/2       each + 0.318147
    assert change[0].tolist() == [[True, True], [True, False], [True, True], [True, False]]
    assert kl_s[0].item() == pytest.approx(0.318147 + 0.125, abs=1e-5)
    assert kl_s[1].item() == pytest.approx((0.318147 + 1.805 + 0.02 + 0.318147 + 0.005 + 0.02) / 4, abs=1e-5)
    assert kl_e[0].item() == pytest.approx((math.log(4) + math.log(4 / 3) + math.log(4)) / 4, abs=1e-5)  # not frame 1
    # the static prior receives gradient: of 2 (x_2 - x_1)², x_1 gets -0.4 and -1.9 from its own change prior
    (gradient,) = torch.autograd.grad(4 * kl_s[1], x[1])
    torch.testing.assert_close(gradient, sequence(-1.9 - 0.4, 0.4, 0.1 - 0.4, 0.4))


def test_algorithm_1_worked_by_hand():
    # Equal stds: a level takes the component whose mean is nearer, the last posterior's or the change prior's.
    hierarchy = by_hand([(0.0, 0.5), (10.0, 0.5), (5.0, 0.5)], logit=0.0, sees_context=True)
    x = [sequence(0, 0, 0, 0, 0), sequence(0, 1, 5.8, 3.9, 12), sequence(0, 5, -2, 7, 4)]
    change, paths, (kl_s, kl_e) = follow(hierarchy, x)
    # 1 all change: s^3 = 0, s^2 = 0 + 0
    # 2 candidate 1 + 0: 0 is nearer than 10, static. Level 3 is blocked: x^3 = 5 would be a change, but s^3 stays 0
    # 3 candidate 5.8 + 0 (Eq. 25: level 3 as it was): 10 is nearer than 1, change. Level 3: -2 is nearer to 0 than 5,
    #   static, with a fresh posterior: s^3 = -2, so s^2 = 5.8 - 2, which alone would have been static
    # 4 candidate 3.9 - 2: 3.8 is nearer, static; level 3 is blocked
    # 5 candidate 12 - 2: 10, change. Level 3: 4 is nearer to 5 than to -2, change: s^3 = 4, s^2 = 12 + 4
    assert change[0, :, 1:].int().tolist() == [[1, 1], [0, 0], [1, 0], [0, 0], [1, 1]]
    s_2, s_3 = (path.rows.spread(path.s).flatten().tolist() for path in paths[1:])
    assert s_2 == pytest.approx([0, 1, 3.8, 1.9, 16])
    assert s_3 == pytest.approx([0, 0, -2, -2, 4])
    assert len(paths[2].s) == 3  # a blocked level computes nothing
    assert kl_s[1].item() == pytest.approx(2 * (10**2 + 1**2 + 6.2**2 + 1.9**2 + 6**2) / 5, rel=1e-5)
    assert kl_s[2].item() == pytest.approx(2 * (5**2 + 2**2 + 1**2) / 5, rel=1e-5)
    assert [kl.item() for kl in kl_e] == pytest.approx([4 * math.log(2) / 5, 2 * math.log(2) / 5])  # blocked: none
