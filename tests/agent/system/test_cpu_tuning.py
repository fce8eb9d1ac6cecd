"""Freed memory is used again where a process asks for it, and only there."""

import subprocess
import sys

import pytest

from agent.system.cpu_tuning import keep_freed_memory

FRESH = """
import resource
from agent.system.cpu_tuning import tune_cpu
faults = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 200_000_000
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    if len(faults) == 3:
        tune_cpu()
print(min(faults[:3]), max(faults[4:]))
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_a_large_block_takes_the_pages_of_the_one_before():
    # 200 MB are 48 000 pages; fetched anew in every training step they cost a sixth of its time
    output = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    untuned, tuned = map(int, output.stdout.split())
    assert tuned < 1000
    assert untuned > tuned
