"""Several ranks take the step of one; more of it in tests/cluster."""

from pathlib import Path

import pytest

from agent.training.checkpoint import read_checkpoint
from agent.training.ranks import Ranks
from tests.support.ranked_steps import MODELS, largest_error, step
from tests.support.ranks import maze_and_videos, torchrun
from world_models.blocks.global_batch import Share


def test_two_ranks_of_two_rows_take_the_step_of_one_rank_with_four(tmp_path: Path) -> None:
    """Losses and all gradients of all models; rows draw the same random numbers on whichever rank they are."""
    maze_and_videos(tmp_path)
    ended = torchrun("tests.support.ranked_steps", tmp_path, tmp_path, 4, *MODELS)
    assert ended.returncode == 0, ended.stderr
    for case in MODELS:
        found, meta = read_checkpoint(tmp_path / f"{case}.safetensors")
        assert meta == {"ranks": 2}
        error, name = largest_error(found, step(case, tmp_path, 4, Ranks()))
        assert error <= 1e-5, (case, name)


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    assert [Ranks(Share(rank, 2)).rows(6, "--batch-size") for rank in (0, 1)] == [slice(0, 3), slice(3, 6)]
    with pytest.raises(ValueError, match=r"--batch-size must be a multiple of the 2 ranks, got 5"):
        Ranks(Share(0, 2)).rows(5, "--batch-size")
