"""Memory that is freed stays with the process.

glibc returns large blocks to the system as soon as they are freed, and a training step or a search then asks for them
again, page by page: up to a sixth of a `paper` training step, a quarter of a search over many episodes.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library to reuse what is freed; False where it is not glibc and nothing was done.

    The process then holds its peak until it ends.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_MAX, 0))
