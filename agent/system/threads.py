"""The number of threads that torch and numba compute with.

They share OpenMP, and numba changes torch's number when it starts its own threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


def set_threads(number: int) -> None:
    """Let torch compute with this many threads; numba with as many, or its maximum."""
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    torch.set_num_threads(number)  # last, once numba's threads have started


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with this many threads within the block."""
    before = torch.get_num_threads(), numba.get_num_threads()
    set_threads(number)
    try:
        yield
    finally:
        numba.set_num_threads(before[1])
        torch.set_num_threads(before[0])
