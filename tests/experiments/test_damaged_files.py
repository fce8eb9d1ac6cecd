"""Every kind of file that this package reads back, damaged: refused by name in one line, or nothing else is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.system.atomic_files import write_json
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from envs.videos import digits
from envs.videos.digits import Digits
from experiments.common import pretrained
from experiments.common.json_files import FILES, read_json
from experiments.common.json_files import digests as digests_of
from experiments.common.numbers import Numbers, read_numbers, write_numbers
from experiments.common.result_folder import begin_or_resume
from experiments.common.stage_timer import Stages
from experiments.figures.options import measure_options
from experiments.navigation import unseen_numbers
from experiments.navigation.episode_files import read_episodes, read_paths, read_summary, written
from experiments.speed.table import SpeedConfig, speed
from experiments.video.metric_files import read_best, read_curves, read_prediction, read_videos, write_scores
from tests.support.benchmark_folders import trained, walked

FLIPS, SETTINGS = 100, {"--episodes": 3, "--layout": "paper"}
POINT = {"step": 1, "minutes": 0.5, "cpu_minutes": 0.6, "reward_over_ceiling": 0.9, "success": 1.0}
ABOUT = {"machine": "a machine", "threads": 2, "commit": None, "versions": {"python": "3.11"}}
ROW = {"dataset": "kth", "model": "dlh", "metric": "ssim", "value": 0.5}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file."""
    out = tmp_path_factory.mktemp("whole")
    collect(CollectConfig(out / "data", steps=200))
    tensors = {"weight": torch.arange(9.0), "flag": torch.tensor([True])}
    write_checkpoint(out / "run.safetensors", tensors, {"step": 3, "run": {"model": "rssm"}})
    bench = walked(out / "bench", {"hrssm": trained("hrssm", 2)}, episodes=8)
    summary = read_json(bench / "summary.json", "")
    write_json(bench / "summary.json", summary | {FILES: digests_of(bench, written(summary["agents"]))})
    with Stages(out / "demo.json", ("one",)).run("one", "stage"):
        pass
    rows = [{"x": place, "y": place**2} for place in range(9)]
    write_numbers(out, "figure", Numbers({"a": [0.25, 7]}, rows, {"frames": np.arange(60, dtype=np.uint8)}), "jumpy")
    (out / "speed").mkdir()
    about = {"foreign_load": 0.1, "about": ABOUT}
    write_json(out / "speed/speed_demo.json", {"minutes": {"total": 4.5}, "reward_over_ceiling": 0.97} | about)
    shutil.copy(Path(digits.__file__).with_name("digits.npz"), out)
    shutil.copy(pretrained.FOLDER / pretrained.MANIFEST, out / "manifest.json")
    write_json(out / "manifest.json", read_json(out / "manifest.json", ""))
    begin_or_resume(out / "resumed", "benchmark", SETTINGS, ())
    write_json(out / "rows.json", {"ours": {"quick": {"boundary_f1": {"value": 0.9, "seeds": [0.9]}}}})
    ends = {"floor": {}, "ceiling": {}, "points": [POINT | {"reward_over_ceiling_ci95": [0.8, 0.95]}]}
    write_json(out / "unseen.json", {"settings": SETTINGS, "about": ABOUT} | ends)
    (out / "prediction/sequences").mkdir(parents=True)
    write_scores(out / "prediction/sequences/00000.npz", {"ssim": np.arange(4.0)})
    (out / "prediction/curves.csv").write_text("step,ssim\n1,0.5\n2,0.25\n")
    facts: dict = {"command": "jumpy predict", "commit": None, "sequences": 1, "context": 2, "samples": 1, "runs": [{}]}
    (out / "prediction/videos.csv").write_text("video,ssim\n0,0.5\n")
    own = {FILES: digests_of(out / "prediction", ["curves.csv", "videos.csv"])}
    write_json(out / "prediction/row.json", facts | {"rows": [ROW]} | own)
    return out


def _speed(out: Path) -> str:
    speed(SpeedConfig(out / "speed"))
    return (out / "speed/speed.md").read_text()


def _data(out: Path) -> Any:
    replay = Replay.open(out / "data")
    return replay.manifest, replay.slices(np.arange(2), np.zeros(2, np.int64), 100)


def _figure(out: Path) -> Numbers:
    return read_numbers(out, "figure", ("json", "csv", "npz"))


