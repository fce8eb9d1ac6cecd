"""What speed is measured on, and what else ran there meanwhile."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from agent.system.device import device_name
from agent.system.memory import kilobytes
from agent.system.versions import commit, versions


def about(device: torch.device) -> dict[str, Any]:
    """Machine, device, threads, versions and commit: what a measured time belongs to."""
    return {
        "machine": f"{device_name(device)}, {os.cpu_count()} cores",
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "commit": commit(),
    }


def wait(device: torch.device) -> None:
    """Wait for what a GPU still has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Forget the memory used so far, where the system can (a GPU, Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (clear := Path("/proc/self/clear_refs")).exists():
        clear.write_text("5")


def peak_memory_gb(device: torch.device) -> float:
    """Most memory in use since the reset: of the GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    status = Path("/proc/self/status")
    if status.exists():
        return kilobytes(status)["VmHWM"] / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


@contextmanager
def foreign_load() -> Iterator[Callable[[], float | None]]:
    """Gives a function that tells how many cores other processes used since; None where the system does not say."""
    busy, own, since = _busy_seconds(), own_seconds(), time.perf_counter()

    def load() -> float | None:
        now = _busy_seconds()
        if busy is None or now is None:
            return None
        return max(0.0, (now - busy - (own_seconds() - own)) / (time.perf_counter() - since))

    yield load


def own_seconds() -> float:
    """CPU time of this process and of the children that ended."""
    return sum(os.times()[:4])


def _busy_seconds() -> float | None:
    """CPU time of all processes since the machine started (Linux)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def about_line(measured: dict[str, Any]) -> str:
    """Machine, versions, commit and foreign load of a file of numbers, for people."""
    where = measured["about"]
    parts = [where["machine"], f"{where['threads']} threads"]
    parts += [f"commit {where['commit']}"] if where["commit"] else []
    parts += [f"{name} {number}" for name, number in where["versions"].items() if name in ("python", "torch", "numba")]
    if (load := measured.get("foreign_load")) is not None:
        parts.append(f"foreign load {load:.2f} cores")
    return ", ".join(parts)
