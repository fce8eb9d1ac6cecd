"""Results are the same bytes by every engine. (`make test` compares a benchmark by two processes of this machine.)"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.manifest import read_manifest
from agent.system.pieces import Workers
from agent.training.runs import CHECKPOINT
from envs.camera import Camera
from envs.videos import MovingBall
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.navigation import NavigationConfig, navigation
from experiments.navigation.unseen import UnseenConfig, unseen
from experiments.video.predict import PredictConfig, predict
from planners.tree import TreeSearch
from tests.support.engines import changed, rows
from tests.support.files import content
from tests.support.navigation_runs import untrained
from tests.support.video_runs import run_of, videos

pytestmark = pytest.mark.cluster

LOCAL = Workers(processes=2)
SMALL = Camera(size=16)


def test_a_benchmark_has_the_same_rows_by_ray(wanted: BenchmarkConfig, tmp_path: Path, by_ray: Workers) -> None:
    config = changed(wanted, by_ray, tmp_path / "benchmark")
    benchmark(config)
    assert rows(config) == rows(wanted)


def test_collect_writes_the_same_bytes_by_every_engine(tmp_path: Path, by_ray: Workers) -> None:
    """Also what is left of a collection that another engine began."""
    config = CollectConfig(tmp_path / "one", steps=60_000, seed=3, camera=SMALL)
    collect(config)
    cut = shutil.copytree(config.out, tmp_path / "cut")
    manifest = read_manifest(cut)
    replace(manifest, checksums=manifest.checksums[:2]).write(cut)  # type: ignore[type-var]
    (cut / "shard-00004" / "pose.npy").write_bytes(b"half")
    (cut / ".shard-00005.0123abcd.partial").mkdir()
    for out, where in ((tmp_path / "local", LOCAL), (tmp_path / "ray", by_ray), (cut, by_ray)):
        collect(changed(config, where, out))
        assert content(out) == content(config.out)


def test_videos_and_predictions_are_the_same_bytes_by_every_engine(tmp_path: Path, by_ray: Workers) -> None:
    config = VideosConfig(tmp_path / "one", MovingBall(), sequences=300, length=12)
    make_videos(config)
    make_videos(changed(config, by_ray, tmp_path / "other"))
    assert content(tmp_path / "other") == content(config.out)
    data = videos(tmp_path / "balls")
    run = run_of("dlh", data, tmp_path / "dlh")
    predicted = PredictConfig(data, tmp_path / "alone", run=str(run), context=4, samples=6, device="cpu", processes=1)
    alone = predict(predicted)
    for number, where in enumerate((LOCAL, by_ray)):
        again = predict(changed(predicted, where, tmp_path / f"predicted-{number}"))
        assert again["files"] == alone["files"]  # the SHA-256 of the curves and of every video's values
        assert again["rows"] == alone["rows"]


# ---------------------------------------------------------------- long pieces


def test_a_layout_beside_another_has_the_points_that_it_has_alone(tmp_path: Path, capfd) -> None:
    torch.set_num_threads(1)
    alone = UnseenConfig(
        tmp_path / "alone", ("random-2",), 1000, 1, 1, 4, depth=1, device="cpu", numbers=tmp_path / "alone-numbers"
    )
    unseen(alone)
    layouts = ("random-1", "random-2")
    beside = replace(alone, out=tmp_path / "beside", layouts=layouts, numbers=tmp_path / "numbers", processes=2)
    capfd.readouterr()
    unseen(beside)
    assert points(beside) == points(alone)
    assert "train to step" not in capfd.readouterr().out
    assert "train to step 1" in (beside.out / "random-2" / "log.txt").read_text()
    assert (beside.numbers / "unseen.csv").exists()


def points(config: UnseenConfig) -> list[dict[str, Any]]:
    """The last layout's points without their times."""
    found = json.loads((config.out / config.layouts[-1] / "unseen.json").read_text())["points"]
    return [{key: value for key, value in point.items() if "minutes" not in key} for point in found]


def test_seeds_side_by_side_have_the_rows_of_one_after_the_other(tmp_path: Path, by_ray: Workers) -> None:
    """And a seed that fails costs no other. DLH has no rows of sampled frames, which take long."""
    runs = tuple(untrained(tmp_path / f"dlh-{seed}", "dlh", seed=seed) for seed in (0, 1))
    alone = NavigationConfig(
        dlh=runs,
        out=tmp_path / "alone",
        json=tmp_path / "alone.json",
        episodes=4,
        first_seed=100_000,
        hrssm_planner=TreeSearch(depth=1),
        device="cpu",
    )
    measured = navigation(alone)
    beside = replace(changed(alone, by_ray, tmp_path / "beside"), json=tmp_path / "beside.json")
    assert navigation(beside) == measured
    (folder,) = beside.out.glob("*/seed-1/dlh@3")
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.raises(ValueError, match=r"1 of 2 failed.*seed 1: .*dlh@3"):
        navigation(replace(beside, overwrite=True))
    assert (runs[0] / CHECKPOINT).exists()
