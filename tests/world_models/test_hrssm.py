"""HRSSM against the paper's rules, by hand and by the plain loops of world_models/reference/hrssm.py."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.support.hrssm_models import WINDOW, build, lengths
from tests.support.tiny import CONVOLUTION, PATCH, assert_close, assert_same_losses, random_batch, random_frames
from world_models.blocks.networks import GRU, one_hot_actions
from world_models.hrssm.boundaries import FORCED, BoundaryNet
from world_models.hrssm.hrssm import HRSSM, HRSSMState
from world_models.hrssm.options import OURS, VARIANTS, VTA, HRSSMOptions
from world_models.interface import Losses
from world_models.reference.hrssm import draw, plain_loss


def set_boundaries(model: HRSSM, logit: float) -> None:
    """Make q(m) answer one logit everywhere."""
    weight, bias = list(model.boundary_net.parameters())[-2:]
    torch.nn.init.zeros_(weight)
    torch.nn.init.constant_(bias, logit)


# ------------------------------------------------------------------------ boundaries


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
    assert differs.nonzero().flatten().tolist() == [
        13,
        14,
        15,
        16,
        17,
        18,
        19,
    ]  # 7: three convolutions of 3


def test_temperature_falls_from_one_to_a_tenth():
    model = build()
    assert model.temperature(0) == 1.0
    assert model.temperature(100) == pytest.approx(0.1 + 0.9 * 0.999)
    assert model.temperature(500_000) == pytest.approx(0.1 + 0.9 * 0.999**5000)


# ------------------------------------------------------------------------ the loss


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_loss_and_gradients_equal_the_plain_loops(options):
    model = build(options)
    batch = random_batch(3, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, 300)
    torch.manual_seed(1)
    assert_same_losses(model, losses.terms, plain_loss(model, batch, 300), losses.weights)


def rnn(gru: GRU, inputs: list[Tensor], h: Tensor) -> Tensor:
    return gru.step(gru.project(torch.cat(inputs, -1)), h)


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
    drawn = draw(model, batch, 0)
    known = {"x": drawn.x, "e": drawn.e, "z": drawn.z, "s": drawn.s, "a": one_hot_actions(batch.action)}
    return model, losses.terms, known


def assert_terms(terms: dict[str, Tensor], sums: dict[str, Tensor]) -> None:
    """Terms are averages over the window's frames and the batch."""
    for name, total in sums.items():
        assert_close(terms[name], (total / WINDOW).mean(), name)


def test_every_frame_a_subsequence():
    model, terms, known = constant_boundaries(60.0)
    x, e, a = known["x"], known["e"], known["a"]
    nothing = torch.zeros(4, model.config.sizes.belief)
    z, c = torch.zeros(4, 3), rnn(model.context_rnn, [e[:, 0]], nothing)
    past = rnn(model.psi_forward, [e[:, 0]], nothing)
    sums = {name: torch.zeros(4) for name in ("image", "kl_s", "kl_z", "kl_m")}
    for t in range(1, WINDOW + 1):  # frame 0 is the context
        c = rnn(model.z_rnn, [z, a[:, t - 1]], c)  # UPDATE in every frame
        present = rnn(model.psi_backward, [e[:, t]], nothing)  # the subsequence is this frame alone
        q_z = model.post_z(torch.cat([past, present], -1))
        z = q_z.mean + q_z.std * known["z"][:, t - 1]
        q_s = model.post_s(torch.cat([rnn(model.phi_forward, [e[:, t]], nothing), z], -1))  # phi starts anew
        s = q_s.mean + q_s.std * known["s"][:, t - 1]
        sums["kl_z"] += kl(q_z, model.prior_z(c))  # counted in every frame
        sums["kl_s"] += kl(q_s, model.prior_s(model.s_init(z)))  # always INIT
        sums["image"] += (x[:, t] - model.decoder(s[:, None])[:, 0]).square().sum((1, 2, 3)) / 2
        p = torch.sigmoid(model.prior_m(s))[:, 0] if t < 4 else torch.tensor(FORCED)  # N_max = 4
        sums["kl_m"] -= p.log()  # KL[Bern(1) || Bern(p)]
        past = rnn(model.psi_forward, [e[:, t]], past)
    assert_terms(terms, sums)


def test_window_of_one_subsequence():
    model, terms, known = constant_boundaries(-60.0)
    x, e, a = known["x"], known["e"], known["a"]
    nothing = torch.zeros(4, model.config.sizes.belief)
    c = rnn(model.z_rnn, [torch.zeros(4, 3), a[:, 0]], rnn(model.context_rnn, [e[:, 0]], nothing))  # the only jump
    future = nothing
    for t in reversed(range(1, WINDOW + 1)):
        future = rnn(model.psi_backward, [e[:, t]], future)
    q_z = model.post_z(torch.cat([rnn(model.psi_forward, [e[:, 0]], nothing), future], -1))
    z = q_z.mean + q_z.std * known["z"][:, 0]  # COPY ever after
    sums = {name: torch.zeros(4) for name in ("image", "kl_s", "kl_m")} | {"kl_z": kl(q_z, model.prior_z(c))}
    phi, h, s = nothing, model.s_init(z), torch.zeros(4, 4)
    for t in range(1, WINDOW + 1):
        h = rnn(model.s_rnn, [s, z], h) if t > 1 else h
        phi = rnn(model.phi_forward, [e[:, t]], phi)
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


