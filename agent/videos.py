"""`jumpy videos`: a data set of videos with known change points, shard by shard."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from agent.manifest import EPISODES_PER_SHARD, VideoManifest
from agent.replay import Replay
from agent.shards import write_data
from agent.versions import versions
from envs.videos import DATASETS


@dataclass(frozen=True)
class VideosConfig:
    """Draw videos into a data set; a call that was cut off goes on where it stopped."""

    out: Path
    """folder of the data set"""
    dataset: Literal["bouncing-balls", "moving-ball"] = "bouncing-balls"
    """bouncing-balls: two balls, as in Kim et al. 2019; moving-ball: one, as in Zakharov et al. 2022"""
    sequences: int = 5000
    """how many; the first 80 percent train, the rest test"""
    length: int = 100
    """frames of each"""
    seed: int = 0
    """decides every sequence"""
    recolour: float = 0.0
    """lambda: probability that a ball changes its colour by chance, a frame; Zakharov et al. use 0, 0.1 and 0.3"""
    size: int = 32
    """height and width of a frame in pixels"""
    overwrite: bool = False
    """replace a data set that is already there"""

    def __post_init__(self) -> None:
        """Refuse counts that are too small, and negative seeds."""
        if self.dataset not in DATASETS:
            raise ValueError(f"unknown dataset {self.dataset!r}: choose one of {', '.join(DATASETS)}")
        for name, least in (("sequences", 1), ("length", 2), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"--{name} must be {least} or more, got {value}")


def make_videos(config: VideosConfig) -> Replay:
    """Write a data set of videos; each shard depends on the data set's settings and (seed, shard) alone.

    Args:
        config: what to draw, and where. A data set of the same settings is completed.

    Returns:
        The finished data set.

    Raises:
        ValueError: if the settings cannot be drawn, the folder holds a data set of other settings or other files, or
            another process writes to it.
        OSError: if the folder cannot be written.
    """
    video = replace(DATASETS[config.dataset], recolour=config.recolour, size=config.size)
    wanted = VideoManifest(config.dataset, video, config.length, config.seed, config.sequences, versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((config.seed, shard))
        whole = video.generate(rng, EPISODES_PER_SHARD, config.length)  # always: a longer data set begins with the same
        return {name: array[:episodes] for name, array in whole.items()}

    write_data(config.out, wanted, config.overwrite, make, "videos")
    return Replay.open(config.out, verify=False)
