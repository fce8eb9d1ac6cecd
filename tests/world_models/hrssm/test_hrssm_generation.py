"""What HRSSM draws of the future, frame by frame and jump by jump, and what it rebuilds."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.support.hrssm_models import WINDOW, build
from tests.support.tiny import FRAME, lengths, random_frames
from world_models.hrssm.hrssm import HRSSM


def set_ends(model: HRSSM, logit: float) -> None:
    """Make p(m_t | s_t) one logit everywhere."""
    weight, bias = list(model.prior_m.parameters())[-2:]
    torch.nn.init.zeros_(weight)
    torch.nn.init.constant_(bias, logit)


@torch.no_grad()
def generate(model: HRSSM, actions: Tensor, mode: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, a = random_frames(len(actions), 5)
    torch.manual_seed(seed)
    return model.eval().generate(x, a[:, :4], lengths(len(actions), 5), actions, mode)


@pytest.mark.parametrize(("mode", "frames"), [("full", WINDOW), ("jumpy", 4)])
def test_generated_frames(mode, frames):
    model = build()
    actions = torch.randint(3, (6, 4))
    x, start = generate(model, actions, mode)
    assert x.shape == (6, frames, 3, FRAME, FRAME)
    assert x.abs().max() <= 1
    assert start.shape == (6, frames)
    assert set(start.unique().tolist()) <= {0.0, 1.0}
    assert start[:, 0].all()
    again, start_again = generate(model, actions, mode)
    assert torch.equal(x, again)
    assert torch.equal(start, start_again)
    assert not torch.equal(x, generate(model, actions, mode, seed=1)[0])


@pytest.mark.parametrize(
    ("logit", "mode", "starts"),
    [
        (-60.0, "full", [1, 0, 0, 0, 1, 0, 0, 0, 1]),  # nothing ends by itself: l_max = 4
        (60.0, "full", [1, 1, 1, 0, 0, 0, 0, 0, 0]),  # one frame each, until the three actions are used
        (-60.0, "jumpy", [1, 1, 1]),
    ],
)
def test_where_generated_subsequences_start(logit, mode, starts):
    model = build()
    set_ends(model, logit)
    _, start = generate(model, torch.randint(3, (2, 3)), mode)
    assert start.int().tolist() == [starts, starts]


def test_generated_subsequences_are_never_shorter_than_l_min():
    model = build(l_min=2)
    set_ends(model, 60.0)
    _, start = generate(model, torch.zeros(1, 9, dtype=torch.int64), "full")
    assert start[0].tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]


def test_generated_subsequences_are_never_longer_than_l_max():
    model = build(window=60)
    set_ends(model, -1.0)
    _, start = generate(model, torch.zeros(8, 60, dtype=torch.int64), "full")
    for row in start:
        places = [*row.nonzero()[:, 0].tolist(), 60]
        length = [after - before for before, after in pairwise(places)]
        assert max(length) == 4
        assert min(length) < 4  # some end earlier, by p(m)


@pytest.mark.parametrize("mode", ["full", "jumpy"])
def test_each_action_steers_its_own_subsequence(mode):
    model = build()
    set_ends(model, -60.0)  # subsequences start at 0, 4 and 8
    actions = torch.zeros(1, 3, dtype=torch.int64)
    x, _ = generate(model, actions, mode)
    first_frame = [0, 4, 8] if mode == "full" else [0, 1, 2]
    for number in range(3):
        other = actions.clone()
        other[:, number] = 2
        differs = (generate(model, other, mode)[0] != x).flatten(2).any(-1)[0]
        assert differs.tolist() == [frame >= first_frame[number] for frame in range(x.shape[1])]


def test_reconstruction_marks_where_subsequences_start():
    model = build()
    x, a = random_frames(2, model.window_length)
    bias = list(model.boundary_net.parameters())[-1]
    torch.nn.init.constant_(bias, bias.item() - model.boundary_logit(model.encoder(x), a).median().item())
    rebuilt, start = model.reconstruct(x, a)
    assert rebuilt.shape == (2, WINDOW, 3, FRAME, FRAME)
    boundary = (model.segment(x, a) > 0.5).float()[:, 5 : 5 + WINDOW - 1]
    assert torch.equal(start, torch.cat([torch.ones(2, 1), boundary], 1))
    assert 0 < boundary.mean() < 1


def test_timed_generation_reads_the_action_before_each_start():
    model = build()
    set_ends(model, -60.0)  # nothing ends by itself: l_max = 4
    actions = torch.randint(3, (2, 11))
    x, start = generate(model, actions, "timed")
    assert x.shape[1] == 11 and start.int().tolist() == [[1, 0, 0, 0] * 2 + [1, 0, 0]] * 2
    within, at_start = actions.clone(), actions.clone()
    within[:, [1, 2, 3, 5, 6, 7]] = 0
    at_start[:, 4] = (actions[:, 4] + 1) % 3
    assert torch.equal(generate(model, within, "timed")[0], x)
    other = generate(model, at_start, "timed")[0]
    assert torch.equal(other[:, :4], x[:, :4]) and not torch.equal(other[:, 4:], x[:, 4:])
