"""Settings of the whole process that make computing on a CPU faster; each command applies them, no import does."""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1


def tune_cpu() -> None:
    """Let idle OpenMP threads sleep, here and in child processes, and let this process keep freed memory.

    Call it before torch or numba first compute: that is when OpenMP reads its variables. Variables that are already set
    keep their values. On busy cores, idle threads that spin slow small operations down by up to a factor of 50.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let glibc reuse freed memory; return False, and do nothing, where the C library is not glibc.

    By default glibc returns large blocks to the system as soon as they are freed, and the next training step or search
    requests them again, page by page: up to a sixth of a `paper` training step, a quarter of a search over
    many episodes. With this setting the process holds its peak memory until it ends.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_MAX, 0))