def test_weights_are_applied_once():
    terms = {"image": torch.tensor(3.0), "kl_s": torch.tensor(5.0), "goal": torch.tensor(-0.5)}
    assert Losses(terms, {"image": 1.0, "kl_s": 0.1, "goal": 2.0}).total.item() == pytest.approx(3 + 0.5 - 1)
    model = build(VTA)
    losses = model.loss(random_batch(2, model.window_length), 0)
    assert set(losses.weights.values()) == {1.0}  # the paper weights nothing
    bound = sum(losses.terms[name].item() for name in ("image", "kl_s", "kl_z", "kl_m"))
    assert losses.metrics["nelbo"].item() == pytest.approx(bound)


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
    told = rf"option boundary_rate must be above 0 and at most 1 / l_min = 0\.1 with explore_steps, got {rate:g}"
    with pytest.raises(ValueError, match=told):
        HRSSMOptions(explore_steps=10, l_min=10, boundary_rate=rate)


# ------------------------------------------------------------------------ what reads what


def bound_terms(model: HRSSM, batch) -> dict[str, float]:
    torch.manual_seed(4)
    losses = model.eval().loss(batch, 0)
    return {name: losses.terms[name].item() for name in ("image", "kl_s", "kl_z", "kl_m")}


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


def test_context_before_its_length_is_not_read():
    model = build()
    e = torch.randn(1, 5 + WINDOW, 10)
    start = torch.zeros(1, WINDOW)
    start[:, ::3] = 1
    m = torch.cat([start[:, 1:], torch.zeros(1, 1)], 1)
    for length in range(1, 6):
        first = 5 - length  # the first frame that counts
        results = []
        for frame in (None, first - 1, first):
            other = e.clone()
            if frame is not None and frame >= 0:
                other[:, : frame + 1] += 10
            torch.manual_seed(0)
            results.append(model.infer(other, start, m, lengths(1, length)).z)
        assert torch.equal(results[0], results[1]), length
        assert not torch.equal(results[0], results[2]), length


def test_frame_changes_its_own_subsequence_and_later_ones_only():
    model = build()
    e = torch.randn(2, 5 + WINDOW, 10)
    m = torch.tensor([0, 0, 1, 0, 0, 1, 0, 0, 0]).float().expand(2, -1)  # subsequences of 3, 3 and 3 frames
    start = torch.cat([torch.ones(2, 1), m[:, :-1]], 1)
    a = torch.randint(3, (2, WINDOW))
    c_0 = torch.randn(2, 12)
    results = []
    for change in (0.0, 5.0):
        other = e.clone()
        other[:, 5 + 4] += change  # the second frame of the second subsequence
        torch.manual_seed(0)
        posterior = model.infer(other, start, m, lengths(2, 5))
        results.append((posterior.z, posterior.s, model._scan_c(posterior.z, a, start, c_0)))
    changed = torch.stack([(one != other).any(-1).all(0) for one, other in zip(*results, strict=True)])
    equal = torch.stack([(one == other).all(-1).all(0) for one, other in zip(*results, strict=True)])
    z, s, c = changed.int().tolist()
    assert z == [0, 0, 0, 1, 1, 1, 1, 1, 1]  # psi_bwd carries it to its subsequence's start, psi_fwd onwards
    assert s == [0, 0, 0, 1, 1, 1, 1, 1, 1]  # by z
    assert c == [0, 0, 0, 0, 0, 0, 1, 1, 1]  # f(z_{t-1}, a_{t-1}, c_{t-1}): from the next jump on
    assert torch.equal(changed, ~equal)


def test_actions_are_read_where_a_subsequence_starts_only():
    model = build()
    z, c_0 = torch.randn(1, WINDOW, 3), torch.randn(1, 12)
    start = torch.tensor([[1, 0, 0, 1, 0, 0, 0, 1, 0]]).float()
    a = torch.zeros(1, WINDOW, dtype=torch.int64)  # a_{t-1} at t
    c = model._scan_c(z, a, start, c_0)
    for t in range(WINDOW):
        other = a.clone()
        other[:, t] = 1
        differs = (model._scan_c(z, other, start, c_0) != c).any(-1)[0]
        assert differs.tolist() == [bool(start[0, t]) and frame >= t for frame in range(WINDOW)]


