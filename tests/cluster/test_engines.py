"""Results are the same bytes by every engine, whatever dies meanwhile; what Ray lacks is one line."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.data.collect import CollectConfig, collect
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.manifest import read_manifest
from agent.system.pieces import Workers, run_pieces
from envs.camera import Camera
from envs.videos import MovingBall
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.video.predict import PredictConfig, predict
from planners.tree import TreeSearch
from tests.support.files import content
from tests.support.processes import Marked, linux
from tests.support.video_runs import run_of, videos

pytestmark = pytest.mark.cluster

ENGINES = {
    "two processes": Workers(processes=2),
    "Ray, two workers": Workers(engine="ray", processes=2),
}
QUICK_DEATH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 200, "health_check_failure_threshold": 3}
EPISODES, STEPS = int(os.environ.get("JUMPY_EPISODES", "400")), 60_000


class Nodes:
    """Two nodes of a Ray cluster on this machine, one of which is killed when something has begun."""

    def __init__(self) -> None:
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        from ray.cluster_utils import Cluster

        few = {"num_cpus": 1, "object_store_memory": 200_000_000, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=few | {"_system_config": QUICK_DEATH})
        self._second = self._cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
        self._cluster.wait_for_nodes()
        self.workers = Workers(engine="ray", ray_address=self._cluster.address)
        self.killed = threading.Event()

    def kill_one_after(self, begun: Callable[[], bool]) -> threading.Thread:
        def wait() -> None:
            while not begun():
                time.sleep(0.02)
            self._cluster.remove_node(self._second, allow_graceful=False)
            self.killed.set()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    yield found
    found.end()


@pytest.fixture(scope="module")
def steady() -> Iterator[Workers]:
    """Nodes that nothing happens to."""
    found = Nodes()
    yield found.workers
    found.end()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    """A benchmark in this process."""
    folder = tmp_path_factory.mktemp("wanted") / "benchmark"
    agents = ("hrssm=pretrained",)
    config = BenchmarkConfig(
        folder, agents, EPISODES, TreeSearch(depth=3), first_seed=100_000, batch=20, device="cpu", processes=1
    )
    benchmark(config)
    return config


def rows(config: BenchmarkConfig) -> dict[str, list[str]]:
    """Every byte of the episodes but for the time that planning took."""
    files = sorted((config.out / "episodes").iterdir())
    return {path.name: [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()] for path in files}


def change(config: Any, where: Workers, out: Path) -> Any:
    return replace(config, out=out, **where.workers)


@pytest.mark.parametrize("engine", ENGINES)
def test_benchmark_has_the_same_rows_by_every_engine(wanted: BenchmarkConfig, tmp_path: Path, engine: str) -> None:
    config = change(wanted, ENGINES[engine], tmp_path / "benchmark")
    benchmark(config)
    assert rows(config) == rows(wanted)


def test_benchmark_has_the_same_rows_when_a_node_dies(wanted: BenchmarkConfig, tmp_path: Path, nodes: Nodes) -> None:
    config = change(wanted, nodes.workers, tmp_path / "benchmark")
    file = config.out / "episodes" / "hrssm.csv"
    nodes.kill_one_after(lambda: file.exists() and file.read_text().count("\n") > 2 * config.batch)
    benchmark(config)
    assert nodes.killed.is_set()
    assert rows(config) == rows(wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_collect_writes_the_same_bytes_by_every_engine(tmp_path: Path, engine: str) -> None:
    config = CollectConfig(tmp_path / "one", steps=STEPS, seed=3, camera=Camera(size=16))
    collect(config)
    collect(change(config, ENGINES[engine], tmp_path / "other"))
    assert content(tmp_path / "other") == content(tmp_path / "one")


def test_collect_writes_the_same_bytes_when_a_node_dies(tmp_path: Path, nodes: Nodes) -> None:
    config = CollectConfig(tmp_path / "one", steps=4 * STEPS, seed=3)
    collect(config)
    other = change(config, nodes.workers, tmp_path / "other")
    nodes.kill_one_after(lambda: (other.out / "shard-00004").exists())
    collect(other)
    assert nodes.killed.is_set()
    assert content(other.out) == content(config.out)


def test_a_collection_that_was_killed_is_completed_by_another_engine(tmp_path: Path) -> None:
    config = CollectConfig(tmp_path / "one", steps=STEPS, seed=3, camera=Camera(size=16))
    collect(config)
    cut = tmp_path / "cut"
    shutil.copytree(config.out, cut)
    manifest = read_manifest(cut)
    replace(manifest, checksums=manifest.checksums[:2]).write(cut)  # type: ignore[type-var]
    (cut / "shard-00004" / "pose.npy").write_bytes(b"half")
    (cut / ".shard-00005.0123abcd.partial").mkdir()
    collect(change(config, ENGINES["Ray, two workers"], cut))
    assert content(cut) == content(config.out)


def test_videos_and_predictions_are_the_same_bytes_by_every_engine(tmp_path: Path) -> None:
    config = VideosConfig(tmp_path / "one", MovingBall(), sequences=300, length=12)
    make_videos(config)
    data = videos(tmp_path / "balls")
    run = run_of("dlh", data, tmp_path / "dlh")
    predicted = PredictConfig(data, tmp_path / "alone", run=str(run), context=4, samples=6, device="cpu", processes=1)
    alone = predict(predicted)
    for number, where in enumerate(ENGINES.values()):
        make_videos(change(config, where, tmp_path / f"videos-{number}"))
        assert content(tmp_path / f"videos-{number}") == content(config.out)
        again = predict(change(predicted, where, tmp_path / f"predicted-{number}"))
        assert again["files"] == alone["files"]  # the SHA-256 of the curves and of every video's values
        assert again["rows"] == alone["rows"]


# ---------------------------------------------------------------- what can be wrong


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


def unhappy(kind: str, number: int) -> int:
    if number == 2:
        raise {"value": ValueError, "system": OSError, "ours": ZeroDivisionError}[kind](f"piece {number} is wrong")
    return number


def test_what_a_task_raises_is_raised_here(steady: Workers) -> None:
    for kind, error in (("value", ValueError), ("system", OSError), ("ours", ZeroDivisionError)):
        with pytest.raises(error, match="piece 2 is wrong"):
            list(run_pieces(partial(unhappy, kind), range(4), steady))


def test_a_cluster_of_another_version_is_one_line(steady: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "__version__", "1.0.0")
    with pytest.raises(ValueError, match=r"(?i)cannot use the Ray cluster.*version"):
        list(run_pieces(abs, range(3), steady))


def test_a_machine_with_other_packages_is_named(steady: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.system import ray_engine

    monkeypatch.setattr(ray_engine, "versions", lambda: {"torch": "1.0"})
    with pytest.raises(ValueError, match=rf"{socket.gethostname()} has torch .*runs with 1\.0.*install"):
        list(run_pieces(abs, range(3), steady))


def test_a_machine_without_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.data import shards

    monkeypatch.setattr(shards, "run_pieces", lambda work, left, *_, **__: map(work, _removed(tmp_path / "out", left)))
    with pytest.raises(ValueError, match=rf"no folder .*out on {socket.gethostname()}.*storage"):
        collect(CollectConfig(tmp_path / "out", steps=200, camera=Camera(size=8)))


def _removed(folder: Path, left: list) -> list:
    """What is left to do, once the folder is not there."""
    shutil.rmtree(folder)
    return left


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
