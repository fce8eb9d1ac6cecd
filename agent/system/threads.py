"""How many threads a process computes with.

torch and numba share OpenMP, and numba changes torch's number when it starts its own threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


def set_threads(number: int) -> None:
    """Let torch and numba compute with this many threads, or with as many as numba may start."""
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    torch.set_num_threads(number)  # last: now numba's threads have started


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with this many threads for the time of the block."""
    before = torch.get_num_threads(), numba.get_num_threads()
    set_threads(number)
    try:
        yield
    finally:
        numba.set_num_threads(before[1])
        torch.set_num_threads(before[0])