# ------------------------------------------------------------------------ observe and imagine


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes=sizes).eval()
    x, a = random_frames(3, 5)
    plain = model.observe(x[:, 5 - length :], a[:, 5 - length : 4], lengths(3, length))  # no padding at all
    for filling in (0.0, 1.0, -1e3):
        padded_x, padded_a = x.clone(), a[:, :4].clone()
        padded_x[:, : 5 - length] = filling
        padded_a[:, : 5 - length] = 2
        padded = model.observe(padded_x, padded_a, lengths(3, length))
        for one, other in zip(plain, padded, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
    if length > 1:
        shorter = model.observe(x, a[:, :4], lengths(3, length - 1))
        assert (shorter.c - plain.c).abs().max() > 1e-3  # the frames that count do count


def test_observe_reads_each_row_to_its_own_length():
    model = build().eval()
    x, a = random_frames(5, 5)
    together = model.observe(x, a[:, :4], torch.arange(1, 6))
    assert not together.z.any()  # z_0 = 0
    for row in range(5):
        alone = model.observe(x[row : row + 1], a[row : row + 1, :4], lengths(1, row + 1))
        torch.testing.assert_close(alone.c[0], together.c[row], rtol=1e-5, atol=1e-6)


def test_imagined_jumps_are_the_losss_transition():
    model = build()
    c_0, a = torch.randn(3, 12), torch.randint(3, (3, 6))
    state, states = HRSSMState(torch.zeros(3, 3), c_0), []
    for t in range(6):
        state = model.imagine(state, a[:, t])
        states.append(state)
    imagined = HRSSMState(*(torch.stack(field, 1) for field in zip(*states, strict=True)))
    every_frame = torch.ones(3, 6)
    torch.testing.assert_close(model._scan_c(imagined.z, a, every_frame, c_0), imagined.c)
    torch.testing.assert_close(model.prior_z(imagined.c).mean, imagined.z)


def test_imagine_by_the_papers_equation():
    model = build()
    z, c, a = torch.randn(3, 3), torch.randn(3, 12), torch.tensor([0, 1, 2])
    expected = rnn(model.z_rnn, [z, torch.eye(3)], c)
    imagined = model.imagine(HRSSMState(z, c), a)
    torch.testing.assert_close(imagined.c, expected)
    torch.testing.assert_close(imagined.z, model.prior_z(expected).mean)


@pytest.mark.parametrize("reads_belief", [False, True])
def test_a_jumps_first_frame_shows_what_init_reads(reads_belief):
    model = build(init_sees_belief=reads_belief)
    z, c, other = torch.randn(1, 3), torch.randn(1, 12), torch.randn(1, 12)
    frame = model.decode(HRSSMState(z, c))
    assert not torch.equal(model.decode(HRSSMState(-z, c)), frame)
    assert torch.equal(model.decode(HRSSMState(z, other)), frame) != reads_belief


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_rows_of_a_batch_do_not_touch_each_other(options, sizes):
    model = build(options, sizes).eval()
    x, a = random_frames(4, 5)
    goal = random_frames(4, 1)[0][:, 0, :, :3, :3]

    def everything(rows: slice) -> list[Tensor]:
        state = model.observe(x[rows], a[rows, :4], lengths(len(x[rows]), 4))
        jumped = model.imagine(state, a[rows, 4])
        answers = [*jumped, model.feature(jumped), model.goal_feature(goal[rows]), model.legal(jumped).float()]
        return [*answers, model.decode(jumped), model.segment(x[rows], a[rows])]

    together = everything(slice(4))
    for row in range(4):
        for one, all_rows in zip(everything(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(one[0], all_rows[row], rtol=1e-4, atol=1e-5)


def test_legal_actions():
    state = HRSSMState(torch.randn(50, 3), torch.randn(50, 12))
    assert build(VTA).legal(state).all()  # the paper predicts none
    model = build(OURS)
    torch.nn.init.constant_(list(model.goals.legal_net.parameters())[-1], 0.0)  # type: ignore[union-attr]
    logit, legal = model.goals.legal_logit(torch.cat(state, -1)), model.legal(state)
    assert torch.equal(legal.any(1), torch.ones(50, dtype=torch.bool))
    assert legal[torch.arange(50), logit.argmax(1)].all()
    unlikely = (logit < 0).all(1)
    assert unlikely.any()
    assert (legal[unlikely].sum(1) == 1).all()
    assert torch.equal(legal[~unlikely], logit[~unlikely] > 0)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_features_of_states_and_goals_lie_in_one_space(options):
    model = build(options)
    state = HRSSMState(torch.randn(4, 3), torch.randn(4, 12))
    goal = model.goal_feature(torch.rand(4, 3, 3, 3))
    assert model.feature(state).shape == goal.shape
    assert not torch.equal(goal[0], goal[1])


# ------------------------------------------------------------------------ networks


def test_image_term_is_in_nats_of_a_normal_with_the_options_deviation():
    narrow, wide = (build(sigma=sigma) for sigma in (0.5, 1.0))
    batch = random_batch(2, wide.window_length)
    ratio = bound_terms(narrow, batch)["image"] / bound_terms(wide, batch)["image"]
    assert math.isclose(ratio, 4, rel_tol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_boundary_net_is_three_convolutions_over_time(causal):
    net = BoundaryNet(7, 6, causal)
    x = torch.randn(2, 9, 7)
    y = x.transpose(1, 2)
    for layer in net.layers:
        y = torch.nn.functional.elu(layer(torch.nn.functional.pad(y, net.padding)))
    torch.testing.assert_close(net(x), net.out(y.transpose(1, 2)).squeeze(-1))
