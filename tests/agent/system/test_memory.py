"""Allocations beyond the free memory fail."""

import subprocess
import sys

import pytest
import torch

from agent.system.memory import free_memory, is_out_of_memory

TOO_MUCH = """
import resource, torch
from agent.system.memory import is_out_of_memory, limited_memory
before = resource.getrlimit(resource.RLIMIT_DATA)
with limited_memory(300_000_000):
    kept = torch.zeros(200_000_000, dtype=torch.uint8)
    try:
        torch.zeros(200_000_000, dtype=torch.uint8)
    except RuntimeError as error:
        assert is_out_of_memory(error), error
        print("refused")
assert resource.getrlimit(resource.RLIMIT_DATA) == before
torch.zeros(200_000_000, dtype=torch.uint8)
"""


@pytest.mark.skipif(free_memory() is None, reason="the system does not report its free memory")
def test_what_does_not_fit_is_an_error_not_the_end():
    output = subprocess.run([sys.executable, "-c", TOO_MUCH], capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["refused"]


@pytest.mark.parametrize(("limit", "free"), [("614400", 200), ("max", 1024), (None, 1024)])
def test_a_containers_limit_counts_and_what_can_be_dropped_does_not(tmp_path, limit, free):
    (tmp_path / "proc").mkdir()
    assert free_memory(tmp_path) is None
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9999 kB\nMemAvailable: 1000 kB\nSwapFree: 24 kB\nPages: 7\n")
    if limit:
        group = tmp_path / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text("512000\n")  # 100 of 600 KiB are left, and 100 more are files
        (group / "memory.stat").write_text("anon 409600\nfile 102400\n")
    assert free_memory(tmp_path) == free * 1024


def test_errors_about_memory_are_recognised():
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
