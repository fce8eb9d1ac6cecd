"""`jumpy videos`: a data set of videos with known change points, shard by shard."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agent.data.manifest import EPISODES_PER_SHARD, VideoManifest
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.versions import versions
from envs.videos import DATASETS, MovingMNIST, Video
from envs.videos.digits import Digits

OPTIONS = ("recolour", "digits", "jitter", "size")
"""settings of `VideosConfig` that are a data set's own"""


@dataclass(frozen=True)
class VideosConfig:
    """Draw videos into a data set; a call that was cut off goes on where it stopped."""

    out: Path
    """folder of the data set"""
    dataset: Literal["bouncing-balls", "moving-ball", "moving-mnist", "mazes"] = "bouncing-balls"
    """bouncing-balls: two balls, as in Kim et al. 2019; moving-ball: one, as in Zakharov et al. 2022; moving-mnist: two
    digits, as in Srivastava et al. 2015; mazes: random walks, each in a maze of its own"""
    sequences: int | None = None
    """how many; the first 80 percent train, the rest test, with digits and mazes of their own; default: 5000 of balls,
    2000 of digits and mazes"""
    length: int | None = None
    """frames of each; default: 100 of balls, 300 of digits, 200 of mazes"""
    seed: int = 0
    """decides every sequence"""
    recolour: float | None = None
    """balls; lambda: probability that one changes its colour by chance, a frame (default 0); Zakharov et al. use 0, 0.1
    and 0.3"""
    digits: Path | None = None
    """moving-mnist: folder with the four files of MNIST (train-images-idx3-ubyte and so on, or .gz); default: 10 000
    digits that come with this package, four fifths of them for training"""
    jitter: float | None = None
    """mazes: how much the camera trembles, as a share of the environment's jitter (default 1); 0 for none"""
    size: int | None = None
    """height and width of a frame in pixels; default: 32 of balls, 64 of digits and mazes"""
    overwrite: bool = False
    """replace a data set that is already there"""

    def __post_init__(self) -> None:
        """Refuse counts that are too small, negative seeds, and options of other data sets."""
        if self.dataset not in DATASETS:
            raise ValueError(f"unknown dataset {self.dataset!r}: choose one of {', '.join(DATASETS)}")
        for name, least in (("sequences", 1), ("length", 2), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"--{name} must be {least} or more, got {value}")
        for name in OPTIONS:
            value = getattr(self, name)
            if value is not None and name not in DATASETS[self.dataset].options:
                suited = ", ".join(dataset for dataset, video in DATASETS.items() if name in video.options)
                raise ValueError(f"--{name} {value} does not apply to {self.dataset}, only to {suited}: leave it out")


def make_videos(config: VideosConfig) -> Replay:
    """Write a data set of videos; each shard depends on the data set's settings and (seed, shard) alone.

    Args:
        config: what to draw, and where. A data set of the same settings is completed.

    Returns:
        The finished data set.

    Raises:
        ValueError: if the settings cannot be drawn, a file of digits is missing or damaged, the folder holds a data set
            of other settings or other files, or another process writes to it.
        OSError: if the folder cannot be written.
    """
    video, generate = _prepared(config)
    sequences, length = config.sequences or video.default_sequences, config.length or video.default_length
    wanted = VideoManifest(config.dataset, video, length, config.seed, sequences, versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((config.seed, shard))
        train = wanted.train_episodes - shard * EPISODES_PER_SHARD
        whole = generate(rng, EPISODES_PER_SHARD, length, train)  # all: whatever follows changes no path
        return {name: array[:episodes] for name, array in whole.items()}

    write_data(config.out, wanted, config.overwrite, make, "videos")
    return Replay.open(config.out, verify=False)


def _prepared(config: VideosConfig) -> tuple[Video, Callable[..., dict[str, np.ndarray]]]:
    """The data set with the settings chosen, and the function that draws it."""
    chosen: dict[str, Any] = {name: value for name in OPTIONS if (value := getattr(config, name)) is not None}
    video = DATASETS[config.dataset]
    if config.digits is None:
        video = replace(video, **chosen)
        return video, video.generate
    assert isinstance(video, MovingMNIST)
    digits = Digits.read(config.digits)
    video = replace(video, **chosen | {"digits": digits.name})
    return video, partial(video.generate, digits=digits)