READERS: dict[str, Callable[[Path], Any]] = {
    "data/manifest.json": _data,
    "data/shard-00000/observation.npy": _data,
    "data/shard-00000/action.npy": _data,
    "run.safetensors": lambda out: read_checkpoint(out / "run.safetensors"),
    "bench/summary.json": lambda out: read_summary(out / "bench"),
    "bench/episodes/hrssm.csv": lambda out: read_episodes(out / "bench", "hrssm", read_summary(out / "bench")),
    "bench/paths/hrssm.npz": lambda out: read_paths(out / "bench", "hrssm", read_summary(out / "bench")),
    "demo.json": lambda out: Stages(out / "demo.json", ("one",)).read(),
    "figure.json": _figure,
    "figure.csv": _figure,
    "figure.npz": _figure,
    "speed/speed_demo.json": _speed,
    "digits.npz": lambda out: Digits.packaged.__wrapped__().image,  # not the cached ones
    "manifest.json": lambda out: pretrained.find_run("pretrained/rssm-ours"),
    "resumed/config.json": lambda out: begin_or_resume(out / "resumed", "benchmark", SETTINGS, ()),
    "rows.json": lambda out: measure_options((f"ours={out / 'rows.json'}",)),
    "unseen.json": lambda out: unseen_numbers.read_layout(out / "unseen.json"),
    "prediction/row.json": lambda out: read_prediction(out / "prediction"),
    "prediction/curves.csv": lambda out: read_curves(out / "prediction", read_prediction(out / "prediction")),
    "prediction/videos.csv": lambda out: read_videos(out / "prediction", read_prediction(out / "prediction")),
    "prediction/sequences/00000.npz": lambda out: read_best(out / "prediction", range(1)),
}


def damages(content: bytes, is_json: bool) -> list[bytes]:
    """The content with one bit flipped, cut, or replaced; JSON also unsealed, with keys missing or of other types."""
    rng = np.random.default_rng(len(content))
    places = rng.integers(8 * min(len(content), 4000), size=FLIPS)  # near the front: headers
    flipped = []
    for place in (*places, *rng.integers(8 * len(content), size=FLIPS)):
        altered = bytearray(content)
        altered[place // 8] ^= 1 << place % 8
        flipped.append(bytes(altered))
    damaged = [*flipped, b"", content[: len(content) // 2], content[:-3], b"[]", b'{"a": 1}', b"\xff\x00" * 99]
    if is_json:
        rest = {key: value for key, value in json.loads(content).items() if key != "sha256"}
        damaged += [json.dumps({key: False for key in rest}).encode(), b"[" * 3000]
    return damaged


def plain(value: Any) -> Any:
    """What was read, in a form that can be compared, without checksums: their names may be damaged."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if len(str(each)) != 64 and key != FILES}
    if isinstance(value, Numbers):
        return plain([value.facts, value.rows, value.arrays])
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, (np.ndarray, torch.Tensor)) else value


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_by_name(whole: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "digits.npz":
        monkeypatch.setattr(digits, "files", lambda _: whole)
    if name == "manifest.json":
        weights = pretrained.weights_file("rssm-ours")
        monkeypatch.setattr(pretrained, "FOLDER", whole)
        monkeypatch.setattr(pretrained, "weights_file", lambda _: weights)
    path, read = whole / name, READERS[name]
    before, expected = path.read_bytes(), plain(read(whole))
    try:
        for damaged in damages(before, name.endswith(".json")):
            path.write_bytes(damaged)
            try:
                found = plain(read(whole))
            except ValueError as error:
                named = path.parent if path.suffix == ".npy" else path
                assert str(named) in str(error)
                assert "\n" not in str(error)
            else:
                assert found == expected, damaged[:200]
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(".json") and name != "manifest.json"])
def test_files_of_older_versions_are_read(whole: Path, name: str) -> None:
    path, read = whole / name, READERS[name]
    before, expected = path.read_bytes(), plain(read(whole))
    content = json.loads(before)
    assert list(content)[-1] == "sha256"
    try:
        path.write_text(json.dumps({key: value for key, value in content.items() if key not in ("sha256", "files")}))
        old = plain(read(whole))
    finally:
        path.write_bytes(before)
    assert old == expected


def test_a_header_that_is_a_list_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x", {"jumpy": "[]"})
    with pytest.raises(ValueError, match=r"x is damaged .*a list"):
        read_checkpoint(tmp_path / "x")
