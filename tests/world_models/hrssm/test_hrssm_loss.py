"""HRSSM's loss by hand and against the plain loops of world_models/reference/hrssm.py."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.support.hrssm_models import WINDOW, build, set_boundaries
from tests.support.tiny import CONVOLUTION, PATCH, assert_close, assert_same_losses, random_batch, random_frames
from world_models.blocks.networks import one_hot_actions
from world_models.hrssm.hrssm import HRSSM
from world_models.hrssm.options import VARIANTS, VTA
from world_models.interface import Losses
from world_models.reference.hrssm import plain_loss, sample

FORCED = VTA.forced


CHOICES: list[tuple[str, dict[str, Any]]] = [
    *((variant, {}) for variant in VARIANTS),
    ("vta", {"weight_moves_boundaries": False}),
    ("vta", {"jump_action": "first"}),
    ("vta", {"jump_action": "decision"}),
    ("vta", {"relaxed_kl_m": True}),
    ("vta", {"frames_see_belief": True}),
    ("ours", {"belief_from": 301}),
    ("ours", {"belief_from": 300}),
    ("vta", {"below_sees_belief": True}),
    ("vta-code", {"jump_action": "decision"}),
    ("ours", {"samples_from": 300, "subsequence_weight": 0.5, "prior_m_is_mlp": True, "frames_see_belief": True}),
    ("ours", {"prior_m_is_mlp": True}),
    (
        "ours",
        {
            "samples_from": 0,
            "subsequence_weight": 0.5,
            "subsequences": 3,
            "frames_see_belief": True,
            "below_sees_belief": True,
            "l_min": 2,
        },
    ),
]


@pytest.mark.parametrize(("variant", "changes"), CHOICES, ids=str)
def test_loss_and_gradients_equal_the_plain_loops(variant, changes):
    model = build(VARIANTS[variant], **changes)
    batch = random_batch(3, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, 300)
    torch.manual_seed(1)
    assert_same_losses(model, losses.terms, plain_loss(model, batch, 300), losses.weights)


def kl(q, p) -> Tensor:
    return kl_divergence(Normal(*q), Normal(*p)).sum(-1)


def constant_boundaries(logit: float) -> tuple[HRSSM, dict[str, Tensor], dict[str, Tensor]]:
    """A model with one context frame and the same boundary everywhere; its loss terms; what the loss draws."""
    model = build(context=1)
    set_boundaries(model, logit)
    batch = random_batch(4, model.window_length)
    torch.manual_seed(3)
    losses = model.loss(batch, 0)
    torch.manual_seed(3)
    given = sample(model, batch, 0)
    known = {"x": given.x, "e": given.e, "z": given.z, "s": given.s, "a": one_hot_actions(batch.action)}
    return model, losses.terms, known


def assert_terms(terms: dict[str, Tensor], sums: dict[str, Tensor]) -> None:
    """Terms are averages over the window's frames and the batch."""
    for name, total in sums.items():
        assert_close(terms[name], (total / WINDOW).mean(), name)


def test_every_frame_a_subsequence():
    model, terms, known = constant_boundaries(60.0)
    x, e, a = known["x"], known["e"], known["a"]
    nothing = torch.zeros(4, model.config.sizes.belief)
    z, c = torch.zeros(4, 3), model.context_rnn(e[:, 0], h=nothing)
    past = model.psi_forward(e[:, 0], h=nothing)
    sums = {name: torch.zeros(4) for name in ("image", "kl_s", "kl_z", "kl_m")}
    for t in range(1, WINDOW + 1):  # frame 0 is the context
        c = model.z_rnn(z, a[:, t - 1], h=c)  # UPDATE in every frame
        present = model.psi_backward(e[:, t], h=nothing)  # the subsequence is this frame alone
        q_z = model.post_z(torch.cat([past, present], -1))
        z = q_z.mean + q_z.std * known["z"][:, t - 1]
        q_s = model.post_s(torch.cat([model.phi_forward(e[:, t], h=nothing), z], -1))  # phi restarts
        s = q_s.mean + q_s.std * known["s"][:, t - 1]
        sums["kl_z"] += kl(q_z, model.prior_z(c))  # counted in every frame
        sums["kl_s"] += kl(q_s, model.prior_s(model.s_init(z)))  # always INIT
        sums["image"] += (x[:, t] - model.decoder(s[:, None])[:, 0]).square().sum((1, 2, 3)) / 2
        p = torch.sigmoid(model.prior_m(s))[:, 0] if t < 4 else torch.tensor(FORCED)  # N_max = 4
        sums["kl_m"] -= p.log()  # KL[Bern(1) || Bern(p)]
        past = model.psi_forward(e[:, t], h=past)
    assert_terms(terms, sums)


