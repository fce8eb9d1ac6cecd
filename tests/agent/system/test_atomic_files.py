"""The lock of a folder: who holds it, who waits, and what is left of it."""

import os
from pathlib import Path
from threading import Thread

import pytest

from agent.system.atomic_files import LOCK, locked
from tests.support.holder import held


def test_lock_of_another_process_names_it_until_it_dies(tmp_path):
    folder = tmp_path / "new" / "run"
    with (
        held(folder) as holder,
        pytest.raises(ValueError, match=rf"run is in use by process {holder}: .*--out"),
        locked(folder),
    ):
        raise AssertionError
    assert (folder / LOCK).read_text() == str(holder)  # killed: it could not tidy up
    with locked(folder):
        assert (folder / LOCK).read_text() == str(os.getpid())
    assert not list(folder.iterdir())


@pytest.mark.parametrize("left", ["", None])
def test_holder_that_has_not_left_its_id_yet_is_another_process(tmp_path, left):
    with held(tmp_path):
        if left is None:
            (tmp_path / LOCK).unlink()
        else:
            (tmp_path / LOCK).write_text(left)
        with pytest.raises(ValueError, match="in use by another process: call later"), locked(tmp_path, "call later"):
            raise AssertionError


def test_a_block_may_take_its_own_lock_again_another_thread_may_not(tmp_path):
    refused: list[str] = []

    def other(folder: Path) -> None:
        try:
            with locked(folder):
                pass
        except ValueError as error:
            refused.append(str(error))

    with locked(tmp_path):
        with locked(tmp_path / "." / "x" / ".."):
            pass
        assert (tmp_path / LOCK).exists()  # still held
        thread = Thread(target=other, args=(tmp_path,))
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert str(os.getpid()) in refused[0]


def test_waiting_takes_the_lock_over_when_it_is_free(tmp_path):
    order: list[str] = []

    def other() -> None:
        with locked(tmp_path, wait=True):
            order.append("second")

    with locked(tmp_path):
        thread = Thread(target=other)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_error_within_the_block_releases_the_lock(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass
