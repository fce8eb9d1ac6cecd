"""The agent: collects random navigation, keeps it in a replay, learns world models from it, acts by planning."""

import os

from agent.system.memory import keep_freed_memory

# OpenMP reads these when torch or numba first load it. Without them its idle threads spin, and small operations run up
# to 50 times slower on busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

keep_freed_memory()
