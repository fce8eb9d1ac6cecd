"""How many cores this process may use."""

import math
import os
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that the process is allowed to run on, at most its container's share of them, at least 1.

    Reads the container's control group (version 2) below `root`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = root / "sys/fs/cgroup/cpu.max"
    quota, period = limit.read_text().split() if limit.exists() else ("max", "1")
    return allowed if quota == "max" else max(1, min(allowed, math.ceil(int(quota) / int(period))))
