"""`jumpy videos`: a data set of rendered videos with known change points."""

import inspect
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agent.data.manifest import EPISODES_PER_SHARD, VideoManifest
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.pieces import Workers
from agent.system.versions import versions
from envs.videos import DATASETS, Video


@dataclass(frozen=True)
class VideosConfig(Workers):
    """Render videos into a data set; an interrupted call resumes where it stopped."""

    out: Path
    """folder of the data set"""
    video: Video
    """options of the videos"""
    sequences: int
    """number of sequences: the first 80 percent for training, the rest for tests, with their own digits and mazes"""
    length: int
    """frames per sequence"""
    seed: int = 0
    """determines every sequence"""
    overwrite: bool = False
    """replace an existing data set"""

    def __post_init__(self) -> None:
        """Check the counts and the seed."""
        super().__post_init__()
        for name, least in (("sequences", 1), ("length", 2), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"--{name} must be {least} or more, got {value}")


VIDEOS = {
    name: (
        partial(VideosConfig, video=video, sequences=video.default_sequences, length=video.default_length),
        str(inspect.getdoc(video)),
    )
    for name, video in DATASETS.items()
}
"""configuration and help of `jumpy videos NAME`"""


def make_videos(config: VideosConfig) -> Replay:
    """Write a data set of videos, or complete one with the same settings, and open it.

    Each shard depends only on the data set's settings and on (seed, shard).

    Raises:
        ValueError: a file that the settings name is missing or damaged; also as `write_data`.
    """
    wanted = VideoManifest(config.video.identity, config.length, config.seed, config.sequences, versions())
    make = partial(_shard, config.video, config.length, config.seed, wanted.train_episodes)
    write_data(config.out, wanted, config.overwrite, make, "videos", config)
    return Replay.open(config.out, verify=False)


def _shard(video: Video, length: int, seed: int, train: int, shard: int, episodes: int) -> dict[str, np.ndarray]:
    """The arrays of a shard; `train` is the number of episodes of the training split."""
    rng = np.random.default_rng((seed, shard))
    # Always a whole shard, even if fewer episodes are kept: a longer data set begins with the same sequences.
    whole = video.generate(rng, EPISODES_PER_SHARD, length, train - shard * EPISODES_PER_SHARD)
    return {name: array[:episodes] for name, array in whole.items()}
