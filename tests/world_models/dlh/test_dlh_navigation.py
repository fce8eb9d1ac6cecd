"""What DLH adds to navigate: surprising actions, remembered features, beliefs that begin anew, imagined chains."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from tests.support.dlh_models import PATCH, WINDOW, build, colours, plain_colours
from tests.support.tiny import FRAME, assert_close, lengths, observe_without_padding
from tests.world_models.dlh.test_dlh_by_hand import by_hand, sequence
from tests.world_models.dlh.test_dlh_loss import NAVIGATION
from world_models.dlh.hierarchy import Seen
from world_models.dlh.imagination import chain, course
from world_models.dlh.options import OURS, DLHOptions
from world_models.interface import ModelConfig
from world_models.options import override
from world_models.registry import rebuild_model


def test_a_surprising_action_weighs_in_the_odds_of_a_change_by_hand():
    # KL[N(x, 0.5²) || N(1.9, 1)] = 0.318147 + (x - 1.9)² / 2, KL[N(x, 0.5²) || N(y, 0.5²)] = 2 (x - y)²
    hierarchy = by_hand([(0.5, 1.0), (1.9, 1.0)], 0.0, surprise_weight=2.0, foreseen_nats=0.25)
    x = [sequence(0, 0, 0, 0, 0), sequence(0, 0.1, 0.2, 2.2, 2.2)]
    start = torch.tensor([[True, False, False, False, False]])
    # frame          2              3               4              5
    # Eq. 4    0.02 - 1.938   0.02 - 1.763    8 - 0.363      0 - 0.363
    # surprise  1.0: + 1.5     1.5: + 2.5      0.0: - 0.5     0.5: + 0.5
    # odds        - 0.418        + 0.757        + 7.137        + 0.137
    surprise = torch.tensor([[0.0, 1.0, 1.5, 0.0, 0.5]])
    noise, a = torch.zeros(1, 5, 2, 1), torch.zeros(1, 5, 0)
    assert hierarchy.select(Seen(x, a, start), noise)[0, :, 1].tolist() == [True, False, False, True, False]
    seen = Seen(x, a, start, surprise)
    assert hierarchy.select(seen, noise)[0, :, 1].tolist() == [True, False, True, True, True]
    held = torch.ones(1, 5, 2, dtype=torch.bool)  # Eq. 4 does not count: the action alone decides
    assert hierarchy.select(seen, noise, held)[0, :, 1].tolist() == [True, True, True, False, True]


def test_chains_run_from_the_first_choice_that_ends_a_context_by_hand():
    # subsequences begin at t = 1, 3, 6 and 8; a context of 3 frames may end at t = 2 to 5, one before the first of them
    choice = torch.tensor([[False, True, False, True, False, False, True, False, True]])
    rows, past, after, ends, begins = course(choice, context=3, horizon=4)
    assert rows.tolist() == [[0]]
    assert past.tolist() == [[0, 1, 2]]
    assert after.tolist() == [[3, 4, 5, 6]]
    assert begins.tolist() == [[1, 0, 0, 1]]
    assert ends.tolist() == [[0, 0, 1, 0]]
    late = course(torch.roll(choice, 1, 1), context=3, horizon=4)
    assert (late.past[0, -1], late.ends.tolist()) == (3, [[0, 0, 1, 0]])


def test_a_chain_is_what_planning_imagines():
    model = build(levels=3, **NAVIGATION).eval()
    x, a = plain_colours(4, 5)
    state = model.observe(x, a[:, :4], lengths(4, 5))
    action = torch.randint(3, (4, 6))
    begins = torch.tensor([[1, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 0]]).float()
    imagined = chain(model.hierarchy, state, torch.nn.functional.one_hot(action, 3).float(), begins)
    assert_close(imagined[:, 0], model.belief(state), "the belief itself")
    for t in range(6):
        ahead = model.imagine(state, action[:, t])
        here = begins[:, t, None, None] > 0
        state = type(state)(*(torch.where(here, new, old) for new, old in zip(ahead, state, strict=True)))
        assert_close(imagined[:, t + 1], model.belief(state), f"after frame {t}")


@pytest.mark.parametrize("length", [1, 3, 8])
def test_a_belief_begins_anew_at_its_last_frame_and_remembers_those_before(length):
    model = build(levels=3, **NAVIGATION).eval()
    x, a = plain_colours(3, 8)
    state = observe_without_padding(model, x, a, length, atol=1e-5)
    start = torch.arange(length).expand(3, -1) == 0
    seen = model.hierarchy.see(model.encoder(x[:, 8 - length :]), a[:, 8 - length : 7], start)
    for n in (1, 2):
        level = model.hierarchy.levels[n]
        assert_close(state.d[:, n], level.begin(seen.x[n][:, -1]), f"d of level {n}")
        assert_close(state.s[:, n], level.posterior(seen.x[n][:, -1], state.context[:, n]).mean, f"s of level {n}")
    if length > 1:
        alone = model.observe(x[:, -1:], a[:, :0], lengths(3, 1))
        assert (alone.d[:, 1] - state.d[:, 1]).abs().max() > 1e-3
        turned = model.observe(x, (a[:, :7] + 1) % 3, lengths(3, length))
        assert (turned.d[:, 1] - state.d[:, 1]).abs().max() > 1e-3


def test_legal_actions_are_predicted_so_that_trees_are_pruned():
    model = build(levels=2, **NAVIGATION).eval()
    x, a = plain_colours(6, 5)
    legal = model.legal(model.imagine(model.observe(x, a[:, :4], lengths(6, 5)), a[:, 4]))
    assert legal.any(1).all()
    assert not legal.all()
    assert build(levels=2, **NAVIGATION | {"legal_weight": None}).legal(model.observe(x, a[:, :4], lengths(6, 5))).all()


def test_videos_know_nothing_of_what_needs_actions():
    batch = colours(3, WINDOW)
    found = []
    for changes in ({}, NAVIGATION):
        model = build(levels=3, actions=0, **changes)
        assert model.window_length == WINDOW
        torch.manual_seed(1)
        found.append(
            (dict(model.named_parameters()).keys(), {k: v.item() for k, v in model.loss(batch, 0).terms.items()})
        )
    assert found[0] == found[1]


def test_older_checkpoints_behave_as_they_did():
    config: dict[str, Any] = asdict(ModelConfig(PATCH, DLHOptions(window=12, context=4), FRAME, 3))
    new = {
        "features_remember",
        "fresh_belief",
        "action_weight",
        "surprise_weight",
        "foreseen_nats",
        "imagination_weight",
        "lookahead",
    }
    new |= {"horizon", "contrast_temperature", "contrast_frames", "legal_weight"}
    for name in new:
        del config["options"][name]
    model: Any = rebuild_model("dlh", config)
    assert set(dict(model.named_parameters())) == set(dict(build().named_parameters()))
    assert model.window_length == 12
    assert not hasattr(model.hierarchy, "foreseen")
    assert OURS.imagination_weight is not None  # and `ours` is not what they were


def test_chains_need_to_know_the_choices():
    with pytest.raises(ValueError, match=r"imagination_weight needs action_weight.*got none"):
        override(DLHOptions(), ["imagination_weight=10"])
