"""DLH's futures: rollouts, imagined changes, resampled levels."""

import pytest
import torch
from torch import Tensor

from tests.support.dlh_models import build, plain_colours
from tests.support.tiny import FRAME, lengths
from world_models.dlh.dlh import DLH


def set_changes(model: DLH, logit: float) -> None:
    """Make p(e^n = 1) one value at all levels."""
    for level in model.hierarchy.levels[1:]:
        torch.nn.init.zeros_(level.factor_logit.weight)
        torch.nn.init.constant_(level.factor_logit.bias, logit)


@torch.no_grad()
def roll(model: DLH, actions: Tensor, mode: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, a = plain_colours(len(actions), 5)
    state = model.eval().observe(x, a[:, :4], lengths(len(actions), 5))
    torch.manual_seed(seed)
    return model.rollout(state, actions, mode)


@pytest.mark.parametrize("mode", DLH.generation_modes)
def test_rollouts_are_decided_by_their_noise(mode):
    model, actions = build(), torch.randint(3, (4, 7))
    frames, change = roll(model, actions, mode)
    assert frames.shape == (4, 7, 3, FRAME, FRAME)
    assert change.shape == (4, 7, 3)
    again, change_again = roll(model, actions, mode)
    assert torch.equal(frames, again)
    assert torch.equal(change, change_again)
    assert not torch.equal(frames, roll(model, actions, mode, seed=1)[0])


def test_rollouts_change_by_the_prior_nested():
    model, actions = build(), torch.zeros(400, 2, dtype=torch.int64)
    set_changes(model, 0.0)
    share = roll(model, actions, "full")[1].float().mean((0, 1)).tolist()
    assert share == pytest.approx([1, 0.5, 0.25], abs=0.06)  # a level changes only where the one below does
    for logit, changes in ((0.1, [True] * 3), (-0.1, [True, False, False])):
        set_changes(model, logit)
        assert roll(model, actions, "mode")[1].flatten(0, 1).unique(dim=0).tolist() == [changes]


@torch.no_grad()
def test_a_static_level_keeps_its_sample():
    model = build().eval()
    set_changes(model, -60.0)
    x, a = plain_colours(3, 5)
    state = model.observe(x, a[:, :4], lengths(3, 5))
    hierarchy = model.hierarchy
    ahead = hierarchy.ahead(state, a[:, 4])
    e = torch.tensor([True, False, False]).expand(3, -1)
    later = hierarchy.change(state, ahead, e, torch.randn_like(state.s))
    assert torch.equal(later.s[:, 1:], state.s[:, 1:])
    assert torch.equal(later.d[:, 1:], state.d[:, 1:])
    torch.testing.assert_close(later.context, state.context)
    assert (later.s[:, 0] != state.s[:, 0]).all()
    assert torch.equal(later.d[:, 0], ahead[:, 0])


def test_generate_marks_where_level_2_changes():
    model = build(actions=0).eval()
    x, _ = plain_colours(3, 5)
    nothing = torch.zeros(3, 6, dtype=torch.int64)
    torch.manual_seed(0)
    frames, marks = model.generate(x, nothing[:, :4], lengths(3, 5), nothing)
    torch.manual_seed(0)
    other, change = model.rollout(model.observe(x, nothing[:, :4], lengths(3, 5)), nothing)
    assert torch.equal(frames, other)
    assert torch.equal(marks, change[..., 1].float())


def test_imagine_is_one_change_of_its_level_and_those_below():
    model = build(jump_level=2).eval()
    x, a = plain_colours(3, 5)
    state = model.observe(x, a[:, :4], lengths(3, 5))
    imagined = model.imagine(state, torch.tensor([0, 1, 2]))
    level = model.hierarchy.levels[1]
    step = level.temporal.step(level.temporal.project(torch.cat([state.s[:, 1], torch.eye(3)], -1)), state.d[:, 1])
    torch.testing.assert_close(imagined.d[:, 1], step)
    mean = level.prior(torch.cat([step, state.context[:, 1]], -1)).mean
    torch.testing.assert_close(imagined.s[:, 1], mean)
    torch.testing.assert_close(imagined.context[:, 0], level.decode_net(torch.cat([mean, state.context[:, 1]], -1)))
    assert torch.equal(imagined.s[:, 2], state.s[:, 2])
    below = model.hierarchy.levels[0]
    expected = below.prior(torch.cat([imagined.d[:, 0], imagined.context[:, 0]], -1)).mean
    torch.testing.assert_close(imagined.s[:, 0], expected)
    torch.testing.assert_close(model.feature(imagined), torch.cat([imagined.s[:, 1], imagined.d[:, 1]], -1))
    assert model.legal(imagined).all()


def test_actions_steer_where_the_option_says_so():
    x, a = plain_colours(3, 5)
    for sees in (True, False):
        model = build(temporal_sees_actions=sees).eval()
        state = model.observe(x, a[:, :4], lengths(3, 5))
        one, other = (model.imagine(state, lengths(3, action)) for action in (0, 2))
        assert torch.equal(one.s, other.s) == (not sees)
        assert torch.equal(model.observe(x, 2 - a[:, :4], lengths(3, 5)).d, state.d) == (not sees)


@torch.no_grad()
def test_levels_are_resampled_one_by_one():
    model = build(levels=4).eval()
    x, a = plain_colours(2, 5)
    state = model.observe(x, a[:, :4], lengths(2, 5))
    for levels in ((3,), (1, 2), (3, 4)):
        drawn = model.resample(state, levels)
        moved = (drawn.s != state.s).all(-1).all(0)
        assert [n for n in range(1, 5) if moved[n - 1]] == list(levels)
        assert torch.equal(drawn.s[:, ~moved], state.s[:, ~moved])
        assert (model.decode(drawn) != model.decode(state)).any()
