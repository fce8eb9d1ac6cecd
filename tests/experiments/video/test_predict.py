"""Predicting videos: the choice of the best sample, intervals, interruptions, and invalid input."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import nn

from agent.data.replay import Replay
from agent.training.image_grid import START_COLOUR
from experiments import cli
from experiments.common.trained_runs import TrainedRun, load_trained
from experiments.video import predict as module
from experiments.video.film import BORDER, CAPTION, FLASH, PREDICTED, SHOWN, Row, pictures
from experiments.video.floors import FLOORS
from experiments.video.metrics import frame_metrics
from experiments.video.predict import PredictConfig, predict, predict_video
from tests.support.video_runs import FRAMES, TESTED, run_of, videos
from world_models.blocks.images import to_float, to_uint8
from world_models.lmc_memory import LMCMemory

CONTEXT = 6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets and a run of every model."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    videos(folder / "chance", 0.3)
    for kind in ("dlh", "cwvae", "rssm", "hrssm"):
        run_of(kind, folder / "data", folder / kind)
    run_of("dlh", folder / "data", folder / "older", seconds=None)
    return folder


def small(world: Path, out: Path, **changes: Any) -> PredictConfig:
    """Three samples of the first two test videos."""
    some: Any = {"context": CONTEXT, "samples": 3, "sequences": 2, "batch": 2, "device": "cpu"}
    return replace(PredictConfig(world / "data", out, str(world / "dlh"), **some), **changes)


# ------------------------------------------------------------------------ the best of several samples


class Gradients(Replay):
    """One video of smooth grey gradients."""

    def __init__(self) -> None:
        self.frames = np.zeros((1, 5, 32, 32, 3), np.uint8)
        self.frames[:] = (60 + 3 * np.arange(32))[:, None]

    episode_length = 5
    grey = False

    def slices(self, episode: Any, start: Any, length: int) -> dict[str, np.ndarray]:
        return {"observation": self.frames}


class Given(nn.Module):
    """Generates given frames, sample after sample."""

    context, generation_modes = 2, ("full",)

    def __init__(self, samples: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.left = nn.Parameter(torch.zeros(1)), samples

    def generate(self, x, a, length, actions, mode):
        assert (x.shape[1], a.shape[1], actions.shape[1], mode) == (2, 1, 3, "full")
        assert length.tolist() == [2] * len(x)
        now, self.left = self.left[: len(x)], self.left[len(x) :]
        return (now.float() / 127.5 - 1).movedim(-1, -3) * 31 / 32, None  # as `to_uint8` reads them


def test_each_metric_chooses_its_sample_by_its_mean_over_the_video():
    replay = Gradients()
    true = torch.from_numpy(replay.frames[0, 2:]).int()
    rough = true + torch.randint(-12, 13, true.shape, generator=torch.Generator().manual_seed(0))  # best by PSNR
    shifted = true + 14  # best by SSIM
    lucky = true + 1
    lucky[1:] = 255 - lucky[1:]  # the best in its first frame, the worst on average
    samples = torch.stack([lucky, shifted, rough]).clamp(0, 255).to(torch.uint8)
    run = TrainedRun(Path("run"), "run", "rssm", Given(samples), {"model": "rssm"}, 0, None)
    config = PredictConfig(Path("data"), Path("out"), "run", context=2, samples=3, batch=2)
    best = predict_video(config, run, replay, 0).scores
    each = frame_metrics(samples, torch.from_numpy(replay.frames[0, 2:]).expand_as(samples))
    np.testing.assert_array_equal(best["ssim"], each["ssim"][1])
    np.testing.assert_array_equal(best["psnr"], each["psnr"][2])
    assert each["psnr"][0, 0] == each["psnr"].max()  # choosing frame by frame would take it


def test_grey_videos_are_compared_with_the_mean_over_a_models_colours(monkeypatch):
    replay = Gradients()
    true = torch.from_numpy(replay.frames[0, 2:]).int()
    coloured = true + torch.tensor([-20, 5, 30])  # 5 too bright on average
    run = TrainedRun(Path("run"), "run", "rssm", Given(coloured[None].to(torch.uint8)), {"model": "rssm"}, 0, None)
    monkeypatch.setattr(Gradients, "grey", True)
    config = PredictConfig(Path("data"), Path("out"), "run", context=2, samples=1)
    decibels = predict_video(config, run, replay, 0).scores["psnr"]
    np.testing.assert_allclose(decibels, 10 * np.log10(255**2 / 25), atol=1.5)  # pixels are rounded to whole numbers


# ------------------------------------------------------------------------ the floor


@pytest.mark.parametrize("kind", FLOORS)
def test_a_floor_needs_no_run(world, tmp_path, kind):
    result = predict(small(world, tmp_path / "out", run=None, floor=kind, samples=100, sequences=1))
    replay = Replay.open(world / "data")
    frames = replay.slices(np.array([replay.split("test")[0]]), np.array([0]), FRAMES)["observation"]
    assert not replay.grey
    shown = frames[:, CONTEXT - 1 : CONTEXT] if kind == "last-frame" else np.zeros_like(frames[:, :1])
    predicted = to_uint8(to_float(torch.from_numpy(shown)))
    if kind == "mean-frame":
        train = replay.slices(np.array(replay.split("train")), np.zeros(len(replay.split("train")), int), FRAMES)
        predicted = torch.from_numpy(train["observation"].mean((0, 1)).round().astype(np.uint8))
    predicted = predicted.expand(1, FRAMES - CONTEXT, -1, -1, -1)
    true = frame_metrics(predicted, torch.from_numpy(frames[:, CONTEXT:]))
    ssim, psnr, lpips = result["rows"]
    rounding = 1e-4 if kind == "mean-frame" else 1e-6  # of pixels halfway between two numbers
    assert (ssim["model"], ssim["value"]) == (kind, pytest.approx(true["ssim"].mean(), abs=rounding))
    assert (psnr["value"], lpips["value"]) == (pytest.approx(true["psnr"].mean(), abs=rounding), "n/a")
    assert (result["samples"], ssim["trained_minutes"], ssim["device"]) == (1, 0, None)


# ------------------------------------------------------------------------ results


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> PredictConfig:
    """All test videos."""
    config = small(world, tmp_path_factory.mktemp("finished") / "out", sequences=None)
    predict(config)
    return config


def test_row_and_curves_are_means_over_videos(finished):
    found = json.loads((finished.out / "row.json").read_text())
    best = [dict(np.load(path)) for path in sorted((finished.out / "sequences").iterdir())]
    assert (len(best), found["sequences"]) == (TESTED, TESTED)
    rows = {row["metric"]: row for row in found["rows"]}
    assert list(rows) == ["ssim", "psnr", "lpips", "parameters"]
    keys = ["model", "dataset", "metric", "value", "ci95", "published", "trained_minutes", "device"]
    for row in rows.values():
        assert list(row) == keys or row["metric"] == "parameters"
        assert (row["model"], row["dataset"]) == ("dlh", "moving-ball")
        assert (row["trained_minutes"], row["device"]) == (2.0, "a GPU + a CPU, 1 thread")
    assert (rows["lpips"]["value"], rows["lpips"]["ci95"]) == ("n/a", None)
    model = load_trained(finished.run).model
    assert rows["parameters"]["value"] == sum(each.numel() for each in model.parameters())
    table = list(csv.DictReader((finished.out / "curves.csv").read_text().splitlines()))
    assert [row["step"] for row in table] == [str(step) for step in range(1, FRAMES - CONTEXT + 1)]
    for name in ("ssim", "psnr"):
        means = [video[name].mean() for video in best]
        low, high = rows[name]["ci95"]
        assert rows[name]["value"] == pytest.approx(np.mean(means))
        assert min(means) - 1e-6 < low < rows[name]["value"] < high < max(means) + 1e-6
        at = np.stack([video[name] for video in best])
        np.testing.assert_allclose([float(row[name]) for row in table], at.mean(0), rtol=1e-4)
        for row, values in zip(table, at.T, strict=True):
            low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
            assert values.min() - 1e-3 < low <= float(row[name]) <= high < values.max() + 1e-3
    assert {row["lpips_high"] for row in table} == {"n/a"}


def test_an_interrupted_call_resumes_to_the_same_files(world, finished, tmp_path, monkeypatch):
    config = small(world, tmp_path / "out", sequences=None)
    whole, calls = predict_video, []

    def cut(*arguments: Any) -> Any:
        calls.append(arguments[3])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_video", cut)
        with pytest.raises(KeyboardInterrupt):
            predict(config)
        assert sorted(path.name for path in config.out.iterdir()) == ["config.json", "sequences"]
        predict(replace(config, sequences=2))  # fewer videos, which are there already
        assert len(calls) == 3
        predict(config)
    assert calls == [16, 17, 18, 18, 19]
    assert (config.out / "curves.csv").read_bytes() == (finished.out / "curves.csv").read_bytes()
    one, other = (json.loads((each.out / "row.json").read_text()) for each in (config, finished))
    for differs in ("command", "sha256"):  # another --out
        assert one.pop(differs) != other.pop(differs)
    assert one == other


def test_samples_depend_on_the_seed_alone(world, tmp_path):
    run, replay = load_trained(world / "dlh"), Replay.open(world / "data")
    one, again, other = (
        predict_video(small(world, tmp_path, seed=seed), run, replay, 17).scores["psnr"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    more = predict_video(small(world, tmp_path, samples=12), run, replay, 17).scores["psnr"]
    assert more.mean() > one.mean()  # the same first two, and others


@pytest.mark.parametrize("kind", ["cwvae", "rssm", "hrssm"])
def test_every_model_predicts_to_the_end_of_the_video(world, tmp_path, kind):
    result = predict(small(world, tmp_path / "out", run=str(world / kind), sequences=1))
    assert [row["model"] for row in result["rows"]] == [kind] * 4
    assert len((tmp_path / "out" / "curves.csv").read_text().splitlines()) == 1 + FRAMES - CONTEXT


def test_unknown_training_time_is_null(world, tmp_path):
    result = predict(small(world, tmp_path / "out", run=str(world / "older"), sequences=1, samples=1))
    assert {(row["trained_minutes"], row["device"]) for row in result["rows"]} == {(None, None)}


# ------------------------------------------------------------------------ one sample, and films


def test_a_deterministic_model_is_sampled_once(world, tmp_path, monkeypatch):
    """All samples of LMC-Memory would be equal; --samples changes nothing, not even between calls."""
    run_of("lmc-memory", world / "data", tmp_path / "lmc")
    rows, generate = [], LMCMemory.generate

    def count(self: LMCMemory, x: torch.Tensor, *rest: Any) -> Any:
        rows.append(len(x))
        return generate(self, x, *rest)

    monkeypatch.setattr(LMCMemory, "generate", count)
    config = small(world, tmp_path / "out", run=str(tmp_path / "lmc"), context=10, samples=100)
    result = predict(config)
    assert (result["samples"], rows) == (1, [1, 1])
    assert predict(replace(config, samples=50))["rows"] == result["rows"]
    assert len(rows) == 2


def test_a_film_shows_the_truth_and_below_it_the_sample_that_ssim_chose(world, tmp_path, capsys):
    other = small(world, tmp_path / "other", run=str(world / "hrssm"), video=2, samples=1)
    predict(other)
    config = small(world, tmp_path / "out", video=2, beside=(other.out,))
    predict(replace(config, video=None, beside=()))  # the scores are there, the frames not yet
    before = {path.name: path.read_bytes() for path in (config.out / "sequences").iterdir()}
    predict(config)
    assert {path.name: path.read_bytes() for path in (config.out / "sequences").iterdir()} == before
    replay = Replay.open(world / "data")
    episode = replay.split("test")[1]
    true = replay.slices(np.array([episode]), np.array([0]), FRAMES)["observation"][0]
    kept = np.load(config.out / "frames" / f"{episode:05d}.npz")
    scores = np.load(config.out / "sequences" / f"{episode:05d}.npz")["ssim"]
    again = frame_metrics(torch.from_numpy(kept["frames"]), torch.from_numpy(true[CONTEXT:]))["ssim"]
    np.testing.assert_allclose(again, scores, rtol=1e-6)
    for kind in ("mp4", "gif"):
        with av.open(config.out / f"video.{kind}") as film:
            shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert len(shown) == FRAMES
        row = 2 * 32 + 2 * BORDER + CAPTION
        for t, place in ((0, 0), (20, 0), (3, 1)):  # the second column: the truth, and what the model is shown of it
            inside = shown[t][place * row + CAPTION + BORDER :][:64, row - CAPTION + BORDER :][:, :64]
            assert np.abs(inside.astype(int) - true[t].repeat(2, 0).repeat(2, 1)).mean() < 6
        assert shown[0].shape[0] == 3 * row + CAPTION  # truth, dlh, hrssm, the number of the frame


def test_borders_say_what_is_shown_predicted_and_new():
    frames, start = np.full((1, 8, 32, 32, 3), 200, np.uint8), np.zeros((1, 8), bool)
    start[0, 4] = True
    drawn = list(pictures([Row("a model", frames, start, shown=2)]))
    colours = [tuple(picture[CAPTION + 1, 1].tolist()) for picture in drawn]
    assert colours == [SHOWN] * 2 + [PREDICTED] * 2 + [START_COLOUR] * FLASH + [PREDICTED]
    assert drawn[0].shape[0] % 2 == drawn[0].shape[1] % 2 == 0
    assert (drawn[0][: CAPTION - 2] < 100).any()  # its caption


BAD_FILMS = {
    "--beside other": "--video",
    "--video 0": "--video.*at least 1, got 0",
    "--video 1 --beside nowhere": "nowhere holds no finished prediction",
    "--video 2 --beside other": r"other/frames.* is missing.*--video",
    "--video 1 --beside chance": "chance-film.*other data than data",
}


@pytest.mark.parametrize("arguments", BAD_FILMS)
def test_films_of_what_does_not_fit_are_refused_in_one_line(world, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(world)
    if not Path("other").exists():
        predict(small(world, Path("other"), video=1, sequences=1, samples=1))
        chance = Path("chance-film")
        predict(small(world, chance, data=Path("chance"), run=None, floor="black", video=1, sequences=1))
    capsys.readouterr()
    words = arguments.replace("--beside chance", "--beside chance-film").split()
    base = f"predict --run dlh --data data --out {tmp_path}/new --context {CONTEXT} --samples 1 --device cpu"
    assert cli.main([*base.split(), *words]) == 2
    assert re.fullmatch(f"jumpy: error: .*{BAD_FILMS[arguments]}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


# ------------------------------------------------------------------------ invalid input

BAD = [
    ("", "--context.*24 frames of the videos in data, got 30"),
    ("--floor black", "--run or --floor.*dlh.*black"),
    ("--context 0", "--context.*got 0"),
    ("--samples 0", "--samples.*got 0"),
    ("--context 6 --sequences 5", "--sequences.*4 test videos of data, got 5"),
    ("--context 6 --run nowhere", "no run nowhere"),
    ("--context 6 --run data", "no checkpoint data/checkpoint.safetensors"),
    ("--context 6 --data nowhere", "nowhere is not a data set"),
    ("--context 6 --data chance", "chance.*moving-ball with recolour 0.3.*dlh was trained on moving-ball with"),
    ("--context 7 --run rssm", "rssm.*contexts of at most 6 frames.*7"),
    ("--context 6 --alexnet nowhere", "no weights nowhere"),
    ("--context 6 --out data", "data.*other files"),
    ("--context 6 --out done --seed 1", "done.*prediction with --seed 0.*1"),
    ("--context 6 --out done --run older", "done.*prediction with --run of SHA-256"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(world, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(world)
    Path("done").mkdir(exist_ok=True)
    settings = {"--floor": None, "--context": 6, "--samples": 1, "--batch": 25, "--seed": 0, "--device": "cpu"}
    Path("done/config.json").write_text(json.dumps({"settings": settings | {"--alexnet": None}}))
    before = {path: path.is_file() and path.stat().st_mtime_ns for path in world.rglob("*")}
    chosen = {"run": "dlh", "data": "data", "out": "new", "samples": "1", "device": "cpu"}
    words = arguments.split()
    chosen |= dict(zip((word[2:] for word in words[::2]), words[1::2], strict=True))
    assert cli.main(["predict", *(part for name, value in chosen.items() for part in (f"--{name}", value))]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(f"jumpy: error: .*{message}.*\n", error)
    assert {path: path.is_file() and path.stat().st_mtime_ns for path in world.rglob("*")} == before
