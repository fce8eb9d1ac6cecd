"""Pieces of work: their order, workers that die, what a command says of options that do not go together."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from agent.system import pieces
from agent.system.pieces import Workers, run_pieces


def squared(number: int) -> int:
    return number * number


def fatal_once(folder: Path, number: int) -> int:
    """Kill the worker of piece 3 when it is first computed."""
    mark = folder / str(number)
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refusing(number: int) -> int:
    raise ValueError(f"piece {number} cannot be")


def test_pieces_of_workers_that_died_are_computed_again_and_come_in_order(tmp_path: Path) -> None:
    found = list(run_pieces(partial(fatal_once, tmp_path), range(7), Workers(processes=2)))
    assert found == [squared(number) for number in range(7)] == list(run_pieces(squared, range(7), Workers()))
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_what_a_piece_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="piece 0 cannot be"):
        list(run_pieces(refusing, range(3), Workers(processes=2)))


def test_options_of_workers_have_to_go_together() -> None:
    with pytest.raises(ValueError, match=r"--processes must be at least 1, got 0"):
        Workers(processes=0)
    with pytest.raises(ValueError, match=r"--ray-address .*needs --engine ray"):
        Workers(ray_address="auto")


def test_without_the_extra_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # importing it fails, installed or not
    with pytest.raises(ValueError, match=r"--engine ray needs the extra `cluster`: pip install .*\[cluster\]"):
        list(run_pieces(squared, range(3), Workers(engine="ray")))


def test_a_pool_that_dies_at_once_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "TRIES", 1)
    with pytest.raises(OSError, match=r"one of 2 processes was killed.*--processes 1"):
        list(run_pieces(os._exit, [9, 9], Workers(processes=2)))
