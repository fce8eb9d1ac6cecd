"""HRSSM observes and imagines: padding, rows, jumps by the paper's equation, legal actions, features."""

import pytest
import torch
from torch import Tensor

from tests.support.hrssm_models import build
from tests.support.tiny import CONVOLUTION, PATCH, lengths, observe_without_padding, random_frames
from world_models.blocks.networks import one_hot_actions
from world_models.hrssm.hrssm import HRSSMState
from world_models.hrssm.options import OURS, VARIANTS, VTA


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes=sizes).eval()
    x, a = random_frames(3, 5)
    plain = observe_without_padding(model, x, a, length)
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


@pytest.mark.parametrize("jump_action", ["first", "decision"])
def test_the_frame_of_a_choice_belongs_to_what_the_choice_begins(jump_action):
    model, before = (build(jump_action=choice).eval() for choice in (jump_action, "before"))
    x, a = random_frames(3, 5)
    state = model.observe(x, a[:, :4], torch.tensor([1, 2, 5]))
    shorter = before.observe(x[:, :4], a[:, :3], torch.tensor([1, 1, 4]))
    torch.testing.assert_close(state.c[1:], shorter.c[1:])
    torch.testing.assert_close(state.c[:1], before.observe(x[:1], a[:1, :4], lengths(1, 1)).c)  # all that was seen
    observe_without_padding(model, x, a, 1)


def test_jumps_read_the_action_that_the_option_names():
    a = torch.arange(28)[None] % 3  # 5 frames of context, 9 of the window
    choice, m = torch.zeros(1, 28, dtype=torch.bool), torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, 1.0]])
    choice[:, 9] = True  # the window's frame 4, in its second subsequence
    read = {name: build(jump_action=name).jump_actions(a, choice, m)[0] for name in ("before", "first", "decision")}
    assert read["before"].argmax(1).tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert read["first"].argmax(1).tolist() == [2, 0, 1, 2, 0, 1, 2, 0, 1]
    assert read["decision"].sum(1).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert read["decision"][3].argmax() == 9 % 3


def test_samples_of_a_jump_spread_about_its_mean():
    model = build()
    state = HRSSMState(torch.randn(1, 3).expand(500, 3), torch.randn(1, 12).expand(500, 12))
    a = torch.zeros(500, dtype=torch.int64)
    mean, drawn = model.imagine(state, a), model.imagine(state, a, sample=True)
    p = model.prior_z(drawn.c)
    assert torch.equal(mean.c, drawn.c)
    torch.testing.assert_close(drawn.z.std(0), p.std[0], rtol=0.2, atol=0)
    torch.testing.assert_close(drawn.z.mean(0), mean.z[0], rtol=0, atol=0.15)
    assert not torch.equal(model.decode(mean, sample=True)[0], model.decode(mean, sample=True)[1])


def test_imagined_jumps_are_the_losss_transition():
    model = build()
    c_0, a = torch.randn(3, 12), torch.randint(3, (3, 6))
    state, states = HRSSMState(torch.zeros(3, 3), c_0), []
    for t in range(6):
        state = model.imagine(state, a[:, t])
        states.append(state)
    imagined = HRSSMState(*(torch.stack(field, 1) for field in zip(*states, strict=True)))
    every_frame = torch.ones(3, 6)
    torch.testing.assert_close(model._scan_c(imagined.z, one_hot_actions(a), every_frame, c_0), imagined.c)
    torch.testing.assert_close(model.prior_z(imagined.c).mean, imagined.z)


def test_imagine_by_the_papers_equation():
    model = build()
    z, c, a = torch.randn(3, 3), torch.randn(3, 12), torch.tensor([0, 1, 2])
    expected = model.z_rnn(z, torch.eye(3), h=c)
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
