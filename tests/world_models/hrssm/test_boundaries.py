"""Rules that decide where subsequences end, by hand."""

import math

import pytest
import torch

from world_models.hrssm.boundaries import (
    ForeseenActions,
    boundary_prior,
    copy_or_update,
    decisions,
    random_boundaries,
    relaxed_kl,
    too_short,
)
from world_models.hrssm.options import HRSSMOptions

FORCED = HRSSMOptions().forced


def test_boundary_prior_by_the_papers_rule():
    # N_max = 3, l_max = 3, the network says 0.4. First row:
    #   m    0    0    0    0    1    0    0    1    0    0
    #   n    1    1    1    1    1    2    2    2    3    3     subsequences so far: 1 + boundaries before t
    #   l    1    2    3    4    5    1    2    3    1    2     frames of the present one, t included
    # Second row: n reaches N_max at t = 2; at t = 4 both rules apply, and N_max goes first. Each row is a
    # window of its own, and starts to count again.
    m = torch.tensor([[0, 0, 0, 0, 1, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]]).float()
    yes, no = 0.999, 0.001
    expected = torch.tensor(
        [[0.4, 0.4, yes, yes, yes, 0.4, 0.4, yes, no, no], [0.4, 0.4, no, no, no, no, no, no, no, no]]
    )
    torch.testing.assert_close(boundary_prior(torch.full((2, 10), 0.4), m, n_max=3, l_max=3, forced=FORCED), expected)


def test_last_frame_decides_nothing_in_its_own_window():
    p = torch.full((1, 6), 0.4)
    ends, goes_on = torch.tensor([[0, 1, 0, 0, 0, 1.0]]), torch.tensor([[0, 1, 0, 0, 0, 0.0]])
    assert torch.equal(boundary_prior(p, ends, 5, 8, FORCED), boundary_prior(p, goes_on, 5, 8, FORCED))


def test_boundary_prior_stays_off_zero_and_one_and_learns_only_where_it_is_free():
    p = torch.tensor([[1e-7, 0.5, 1 - 1e-7, 0.7, 0.7]], requires_grad=True)
    prior = boundary_prior(p, torch.tensor([[0, 0, 0, 1, 1.0]]), n_max=2, l_max=4, forced=FORCED)
    assert prior[0].tolist() == pytest.approx([FORCED, 0.5, 1 - FORCED, 1 - FORCED, FORCED])
    prior.sum().backward()
    assert p.grad is not None
    assert p.grad[0].tolist() == [0, 1, 0, 0, 0]


def test_relaxed_kl_by_hand():
    # Logistic densities at 1: about 1 it is 1 / 4, about 0 it is e^-1 / (1 + e^-1)^2; then without a difference.
    q_logit, p = torch.tensor([[1.0, 0.3]]), torch.tensor([[0.5, torch.tensor(0.3).sigmoid().item()]])
    expected = math.log(1 / 4) - math.log(math.exp(-1) / (1 + math.exp(-1)) ** 2)
    assert relaxed_kl(q_logit, p, torch.zeros(1, 2))[0].tolist() == pytest.approx([expected, 0], abs=1e-6)


def test_relaxed_kl_is_on_average_the_divergence_of_two_logistic_densities():
    # Known in closed form: d coth(d / 2) - 2, which grows with the distance d of the logits.
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    noise = torch.logit(uniform)[None]
    for apart in (0.5, 4.0):
        found = relaxed_kl(torch.full_like(noise, apart), torch.full_like(noise, 0.5), noise).mean().item()
        assert found == pytest.approx(apart / math.tanh(apart / 2) - 2, rel=1e-3)


def test_decisions_by_hand():
    # Choices at 1, 2 and 6; subsequences 0-3, 4, 5-7. The action's number is its frame's, as a one-hot vector.
    choice = torch.tensor([[0, 1, 1, 0, 0, 0, 1, 0]]).bool()
    m = torch.tensor([[0, 0, 0, 1, 1, 0, 0, 0.0]])
    found = decisions(torch.eye(8)[None], choice, m)
    expected = [1, 1, 2, None, None, 6, 6, None]  # the first from there on, None is 0 everywhere
    assert [row.argmax().item() if row.any() else None for row in found[0]] == expected
    assert decisions(torch.zeros(1, 8, 0), choice, m).shape == (1, 8, 0)


def test_copy_or_update_by_hand():
    proposal = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]], requires_grad=True)
    start = torch.tensor([[1.0, 0.0, 1.0, 0.0]], requires_grad=True)
    value = copy_or_update(proposal, start)
    assert value.flatten().tolist() == [1, 1, 3, 3]
    by_proposal, by_start = torch.autograd.grad(value.sum(), (proposal, start))
    assert by_proposal.flatten().tolist() == [2, 0, 2, 0]
    # At t = 1 an update would replace 1 by 2 in one frame, at t = 3 it replaces 3 by 4; at t = 2 it put 3 in the place
    # of 1 in two frames; at t = 0 it put 1 in the place of 0 in two.
    assert by_start.flatten().tolist() == [2, 1, 4, 1]


def test_short_subsequences_are_counted_by_hand():
    # Boundaries at 0, 2 and 3: a pair 1 apart, one 2 apart, one 3 apart; over 5 frames
    q = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0]])
    assert [too_short(q, l_min).item() for l_min in (1, 2, 3, 4)] == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5])
    assert too_short(0.5 * q, 3).item() == pytest.approx(0.25 * 2 / 5)


def test_random_subsequences_have_the_lengths_asked_for():
    torch.manual_seed(0)
    m = random_boundaries(torch.zeros(500, 60), rate=1 / 6, l_min=3)
    assert set(m.unique().tolist()) == {0.0, 1.0}
    assert m.mean().item() == pytest.approx(1 / 6, rel=0.02)
    assert m.mean(0).std() < 0.03  # no frame is special, the first neither
    lengths = {gap for row in m for gap in row.nonzero().flatten().diff().tolist()}
    assert lengths == set(range(3, 10))
    assert random_boundaries(torch.zeros(2, 6), rate=1 / 3, l_min=3).sum(1).tolist() == [2, 2]  # one length only


def test_surprise_counts_where_no_subsequence_ends_and_draws_boundaries_there():
    # A network that knows nothing: every action costs log 3, outside boundaries
    foreseen = ForeseenActions(size=2, hidden=4, longest=3)
    for parameter in foreseen.parameters():
        torch.nn.init.zeros_(parameter)
    m = torch.tensor([[0.0, 1.0, 0.0, 0.0]], requires_grad=True)
    loss = foreseen(torch.zeros(1, 4, 2), torch.zeros(1, 4), m, torch.tensor([[0, 1, 2, 0]]))
    assert loss.item() == pytest.approx(3 / 4 * math.log(3))
    loss.backward()
    assert m.grad is not None
    assert m.grad[0].tolist() == pytest.approx([-math.log(3) / 4] * 4)


def test_actions_are_foreseen_from_the_frames_since_the_start():
    # Forward for two frames after each start, then left: learned from the time alone, up to `longest`
    torch.manual_seed(0)
    foreseen = ForeseenActions(size=1, hidden=16, longest=2)
    start = torch.tensor([[1.0, 0, 0, 1, 0, 0, 0]])
    action = torch.tensor([[0, 0, 1, 0, 0, 1, 1]])
    optimiser = torch.optim.Adam(foreseen.parameters(), 0.05)
    for _ in range(100):
        optimiser.zero_grad()
        loss = foreseen(torch.zeros(1, 7, 1), start, torch.zeros(1, 7), action)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
