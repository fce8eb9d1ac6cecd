"""Memory that is freed stays with the process; what does not fit is an error, not the end of the process.

glibc returns large blocks to the system as soon as they are freed, and a training step or a search then asks for them
again, page by page: up to a sixth of a `paper` training step, a quarter of a search over many episodes.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

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


def limit_memory(free: int | None = None) -> bool:
    """Let an allocation beyond what is free fail; Linux would else grant it, and kill the process that uses it.

    Args:
        free: bytes that this process may still take; default: nine tenths of what the machine, or its container, has
            free; the rest is for what else runs there.

    Returns:
        False where the system does not tell and nothing was done.
    """
    status = Path("/proc/self/status")
    if free is None and (found := free_memory()) is not None:
        free = found * 9 // 10
    if free is None or not status.exists():
        return False
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = kilobytes(status)["VmData"] * 1024 + free
    resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
    return True


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that can still be used, files kept in memory counted as free; None where the system does not tell.

    A container's limit (control groups, version 2) counts, too; `root` is where the system tells.
    """
    info = root / "proc/meminfo"
    if not info.exists():
        return None
    machine = kilobytes(info)
    free = (machine["MemAvailable"] + machine["SwapFree"]) * 1024
    group = root / "sys/fs/cgroup"
    if not (group / "memory.max").exists() or (most := (group / "memory.max").read_text().strip()) == "max":
        return free
    files = next(line for line in (group / "memory.stat").read_text().splitlines() if line.startswith("file "))
    return min(free, int(most) - int((group / "memory.current").read_text()) + int(files.split()[1]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that something did not fit into memory, of the machine or of a GPU."""
    told = str(error)
    return isinstance(error, MemoryError) or "out of memory" in told or "can't allocate memory" in told


def kilobytes(path: Path) -> dict[str, int]:
    """The lines `name: number kB` of a file in /proc."""
    lines = (line.split() for line in path.read_text().splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(number) for name, number, _ in lines}
