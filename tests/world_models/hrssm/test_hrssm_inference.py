"""What HRSSM's posteriors and transitions read, and what they do not."""

import torch

from tests.support.hrssm_models import WINDOW, build
from tests.support.tiny import lengths
from world_models.blocks.networks import one_hot_actions


def test_context_before_its_length_is_not_read():
    model = build()
    e = torch.randn(1, 5 + WINDOW, 10)
    start = torch.zeros(1, WINDOW)
    start[:, ::3] = 1
    m, a = torch.cat([start[:, 1:], torch.zeros(1, 1)], 1), torch.zeros(1, WINDOW, 3)
    for length in range(1, 6):
        first = 5 - length  # the first frame that counts
        results = []
        for frame in (None, first - 1, first):
            other = e.clone()
            if frame is not None and frame >= 0:
                other[:, : frame + 1] += 10
            torch.manual_seed(0)
            results.append(model.infer(other, a, start, m, lengths(1, length)).z)
        assert torch.equal(results[0], results[1]), length
        assert not torch.equal(results[0], results[2]), length


def test_frame_changes_its_own_subsequence_and_later_ones_only():
    model = build()
    e = torch.randn(2, 5 + WINDOW, 10)
    m = torch.tensor([0, 0, 1, 0, 0, 1, 0, 0, 0]).float().expand(2, -1)  # subsequences of 3, 3 and 3 frames
    start = torch.cat([torch.ones(2, 1), m[:, :-1]], 1)
    a = one_hot_actions(torch.randint(3, (2, WINDOW)))
    results = []
    for change in (0.0, 5.0):
        other = e.clone()
        other[:, 5 + 4] += change  # the second frame of the second subsequence
        torch.manual_seed(0)
        posterior = model.infer(other, a, start, m, lengths(2, 5))
        results.append((posterior.z, posterior.s, posterior.c))
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
    c = model._scan_c(z, one_hot_actions(a), start, c_0)
    for t in range(WINDOW):
        other = a.clone()
        other[:, t] = 1
        differs = (model._scan_c(z, one_hot_actions(other), start, c_0) != c).any(-1)[0]
        assert differs.tolist() == [bool(start[0, t]) and frame >= t for frame in range(WINDOW)]
