"""A Ray cluster of two nodes, one of which dies; what it lacks is one line; what a command started ends with it."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.data.collect import CollectConfig, collect
from agent.system import ray_engine
from agent.system.pieces import Workers, run_pieces
from envs.camera import Camera
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from tests.support.engines import changed, rows
from tests.support.files import content
from tests.support.processes import Marked, linux

pytestmark = pytest.mark.cluster

QUICK_DEATH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 200, "health_check_failure_threshold": 3}


def test_an_address_where_nobody_answers_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match=rf"no Ray cluster answers at {address}.*--ray-address"):
            list(run_pieces(abs, range(3), Workers(engine="ray", ray_address=address)))
    with pytest.raises(ValueError, match=r"must be HOST:PORT or auto, got nowhere"):
        list(run_pieces(abs, range(3), Workers(engine="ray", ray_address="nowhere")))
    with pytest.raises(ValueError, match=r"cannot use the Ray cluster auto"):  # none runs here yet
        list(run_pieces(abs, range(3), Workers(engine="ray", ray_address="auto")))


class Nodes:
    """Two nodes of a Ray cluster on this machine, one of which can be killed when something has begun."""

    def __init__(self) -> None:
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        from ray.cluster_utils import Cluster

        few = {"num_cpus": 1, "object_store_memory": 200_000_000, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=few | {"_system_config": QUICK_DEATH})
        self.complete()
        self.workers = Workers(engine="ray", ray_address=self._cluster.address)

    def complete(self) -> None:
        """Start the second node."""
        self._second = self._cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
        self._cluster.wait_for_nodes()

    def kill_one_after(self, begun: Callable[[], bool]) -> threading.Event:
        """Kill the second node as soon as something has begun; what is returned tells when it was."""
        killed = threading.Event()

        def wait() -> None:
            while not begun():
                time.sleep(0.02)
            self._cluster.remove_node(self._second, allow_graceful=False)
            killed.set()

        threading.Thread(target=wait, daemon=True).start()
        return killed

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    yield found
    found.end()


def unhappy(kind: str, number: int) -> int:
    if number == 1:
        raise {"value": ValueError, "system": OSError, "ours": ZeroDivisionError}[kind](f"piece {number} is wrong")
    return number


def test_what_a_task_raises_is_raised_here(nodes: Nodes) -> None:
    with ray_engine._connected(ray_engine._ray(), nodes.workers.ray_address, None):  # once for all three
        for kind, error in (("value", ValueError), ("system", OSError), ("ours", ZeroDivisionError)):
            with pytest.raises(error, match="piece 1 is wrong"):
                list(run_pieces(partial(unhappy, kind), range(2), nodes.workers))


def test_a_cluster_of_another_version_is_one_line(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "__version__", "1.0.0")
    with pytest.raises(ValueError, match=r"(?i)cannot use the Ray cluster.*version"):
        list(run_pieces(abs, range(3), nodes.workers))


def test_a_machine_with_other_packages_is_named(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "versions", lambda: {"torch": "1.0"})
    with pytest.raises(ValueError, match=rf"{socket.gethostname()} has torch .*runs with 1\.0.*install"):
        list(run_pieces(abs, range(3), nodes.workers))


def test_a_machine_without_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.data import shards

    monkeypatch.setattr(shards, "run_pieces", lambda work, left, *_, **__: map(work, _removed(tmp_path / "out", left)))
    with pytest.raises(ValueError, match=rf"no folder .*out on {socket.gethostname()}.*storage"):
        collect(CollectConfig(tmp_path / "out", steps=200, camera=Camera(size=8)))


def _removed(folder: Path, left: list) -> list:
    """What is left to do, once the folder is not there."""
    shutil.rmtree(folder)
    return left


# ---------------------------------------------------------------- a node dies


def test_a_benchmark_has_the_same_rows_when_a_node_dies(wanted: BenchmarkConfig, tmp_path: Path, nodes: Nodes) -> None:
    config = changed(wanted, nodes.workers, tmp_path / "benchmark")
    file = config.out / "episodes" / "hrssm.csv"
    killed = nodes.kill_one_after(lambda: file.exists() and file.read_text().count("\n") > 2 * config.batch)
    benchmark(config)
    assert killed.is_set()
    assert rows(config) == rows(wanted)
    nodes.complete()


def test_collect_writes_the_same_bytes_when_a_node_dies(tmp_path: Path, nodes: Nodes) -> None:
    config = CollectConfig(tmp_path / "one", steps=150_000, seed=3)
    collect(config)
    other = changed(config, nodes.workers, tmp_path / "other")
    killed = nodes.kill_one_after(lambda: (other.out / "shard-00002").exists())
    collect(other)
    assert killed.is_set()
    assert content(other.out) == content(config.out)
    nodes.complete()


@linux
def test_nothing_of_ray_outlives_a_command_that_is_killed(tmp_path: Path) -> None:
    options = (
        f"--agents hrssm=pretrained --episodes 5000 --engine ray --processes 1 --device cpu --out {tmp_path / 'b'}"
    )
    killed = Marked("-m", "experiments.cli", "benchmark", *options.split(), folder=tmp_path)
    killed.wait_for(lambda: (tmp_path / "b/episodes/hrssm.csv").exists())
    killed.wait_for(lambda: len(killed.family()) > 4)
    killed.end()
    assert killed.left(seconds=20) == []
    assert json.loads((tmp_path / "b/config.json").read_text())["settings"]
