"""Rules that hold for whatever is drawn: labels of options, the boundary prior, COPY or UPDATE."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from world_models import rssm
from world_models.hrssm import options as hrssm_options
from world_models.hrssm.boundaries import boundary_prior, copy_or_update
from world_models.options import domains, label, override, split_label

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(1, 10**6),
    float: st.floats(0, 1e30, allow_nan=False),
    type(None): st.none(),
}
FORCED = hrssm_options.VTA.forced
VARIANTS = {"ours of hrssm": hrssm_options.OURS, "vta of rssm": rssm.VTA}

bits = st.integers(0, 1)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 12))


def masks(shape: tuple[int, int], values: st.SearchStrategy[Any] = bits) -> st.SearchStrategy[Tensor]:
    """Values (B, T) as floats."""
    rows, frames = shape
    row = st.lists(values, min_size=frames, max_size=frames)
    return st.lists(row, min_size=rows, max_size=rows).map(lambda values: torch.tensor(values, dtype=torch.float))


@st.composite
def changes(draw: st.DrawFn, standard: Any) -> dict[str, Any]:
    """New values of some options, of their types."""
    hints = get_type_hints(type(standard))
    names = draw(st.lists(st.sampled_from([field.name for field in fields(standard)]), unique=True))
    limits = domains(type(standard))
    changed = {
        name: draw(st.one_of(*(KINDS.get(kind, st.just(kind)) for kind in get_args(hints[name]) or [hints[name]])))
        for name in names
    }
    for name, value in changed.items():
        if name in limits and value is not None:
            changed[name] = min(max(value, limits[name].low), limits[name].high)
    return changed


@pytest.mark.parametrize("standard", VARIANTS.values(), ids=VARIANTS)
@given(data=st.data())
def test_a_label_reads_back_as_the_options_that_it_names(standard, data):
    changed = data.draw(changes(standard))
    assume(not changed.keys() & {"explore_steps", "jump_action"})  # these two ask for others that suit
    texts = [f"{name}={value}" for name, value in changed.items()]
    options = override(standard, texts)
    assert {name: getattr(options, name) for name in changed} == changed
    variant, again = split_label(label("ours", standard, options))
    assert (variant, override(standard, again)) == ("ours", options)
    assert override(standard, texts[::-1]) == options  # in any order
    assert {text.partition("=")[0] for text in again} <= {*changed}  # nothing else is named


@given(data=st.data(), shape=shapes, n_max=st.integers(1, 5), l_max=st.integers(1, 5))
def test_boundary_prior_counts_subsequences_and_their_frames(data, shape, n_max, l_max):
    m, p = data.draw(masks(shape)), data.draw(masks(shape, st.floats(0, 1, width=32)))
    prior = boundary_prior(p, m, n_max, l_max, FORCED)
    for row, chances, found in zip(m.tolist(), p.tolist(), prior.tolist(), strict=True):
        n = length = 1
        for boundary, chance, forced in zip(row, chances, found, strict=True):
            free = min(max(chance, FORCED), 1 - FORCED)
            expected = FORCED if n >= n_max else 1 - FORCED if length >= l_max else free
            assert forced == pytest.approx(expected)
            n, length = (n + 1, 1) if boundary else (n, length + 1)


@given(data=st.data(), shape=shapes, n_max=st.integers(1, 5), l_max=st.integers(1, 5))
def test_boundaries_by_the_prior_end_no_subsequence_late_and_begin_none_too_many(data, shape, n_max, l_max):
    """Drawn frame by frame, where a forced value is taken at its word."""
    p, drawn = data.draw(masks(shape, st.floats(0.125, 0.875, width=32))), data.draw(masks(shape))
    m = torch.zeros(shape)
    for t in range(shape[1]):
        prior = boundary_prior(p, m, n_max, l_max, FORCED)[:, t]
        m[:, t] = torch.where(prior <= FORCED, 0.0, torch.where(prior >= 1 - FORCED, 1.0, drawn[:, t]))
    assert int(m.sum(1).max()) < n_max
    for row in m.tolist():
        ends = [t for t, boundary in enumerate(row) if boundary]
        lengths = [end - before for before, end in zip([-1, *ends], ends, strict=False)]
        assert all(length <= l_max for length in lengths)
        assert len(ends) == n_max - 1 or len(row) - 1 - max(ends, default=-1) < l_max  # the last one may go on


@given(data=st.data(), shape=shapes)
def test_copy_or_update_keeps_the_proposal_of_the_last_start(data, shape):
    start = data.draw(masks(shape))
    proposal = torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0))
    value = copy_or_update(proposal, start)
    for b in range(shape[0]):
        last = torch.zeros(2)
        for t in range(shape[1]):
            last = proposal[b, t] if start[b, t] else last
            assert torch.equal(value[b, t], last)
