"""`jumpy predict`: open-loop prediction of the test videos of a data set, the best of several samples.

A model sees the first frames of a video and samples the rest several times. Every sampled frame is compared with the
true one; each metric chooses the sample with the best mean over the video (Denton and Fergus 2018; Zakharov et al.
2022, section 4.1).

| file | content |
|---|---|
| `config.json` | what decides the results |
| `sequences/NUMBER.npz` | the chosen sample's values of one test video, frame by frame |
| `videos.csv` | their means over the frames, one row per test video |
| `curves.csv` | their means over the videos, one row per predicted frame, with 95 % bootstrap intervals over videos |
| `row.json` | the means over videos and frames with such intervals: the rows of Table 1 |
| `frames/NUMBER.npz` | with --video: the frames of the sample with the best SSIM of one test video |
| `video.mp4`, `video.gif` | with --video: the truth above such frames of this model, and of those in --beside |

Tables and figures read `videos.csv`, `curves.csv` and `row.json` only: `experiments/results/predictions` keeps those of
our models, so that another one is compared with them on the same videos without training them again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from agent.data.replay import Replay
from agent.system.atomic_files import locked, write_file, write_json
from agent.system.cores import usable_cores
from agent.system.device import choose_device
from agent.system.pieces import Workers, run_pieces
from agent.system.versions import commit, versions
from agent.training.evaluation_mode import seeded
from experiments.common.command_line import arguments
from experiments.common.json_files import FILES, digests
from experiments.common.result_folder import begin_or_resume
from experiments.common.trained_runs import TrainedRun, load_trained
from experiments.video.film import check_film, write_film
from experiments.video.floors import Kind, fixed_baseline
from experiments.video.lpips import ALEXNET_SHA256, LPIPS, load_lpips
from experiments.video.metric_files import (
    CURVES,
    FRAMES,
    PRODUCTS,
    ROW,
    SEQUENCES,
    VIDEOS,
    curves,
    means_table,
    read_best,
    videos_table,
    write_scores,
)
from experiments.video.metrics import best_of, frame_metrics
from experiments.video.rows import Scores, prediction_rows, video_means
from world_models.blocks.images import to_float, to_uint8
from world_models.interface import Generative
from world_models.registry import MODELS

SAMPLES_PER_PROCESS = 1000
"""fewest samples of videos for which another process pays: it takes seconds to start"""


@dataclass(frozen=True)
class PredictConfig(Workers):
    """Predict test videos from their first frames, and measure how close the best of several samples is to the truth.

    Episodes of a maze or of another environment count as videos; the actions that were taken in them are given.

    An interrupted call resumes where it stopped, with the same results; so does one with more --sequences.
    """

    data: Path
    """data set that the run was trained on; its test split is predicted"""
    out: Path
    """folder of the results"""
    run: str | None = None
    """run of 'jumpy train'"""
    floor: Kind | None = None
    """instead of a run, a fixed baseline: the last frame of the context, black frames, or the mean training frame"""
    context: int | None = None
    """frames of each video that the model sees; default: as many as in its paper, 30 or 36, or in its training if that
    were fewer and it cannot read more"""
    samples: int = 100
    """samples of each video; the best one counts"""
    sequences: int | None = None
    """how many test videos, from the first; default: all"""
    video: int | None = None
    """draw a film of so many of them, the first; needs PyAV, from the extra `import`"""
    beside: tuple[Path, ...] = ()
    """more folders of this command with as many videos in their films, whose models are drawn below"""
    batch: int = 25
    """samples that are computed in parallel"""
    alexnet: Path | None = None
    """torchvision's alexnet-owt-7be5be79.pth, for LPIPS; without it LPIPS is n/a"""
    alexnet_sha256: str = ALEXNET_SHA256
    """hash of that file"""
    seed: int = 0
    """seed of the samples"""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda"""
    overwrite: bool = False
    """replace results that are already there"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("context", "samples", "sequences", "video", "batch"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")
        if (self.run is None) == (self.floor is None):
            raise ValueError(f"give either --run or --floor, got --run {self.run} and --floor {self.floor}")
        if self.beside and self.video is None:
            raise ValueError("--beside is for films: add --video with how many videos to draw")


class Prediction(NamedTuple):
    """The best samples of one video."""

    scores: Scores
    """each metric's values of the sample that it chooses"""
    film: dict[str, np.ndarray]
    """``frames`` (T, H, W, C) of the sample that SSIM chooses, and where they are known its ``start`` (T,)"""


