"""`jumpy videos`: a data set of videos with known change points, shard by shard."""

import inspect
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agent.data.manifest import EPISODES_PER_SHARD, VideoManifest
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.versions import versions
from envs.videos import DATASETS, Video


@dataclass(frozen=True)
class VideosConfig:
    """Draw videos into a data set; a call that was cut off continues where it stopped."""

    out: Path
    """folder of the data set"""
    video: Video
    """options of the videos"""
    sequences: int
    """number of sequences; the first 80 percent are for training, the rest for tests, with digits and mazes of their
    own"""
    length: int
    """frames of each"""
    seed: int = 0
    """decides every sequence"""
    overwrite: bool = False
    """replace a data set that is already there"""

    def __post_init__(self) -> None:
        """Validate the counts and the seed."""
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
    """Write a data set of videos; each shard depends only on the data set's settings and on (seed, shard).

    Args:
        config: what to draw, and where. A data set of the same settings is completed.

    Returns:
        The finished data set.

    Raises:
        ValueError: if a file that the settings name is missing or damaged, the folder holds a data set of other
            settings or other files, or another process writes to it.
        OSError: if the folder cannot be written.
    """
    wanted = VideoManifest(config.video.identity, config.length, config.seed, config.sequences, versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((config.seed, shard))
        train = wanted.train_episodes - shard * EPISODES_PER_SHARD
        # A whole shard is drawn even where fewer episodes are kept: a longer data set begins with the same sequences.
        whole = config.video.generate(rng, EPISODES_PER_SHARD, config.length, train)
        return {name: array[:episodes] for name, array in whole.items()}

    write_data(config.out, wanted, config.overwrite, make, "videos")
    return Replay.open(config.out, verify=False)
