"""DLH over sequences: steps against whole sequences, padding, rows, boundaries, what is rebuilt."""

import pytest
import torch
from torch import Tensor

from tests.support.dlh_models import CONVOLUTION, PATCH, WINDOW, build, colours, plain_colours, plain_floats
from tests.support.tiny import FRAME, assert_close, lengths, observe_without_padding, random_frames
from world_models.dlh.hierarchy import DLHState, LevelPath


def last_state(paths: list[LevelPath], t: int) -> DLHState:
    """The belief at one frame of a sequence."""
    s, context = (
        torch.stack([path.rows.spread(getattr(path, name))[:, t] for path in paths], 1) for name in ("s", "context")
    )
    d = torch.stack([path.d[:, t] for path in paths], 1)
    return DLHState(s, d, context, torch.stack([path.memory[:, t] for path in paths[1:]], 1))


@pytest.mark.parametrize("sees_below", [False, True])
def test_steps_equal_the_sequence(sees_below):
    model, batch = build(factor_sees_below=sees_below), colours(3, WINDOW)
    hierarchy, noise = model.hierarchy, torch.randn(3, WINDOW, 3, PATCH.state)
    start = (torch.arange(WINDOW) == 0).expand(3, -1)
    seen = hierarchy.see(model.encoder(plain_floats(batch)), batch.action[:, :-1], start)
    change = hierarchy.select(seen, noise)
    paths = hierarchy.paths(seen, change, noise)
    for t in range(1, WINDOW):
        before, now = last_state(paths, t - 1), last_state(paths, t)
        ahead = hierarchy.ahead(before, batch.action[:, t - 1])
        ticked, logit = hierarchy.tick(before, ahead)
        stepped = hierarchy.change(ticked._replace(s=now.s), ahead, change[:, t], torch.zeros_like(now.s))
        for name, one, other in (
            ("ahead", ahead, torch.stack([path.ahead[:, t] for path in paths], 1)),
            ("logit", logit, torch.stack([path.logit[:, t] for path in paths[1:]], 1)),
            ("memory", stepped.memory, now.memory),
            ("d", stepped.d, now.d),
        ):
            assert_close(one, other, f"{name} at {t}")
        context = hierarchy.levels[2].decode(now.s[:, 2], now.context[:, 2])
        assert_close(context, now.context[:, 1], f"context at {t}")


@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("sizes", [PATCH, CONVOLUTION], ids=["patch", "convolution"])
def test_padding_never_changes_what_is_observed(sizes, length):
    model = build(sizes).eval()
    x, a = plain_colours(3, 8)
    alone = observe_without_padding(model, x, a, length, atol=1e-5)
    if length > 2:
        shorter = model.observe(x, a[:, :7], lengths(3, length - 1))
        assert (shorter.d - alone.d).abs().max() > 1e-3  # the frames that count do count


def test_rows_of_a_batch_do_not_touch_each_other():
    model = build().eval()
    x, a = plain_colours(4, 8)
    goal = random_frames(4, 1)[0][:, 0, :, :3, :3]
    length = torch.tensor([1, 3, 6, 8])

    def everything(rows: slice) -> list[Tensor]:
        state = model.imagine(model.observe(x[rows], a[rows, :7], length[rows]), a[rows, 7])
        answers = [model.feature(state), model.goal_feature(goal[rows]), model.legal(state).float()]
        return [*state, *answers, model.decode(state), model.segment(x[rows], a[rows])]

    together = everything(slice(4))
    for row in range(4):
        for one, all_rows in zip(everything(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(one[0], all_rows[row], rtol=1e-4, atol=1e-4)


def test_subsequences_end_one_frame_before_the_second_level_changes():
    model = build().eval()
    x, a = plain_colours(4, 9)
    q = model.infer(x, a).q
    assert 0.1 < q[:, 1:, 1].mean() < 1
    assert torch.equal(model.segment(x, a), torch.cat([q[:, 1:, 1], torch.zeros(4, 1)], 1))
    p = model.infer(x, a).p
    assert ((p[..., 1:] > 0) & (p[..., 1:] < 1)).all()
    assert (p[..., 0] == 1).all()


def test_reconstruction_leaves_the_context_out():
    model = build().eval()
    x, a = plain_colours(2, WINDOW)
    rebuilt, change = model.reconstruct(x, a)
    assert rebuilt.shape == (2, WINDOW - 4, 3, FRAME, FRAME)
    assert torch.equal(change, model.infer(x, a).q[:, 4:, 1])