def predict(config: PredictConfig) -> dict[str, Any]:
    """Predict every video that is not finished yet, print the means, and write the curves and the rows.

    Returns:
        The content of `row.json`.

    Raises:
        ValueError: if run, data, context or weights do not fit, or the folder holds something else.
        OSError: if the folder cannot be written.
    """
    device, replay = choose_device(config.device), Replay.open(config.data)
    predictor = _predictor(config, replay, device)
    _check_frames(config, predictor, replay)
    episodes = replay.split("test")[: config.sequences]
    filmed = episodes[: config.video] if config.video else range(0)
    if filmed:
        check_film(config.beside, replay, filmed)
    lpips = load_lpips(config.alexnet, config.alexnet_sha256, device)
    settings = _settings(config, predictor, replay, device)
    with locked(config.out):
        begin_or_resume(config.out, "prediction", settings, PRODUCTS, config.overwrite)
        for folder in (SEQUENCES, *([FRAMES] if filmed else [])):
            (config.out / folder).mkdir(exist_ok=True)
        _predict_all(config, predictor, replay, episodes, filmed, lpips)
        found = read_best(config.out, episodes)
        means = video_means(found)
        write_file(config.out / CURVES, curves(found).encode())
        write_file(config.out / VIDEOS, videos_table(means).encode())
        result = {
            "command": shlex.join(["jumpy", "predict", *arguments(config, without=Workers)]),
            "commit": commit(),
            "versions": versions(),
            "context": _shown(config, predictor),
            "samples": _samples(config, predictor),
            "rows": prediction_rows(predictor, means),
            "sequences": len(episodes),
            "runs": [predictor.facts],
            FILES: digests(config.out, [CURVES, VIDEOS]),
        }
        write_json(config.out / ROW, result)
        if filmed:
            write_film((config.out, *config.beside), replay, filmed)
    print(means_table(result))
    return result