def test_window_of_one_subsequence():
    model, terms, known = constant_boundaries(-60.0)
    x, e, a = known["x"], known["e"], known["a"]
    nothing = torch.zeros(4, model.config.sizes.belief)
    c = model.z_rnn(torch.zeros(4, 3), a[:, 0], h=model.context_rnn(e[:, 0], h=nothing))  # the only jump
    future = nothing
    for t in reversed(range(1, WINDOW + 1)):
        future = model.psi_backward(e[:, t], h=future)
    q_z = model.post_z(torch.cat([model.psi_forward(e[:, 0], h=nothing), future], -1))
    z = q_z.mean + q_z.std * known["z"][:, 0]  # COPY ever after
    sums = {name: torch.zeros(4) for name in ("image", "kl_s", "kl_m")} | {"kl_z": kl(q_z, model.prior_z(c))}
    phi, h, s = nothing, model.s_init(z), torch.zeros(4, 4)
    for t in range(1, WINDOW + 1):
        h = model.s_rnn(s, z, h=h) if t > 1 else h
        phi = model.phi_forward(e[:, t], h=phi)
        q_s = model.post_s(torch.cat([phi, z], -1))
        s = q_s.mean + q_s.std * known["s"][:, t - 1]
        sums["kl_s"] += kl(q_s, model.prior_s(h))
        sums["image"] += (x[:, t] - model.decoder(s[:, None])[:, 0]).square().sum((1, 2, 3)) / 2
        p = torch.sigmoid(model.prior_m(s))[:, 0] if t < 4 else torch.tensor(1 - FORCED)  # l_max = 4
        sums["kl_m"] -= (1 - p).log()  # KL[Bern(0) || Bern(p)]
    assert_terms(terms, sums)


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_parameter_receives_a_gradient(options, sizes):
    model = build(options, sizes)
    torch.manual_seed(1)
    model.loss(random_batch(4, model.window_length), 0).total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_a_detached_weight_changes_gradients_of_boundaries_only():
    found = []
    for moves in (True, False):
        model = build(VTA, weight_moves_boundaries=moves)
        batch = random_batch(4, model.window_length)
        torch.manual_seed(1)
        term = model.loss(batch, 0).terms["kl_z"]
        gradients = torch.autograd.grad(term, list(model.parameters()), allow_unused=True)
        names = [name for name, _ in model.named_parameters()]
        found.append((term, dict(zip(names, gradients, strict=True))))
    (one, exact), (other, detached) = found
    assert one == other
    moved = {name for name, value in exact.items() if value is not None and not value.equal(detached[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} <= {"boundary_net", "encoder"}  # q(m) reads embeddings


def test_subsequences_of_one_frame_have_nothing_more_to_draw():
    model = build(VARIANTS["ours"], subsequence_weight=0.5)
    set_boundaries(model, 60.0)
    terms = model.loss(random_batch(2, model.window_length), 0).terms
    assert terms["subsequence"] == 0
    assert terms["frame"] > 0


def test_weights_are_applied_once():
    terms = {"image": torch.tensor(3.0), "kl_s": torch.tensor(5.0), "goal": torch.tensor(-0.5)}
    assert Losses(terms, {"image": 1.0, "kl_s": 0.1, "goal": 2.0}).total.item() == pytest.approx(3 + 0.5 - 1)
    model = build(VTA)
    losses = model.loss(random_batch(2, model.window_length), 0)
    assert set(losses.weights.values()) == {1.0}  # the paper weights nothing
    bound = sum(losses.terms[name].item() for name in ("image", "kl_s", "kl_z", "kl_m"))
    assert losses.metrics["nelbo"].item() == pytest.approx(bound)


def bound_terms(model: HRSSM, batch) -> dict[str, float]:
    torch.manual_seed(4)
    losses = model.eval().loss(batch, 0)
    return {name: losses.terms[name].item() for name in ("image", "kl_s", "kl_z", "kl_m")}


def test_image_term_is_in_nats_of_a_normal_with_the_options_sigma():
    narrow, wide = (build(sigma=sigma) for sigma in (0.5, 1.0))
    batch = random_batch(2, wide.window_length)
    ratio = bound_terms(narrow, batch)["image"] / bound_terms(wide, batch)["image"]
    assert math.isclose(ratio, 4, rel_tol=1e-5)


def test_frames_after_the_window_are_read_by_the_boundaries_only():
    # With constant boundaries nothing is left that reads them.
    model = build()
    batch = random_batch(2, model.window_length)
    after = model.config.options.context + WINDOW
    changed = batch._replace(observation=batch.observation.clone())
    changed.observation[:, after:] = 255 - changed.observation[:, after:]
    assert bound_terms(model, changed) != bound_terms(model, batch)  # through q(m)
    x, a = random_frames(2, model.window_length)
    x_changed = torch.cat([x[:, :after], -x[:, after:]], 1)
    moved = model.segment(x, a) != model.segment(x_changed, a)
    assert moved[:, after - 1].all()  # the window's last boundary sees what follows
    set_boundaries(model, -0.5)
    assert bound_terms(model, changed) == bound_terms(model, batch)
    changed.observation[:, after - 1] = 0
    assert bound_terms(model, changed) != bound_terms(model, batch)
