"""DLH's loss against the plain loops of world_models/reference/dlh.py, golden values and its own rules."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.dlh_models import CONVOLUTION, PATCH, WINDOW, build, colours, plain_floats
from tests.support.tiny import FRAME, assert_same_losses
from world_models.dlh.hierarchy import Hierarchy
from world_models.reference.dlh import plain, plain_loss

HELD: dict[str, Any] = {"hold": 0.2, "factor_sees_below": True}
NAVIGATION: dict[str, Any] = {
    "features_remember": True,
    "fresh_belief": True,
    "action_weight": 1.5,
    "surprise_weight": 3.0,
    "foreseen_nats": 1.1,
    "imagination_weight": 2.0,
    "contrast_frames": 4,
    "legal_weight": 0.5,
    "lookahead": 3,
    "horizon": 6,
}


@pytest.mark.parametrize(
    ("levels", "actions", "step", "more"),
    [
        (2, 0, 10**6, {}),
        (3, 3, 10**6, {}),
        (4, 0, 5, HELD),
        (3, 0, 10**6, NAVIGATION),
        (2, 3, 5, HELD),
        (2, 3, 5, HELD | NAVIGATION),
        (3, 3, 10**6, NAVIGATION | {"fresh_belief": False, "legal_weight": None}),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_loss_and_gradients_equal_the_plain_loops(monkeypatch, levels, actions, step, more, masked):
    monkeypatch.setattr(Hierarchy, "masked", masked)  # as on a GPU, where a captured step gets its number as a tensor
    model = build(levels=levels, actions=actions, dequantise=levels == 2, **more)
    batch = colours(4, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, torch.tensor(step) if masked else step)
    torch.manual_seed(1)
    found = plain(model, batch, step)
    share = found.walk.change[:, 1:].float().mean((0, 1))
    assert ((share[1:] > 0.05) & (share[1:] < 0.95)).all()  # both components, at all levels
    assert losses.metrics["levels"].item() == pytest.approx(share.sum().item())
    for n, kl in enumerate(found.walk.kl_s, 1):
        assert losses.metrics[f"kl_s_{n}"].item() == pytest.approx(kl.item(), rel=1e-4)
    torch.manual_seed(1)
    # posteriors this narrow magnify rounding
    assert_same_losses(model, losses.terms, plain_loss(model, batch, step), losses.weights, 1e-4)


def test_nested_time_scales():
    for seed in range(2):
        model, batch = build(levels=4), colours(6, WINDOW, seed)
        torch.manual_seed(seed)
        found = plain(model, batch, 0)
        torch.manual_seed(seed)
        hierarchy, noise = model.hierarchy, torch.randn(6, WINDOW, 4, PATCH.state)
        start = (torch.arange(WINDOW) == 0).expand(6, -1)
        seen = hierarchy.see(model.encoder(plain_floats(batch)), batch.action[:, :-1], start)
        change = hierarchy.select(seen, noise)
        assert torch.equal(change, found.walk.change)
        assert change[:, 0].all()
        assert change[..., 0].all()
        assert not (change[..., 1:] & ~change[..., :-1]).any()  # Eq. 5
        s = torch.stack([path.rows.spread(path.s) for path in hierarchy.paths(seen, change, noise)], 2)
        kept = (s[:, 1:] == s[:, :-1]).all(-1)
        assert torch.equal(kept[..., 1:], ~change[:, 1:, :-1])  # resampled exactly where the level below changes
        assert not kept[..., 0].any()


@pytest.mark.parametrize(
    ("sizes", "options"),
    [(PATCH, {}), (CONVOLUTION, {}), (PATCH, NAVIGATION)],
    ids=["patch", "convolution", "navigation"],
)
def test_every_parameter_receives_a_gradient(sizes, options):
    model = build(sizes, **options)
    torch.manual_seed(1)
    model.loss(colours(4, model.window_length), 0).total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_golden_losses(monkeypatch):
    """Nothing random: weights, frames and noise are sines. world_models/reference/dlh.py computed the values."""
    model = build(actions=0)
    with torch.no_grad():
        for number, value in enumerate(model.parameters()):
            value.copy_(sines(value.shape, number) / max(value.shape[-1], 2) ** 0.5)
        model.encoder.module[-2].weight.mul_(6)
        for level in model.hierarchy.levels:
            level.post.net[0].weight.mul_(4)  # type: ignore
            level.post.net[-1].bias[PATCH.state :] = -4.0  # type: ignore
            if hasattr(level, "encode"):
                level.encode[-1].weight.mul_(4)  # type: ignore
    shade = (sines((2, WINDOW, 1, 1, 3), 1) * 127 + 128).to(torch.uint8)
    batch = colours(2, WINDOW)._replace(observation=shade.expand(-1, -1, FRAME, FRAME, -1).contiguous())
    monkeypatch.setattr(torch, "randn", lambda size, **_: sines(size, 2))
    losses = model.loss(batch, 0)
    assert losses.metrics["levels"].item() == pytest.approx(GOLDEN["levels"])
    for name, term in losses.terms.items():
        assert term.item() == pytest.approx(GOLDEN[name], rel=1e-4), name


GOLDEN = {"levels": 1.0, "image": 833.71655, "kl_s": 15.548973, "kl_e": 0.660101}


def sines(shape: Any, phase: int) -> Tensor:
    count = math.prod(shape)
    return torch.sin(torch.arange(count, dtype=torch.float64) * 1.7 + phase).float().view(tuple(shape))


def test_weights_of_the_divergences_rise_over_ten_thousand_steps():
    model = build()
    batch = colours(2, WINDOW)
    for step, weight in ((0, 1e-4), (4_999, 0.5), (9_999, 1.0), (50_000, 1.0)):
        losses = model.loss(batch, step)
        assert losses.weights == pytest.approx({"image": 1, "kl_s": weight, "kl_e": weight, "goal": 1})
    bound = sum(losses.terms[name].item() for name in ("image", "kl_s", "kl_e"))
    assert losses.metrics["nelbo"].item() == pytest.approx(bound)


def test_upper_levels_are_held_less_and_less_and_only_while_training():
    model, batch = build(levels=3, hold=1.0, hold_steps=100), colours(6, WINDOW)

    def levels(step):
        torch.manual_seed(0)
        return model.loss(batch, step).metrics["levels"].item()

    free = levels(100)
    assert levels(0) == 1  # level 1 alone
    assert 1 < levels(50) < free
    assert levels(1000) == free > 1.2
    model.eval()
    assert levels(0) == levels(1000) > 1.2


def test_image_term_is_in_nats_of_a_normal_with_the_options_sigma():
    values = []
    for sigma in (0.5, 1.0):
        torch.manual_seed(2)
        values.append(build(sigma=sigma).eval().loss(colours(2, WINDOW), 0).terms["image"].item())
    assert values[0] == pytest.approx(4 * values[1], rel=1e-5)
