from collections.abc import Iterator

import pytest

from agent.system import ray_engine
from agent.system.pieces import Workers
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from tests.support.engines import in_batches


@pytest.fixture(scope="module")
def by_ray() -> Iterator[Workers]:
    """Two workers of a Ray on this machine, which is started once: whatever runs meanwhile uses it."""
    with ray_engine._connected(ray_engine._ray(), None, 2):
        yield Workers(engine="ray", processes=2)


@pytest.fixture(scope="session")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    """A benchmark in this process."""
    config = in_batches(tmp_path_factory.mktemp("wanted") / "benchmark")
    benchmark(config)
    return config
