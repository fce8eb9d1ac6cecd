"""RSSM against its equations and the plain loops of world_models/reference/rssm.py."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support.tiny import (
    CONVOLUTION,
    FRAME,
    PATCH,
    assert_same_losses,
    lengths,
    observe_without_padding,
    random_batch,
    random_frames,
)
from world_models.blocks.networks import Sizes
from world_models.interface import ModelConfig
from world_models.reference.rssm import plain_loss
from world_models.rssm import OURS, RSSM, VARIANTS, VTA, RSSMOptions, RSSMState

WINDOW = 7


def build(options: RSSMOptions = VTA, sizes: Sizes = PATCH, **changes) -> RSSM:
    torch.manual_seed(0)
    short = {"window": WINDOW, "horizon": 9, "contrast_frames": 4}
    return RSSM(ModelConfig(sizes, replace(options, **(short | changes)), FRAME))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("horizon", [5, 9])  # shorter and longer than the window
def test_loss_and_gradients_equal_the_plain_loops(options, horizon):
    model = build(options, horizon=horizon)
    batch = random_batch(3, model.window_length)
    torch.manual_seed(1)
    losses = model.loss(batch, 300)
    torch.manual_seed(1)
    assert_same_losses(model, losses.terms, plain_loss(model, batch, 300), losses.weights)


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_parameter_receives_a_gradient(options, sizes):
    model = build(options, sizes)
    torch.manual_seed(1)
    model.loss(random_batch(4, model.window_length), 0).total.backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_paper_weights_nothing():
    model = build(VTA)
    losses = model.loss(random_batch(2, model.window_length), 0)
    assert set(losses.weights.values()) == {1.0}
    bound = losses.terms["image"] + losses.terms["kl_s"]
    assert losses.metrics["nelbo"].item() == pytest.approx(bound.item())


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes=sizes).eval()
    x, a = random_frames(3, 5)
    plain = observe_without_padding(model, x, a, length)
    if length > 1:
        shorter = model.observe(x, a[:, :4], lengths(3, length - 1))
        assert (shorter.h - plain.h).abs().max() > 1e-3  # the frames that count do count


def test_imagine_by_its_equation():
    model = build()
    s, h, a = torch.randn(3, 4), torch.randn(3, 12), torch.tensor([0, 1, 2])
    expected = model.s_rnn.step(model.s_rnn.project(torch.cat([s, torch.eye(3)], -1)), h)
    imagined = model.imagine(RSSMState(s, h), a)
    torch.testing.assert_close(imagined.h, expected)
    torch.testing.assert_close(imagined.s, model.prior_s(expected).mean)


def test_imagined_steps_are_the_losss_transition():
    model = build()
    h_0, a = torch.randn(3, 12), torch.randint(3, (3, 6))
    state, states = RSSMState(torch.zeros(3, 4), h_0), []
    for t in range(6):
        state = model.imagine(state, a[:, t])
        states.append(state)
    imagined = RSSMState(*(torch.stack(field, 1) for field in zip(*states, strict=True)))
    torch.testing.assert_close(model._scan_h(imagined.s, a, h_0), imagined.h)


@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_rows_of_a_batch_do_not_touch_each_other(options, sizes):
    model = build(options, sizes).eval()
    x, a = random_frames(4, 5)
    goal = random_frames(4, 1)[0][:, 0, :, :3, :3]
    length = torch.tensor([1, 3, 4, 5])

    def everything(rows: slice) -> list[Tensor]:
        state = model.imagine(model.observe(x[rows], a[rows, :4], length[rows]), a[rows, 4])
        answers = [model.feature(state), model.goal_feature(goal[rows]), model.legal(state).float()]
        return [*state, *answers, model.decode(state)]

    together = everything(slice(4))
    for row in range(4):
        for one, all_rows in zip(everything(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(one[0], all_rows[row], rtol=1e-4, atol=1e-5)


def test_legal_actions():
    state = RSSMState(torch.randn(50, 4), torch.randn(50, 12))
    assert build(VTA).legal(state).all()
    model = build(OURS)
    torch.nn.init.constant_(list(model.goals.legal_net.parameters())[-1], 0.0)  # type: ignore[union-attr]
    logit, legal = model.goals.legal_logit(torch.cat(state, -1)), model.legal(state)
    assert legal[torch.arange(50), logit.argmax(1)].all()
    assert torch.equal(legal.sum(1), (logit > 0).sum(1).clamp(min=1))


@torch.no_grad()
def generate(model: RSSM, actions: Tensor, seed: int = 0) -> Tensor:
    x, a = random_frames(len(actions), 5)
    torch.manual_seed(seed)
    frames, start = model.eval().generate(x, a[:, :4], lengths(len(actions), 5), actions)
    assert start is None
    return frames


def test_generates_one_frame_an_action():
    model = build()
    actions = torch.randint(3, (6, 8))
    x = generate(model, actions)
    assert x.shape == (6, 8, 3, FRAME, FRAME)
    assert x.abs().max() <= 1
    assert torch.equal(x, generate(model, actions))
    assert not torch.equal(x, generate(model, actions, seed=1))


def test_each_action_steers_its_own_frame_and_later_ones():
    model = build()
    actions = torch.zeros(1, 5, dtype=torch.int64)
    x = generate(model, actions)
    for number in range(5):
        other = actions.clone()
        other[:, number] = 2
        differs = (generate(model, other) != x).flatten(2).any(-1)[0]
        assert differs.tolist() == [frame >= number for frame in range(5)]


def test_posterior_reads_the_past_and_present_only():
    model = build().eval()
    x, a = random_frames(2, model.window_length)
    rebuilt = []
    for change in (False, True):
        if change:
            x[:, 5 + 3] *= -1  # the window's fourth frame
        torch.manual_seed(0)
        rebuilt.append(model.reconstruct(x, a)[0])
    assert rebuilt[0].shape == (2, WINDOW, 3, FRAME, FRAME)
    differs = (rebuilt[0] != rebuilt[1]).flatten(2).any(-1)
    assert differs.tolist() == [[frame >= 3 for frame in range(WINDOW)]] * 2
