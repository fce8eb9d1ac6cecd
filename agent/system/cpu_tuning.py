"""What makes computing on a CPU faster and concerns the whole process: each command switches it on, no import does."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1


def tune_cpu() -> None:
    """Let idle threads of OpenMP sleep and keep freed memory, in this process; the processes that it starts sleep, too.

    Call it before torch or numba first compute: that is when OpenMP reads its variables, of which those that are set
    already stay. Idle threads that spin make small operations up to 50 times slower on busy cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let the C library reuse what is freed; False where it is not glibc and nothing was done.

    glibc returns large blocks to the system as soon as they are freed, and a training step or a search then asks for
    them again, page by page: up to a sixth of a `paper` training step, a quarter of a search over many episodes. The
    process then holds its peak until it ends.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_MAX, 0))
