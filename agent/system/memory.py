"""Running out of memory raises an error instead of killing the process."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def limited_memory(free: int | None = None) -> Iterator[None]:
    """Let allocations beyond the free memory fail within the block; Linux would grant them and kill the process later.

    Nothing is limited where the system does not report its free memory.

    Args:
        free: bytes that this process may still allocate; default: nine tenths of the free memory of the machine or its
            container, which leaves the rest to other processes.
    """
    status, before = Path("/proc/self/status"), resource.getrlimit(resource.RLIMIT_DATA)
    if free is None and (found := free_memory()) is not None:
        free = found * 9 // 10
    if free is not None and status.exists():
        limit, most = kilobytes(status)["VmData"] * 1024 + free, before[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def free_memory(root: Path = Path("/")) -> int | None:
    """Available bytes, reclaimable file cache included, within the container's limit; None if not reported.

    Reads /proc and the container's control group (version 2), both below `root`.
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


def check_fits(what: str, value: int, total: int, power: int) -> None:
    """Check that something fits into nine tenths of the free memory, before it is allocated.

    Nothing is checked where the system does not say how much is free.

    Args:
        what: the option that it grows with, as in the message.
        value: the option's value.
        total: bytes, which grow with this power of the value.
        power: 2 for the side of an image.

    Raises:
        ValueError: it does not fit; the message gives the largest value that does.
    """
    free = free_memory()
    if free is None or total <= (free := free * 9 // 10):
        return
    largest = int(value * (free / total) ** (1 / power))
    raise ValueError(
        f"{what} {value} needs {total / 1e9:,.1f} GB of memory, {free / 1e9:,.1f} GB are free: use at most {largest}"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the machine or a GPU ran out of memory."""
    message = str(error)
    return isinstance(error, MemoryError) or "out of memory" in message or "can't allocate memory" in message


def kilobytes(path: Path) -> dict[str, int]:
    """The lines `name: number kB` of a file in /proc."""
    lines = (line.split() for line in path.read_text().splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(number) for name, number, _ in lines}
