"""The machine that a measurement ran on, and the load of other processes."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agent.system.cores import usable_cores
from agent.system.device import device_name
from agent.system.memory import kilobytes
from agent.system.versions import commit, versions


def about(device: torch.device) -> dict[str, Any]:
    """Machine, device, threads, versions and commit, for measured times."""
    return {
        "machine": f"{device_name(device)}, {usable_cores()} cores",
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "commit": commit(),
    }


def wait(device: torch.device) -> None:
    """Wait for a GPU to finish its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak memory where the system allows it (a GPU, Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (clear := Path("/proc/self/clear_refs")).exists():
        clear.write_text("5")


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory since the reset: of the GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    status = Path("/proc/self/status")
    if status.exists():
        return kilobytes(status)["VmHWM"] / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def foreign_load() -> Callable[[], float | None]:
    """Start measuring; the function returned gives the mean number of cores that other processes used since (Linux)."""
    busy, own, since = _busy_seconds(), own_seconds(), time.perf_counter()

    def load() -> float | None:
        now = _busy_seconds()
        if busy is None or now is None:
            return None
        return max(0.0, (now - busy - (own_seconds() - own)) / (time.perf_counter() - since))

    return load


def own_seconds() -> float:
    """CPU time of this process and of its finished children."""
    return sum(os.times()[:4])


def _busy_seconds() -> float | None:
    """CPU time of all processes since boot (Linux)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def about_line(measured: dict[str, Any]) -> str:
    """One line on the machine, versions, commit and foreign load of measured numbers."""
    where = measured["about"]
    parts = [where["machine"], f"{where['threads']} threads"]
    parts += [f"commit {where['commit']}"] if where["commit"] else []
    parts += [f"{name} {number}" for name, number in where["versions"].items() if name in ("python", "torch", "numba")]
    if (load := measured.get("foreign_load")) is not None:
        parts.append(f"foreign load {load:.2f} cores")
    return ", ".join(parts)
