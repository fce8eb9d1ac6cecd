"""The cores that the process may use, not those of the machine."""

import os

import pytest

from agent.system.cores import usable_cores


@pytest.mark.parametrize(
    ("limit", "cores"),
    [(None, 6), ("max 100000", 6), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("900000 1000", 6)],
)
def test_cores_are_those_of_the_affinity_within_the_containers_share(tmp_path, monkeypatch, limit, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    if limit:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/cpu.max").write_text(limit)
    assert usable_cores(tmp_path) == cores