def _predict_all(
    config: PredictConfig, predictor: TrainedRun, replay: Replay, episodes: range, filmed: range, lpips: LPIPS | None
) -> None:
    """Predict the videos that are not finished yet, and write each as soon as it is."""

    def lacks(number: int) -> bool:
        folders = (SEQUENCES, FRAMES) if number in filmed else (SEQUENCES,)
        return not all((config.out / folder / f"{number:05d}.npz").exists() for folder in folders)

    left = [number for number in episodes if lacks(number)]
    gpu = choose_device(config.device).type == "cuda"
    default = 1 if gpu else min(usable_cores(), max(1, len(left) * _samples(config, predictor) // SAMPLES_PER_PROCESS))
    work = partial(_predicted, config, predictor, lpips, filmed)
    name = f"predict {predictor.training['model']}"
    with tqdm(initial=len(episodes) - len(left), total=len(episodes), desc=name, unit=" videos") as progress:
        for number, best in zip(left, run_pieces(work, left, config, default, gpu=gpu), strict=True):
            write_scores(config.out / SEQUENCES / f"{number:05d}.npz", best.scores)
            if number in filmed:
                write_scores(config.out / FRAMES / f"{number:05d}.npz", best.film)
            progress.update()


def _predicted(
    config: PredictConfig, predictor: TrainedRun, lpips: LPIPS | None, filmed: range, episode: int
) -> Prediction:
    """`predict_video` in a worker, which opens the data itself; with frames only of films."""
    best = predict_video(config, predictor, _opened(config.data), episode, lpips)
    return best if episode in filmed else best._replace(film={})


@cache
def _opened(data: Path) -> Replay:
    return Replay.open(data, verify=False)


@torch.no_grad()
def predict_video(
    config: PredictConfig, predictor: TrainedRun, replay: Replay, episode: int, lpips: LPIPS | None = None
) -> Prediction:
    """Predict one video, independently of the others; each metric chooses a sample."""
    device, shown = choose_device(config.device), _shown(config, predictor)
    fields = replay.slices(np.array([episode]), np.array([0]), replay.episode_length)
    true = torch.from_numpy(fields["observation"]).to(device)
    x, future = to_float(true[:, :shown]), true[:, shown:, ..., : 1 if replay.grey else 3]
    before, ahead, mode = _actions(predictor, fields, shown)
    parts: dict[str, list[np.ndarray]] = {}
    computed, highest, film = _samples(config, predictor), -np.inf, dict[str, np.ndarray]()
    for first in range(0, computed, config.batch):
        samples = min(config.batch, computed - first)
        length = torch.full((samples,), shown, device=device)
        a, planned = (taken.to(device).expand(samples, -1) for taken in (before, ahead))
        with seeded(device, int(np.random.default_rng([config.seed, episode, first]).integers(2**63))):
            frames, start = predictor.able(Generative).generate(
                x.expand(samples, -1, -1, -1, -1), a, length, planned, mode
            )
        predicted = to_uint8(frames.mean(2, keepdim=True) if replay.grey else frames)
        for name, values in frame_metrics(predicted, future.expand_as(predicted), lpips).items():
            parts.setdefault(name, []).append(values)
        means = parts["ssim"][-1].mean(1)
        if means.max() > highest:
            highest, chosen = means.max(), int(means.argmax())
            film = {"frames": predicted[chosen].cpu().numpy()}
            film |= {} if start is None else {"start": (start[chosen] > 0.5).cpu().numpy()}
    return Prediction({name: best_of(np.concatenate(values), name) for name, values in parts.items()}, film)


def _actions(
    predictor: TrainedRun, fields: dict[str, np.ndarray], shown: int
) -> tuple[torch.Tensor, torch.Tensor, str]:
    """The actions (1, …) between the frames that the model sees and before those that it predicts, and how to use them.

    Videos have none: the numbers are not read.
    """
    frames = fields["observation"].shape[1]
    if "action" not in fields:
        none = torch.zeros(1, frames, dtype=torch.long)
        return none[:, : shown - 1], none[:, shown:], "full"
    taken, spec = torch.from_numpy(fields["action"].astype(np.int64)), MODELS.get(predictor.training["model"])
    return taken[:, : shown - 1], taken[:, shown - 1 : -1], spec.timed_mode if spec else "full"


def _samples(config: PredictConfig, predictor: TrainedRun) -> int:
    """Samples that are computed of each video: one if all would be the same."""
    spec = MODELS.get(predictor.training["model"])
    return 1 if spec is None or spec.deterministic else config.samples


def _shown(config: PredictConfig, predictor: TrainedRun) -> int:
    """Frames of each video that the model sees."""
    return config.context or predictor.shown


def _predictor(config: PredictConfig, replay: Replay, device: torch.device) -> TrainedRun:
    """The fixed baseline, or the run, which must have been trained on the data."""
    if config.floor is not None:
        return fixed_baseline(config.floor, replay)
    run = load_trained(str(config.run), device=device)
    run.data_of([replay])
    run.able(Generative)
    return run


def _check_frames(config: PredictConfig, predictor: TrainedRun, replay: Replay) -> None:
    """Check that there are enough videos, something to predict, and a context that the model has learned to read."""
    test, shown = len(replay.split("test")), _shown(config, predictor)
    if not test:
        raise ValueError(f"{config.data} has no test video ({replay.episodes} in all): make more")
    if config.sequences is not None and config.sequences > test:
        raise ValueError(f"--sequences must be at most the {test} test videos of {config.data}, got {config.sequences}")
    if shown >= replay.episode_length:
        raise ValueError(
            f"--context must be less than the {replay.episode_length} frames of the videos in {config.data}, "
            f"got {shown}: shorten it, or make longer videos"
        )
    spec = MODELS.get(predictor.training["model"])
    if spec is not None and shown < spec.fewest:
        raise ValueError(f"{spec.display_name} needs a context of at least {spec.fewest} frames, got --context {shown}")
    if spec is not None and spec.bounded_context and shown > (longest := predictor.able(Generative).context):
        raise ValueError(
            f"{config.run} was trained with contexts of at most {longest} frames, got --context {shown}: give "
            f"--context {longest}, or train it with --options context={shown} window=…"
        )


def _settings(config: PredictConfig, predictor: TrainedRun, replay: Replay, device: torch.device) -> dict[str, Any]:
    """What decides the results, by the names of the command line where there is one."""
    return {
        "--floor": config.floor,
        "--context": _shown(config, predictor),
        "--samples": _samples(config, predictor),
        "--batch": config.batch,
        "--seed": config.seed,
        "--device": str(device),
        "--alexnet": None if config.alexnet is None else config.alexnet_sha256,
        "--run of SHA-256": predictor.facts.get("checkpoint"),
        "--data of SHA-256": replay.manifest.digest,
    }
