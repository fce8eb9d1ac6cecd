"""A data set opened for reading: random slices of episodes straight from memory-mapped shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from agent.data.manifest import EPISODES_PER_SHARD, Manifest, MazeManifest, read_manifest
from agent.data.readers.reader import Split
from agent.data.shards import open_shard, verify_shard
from agent.system.cores import usable_cores
from envs.layout import Layout


class Replay:
    """Episodes of random navigation or of videos, read in slices that never leave their episode.

    A slice has the manifest's fields. In a maze these are ``observation``, ``action``, ``action_mask``,
    ``achieved_goal`` and ``pose``: step t holds the frame x_t, its pose, mask and crop, and a_t, the action taken after
    seeing x_t. Videos have ``observation`` and the ground truth about it (`envs.videos`). Only episodes in complete
    shards count, so that an interrupted collection can be opened, too.
    """

    def __init__(self, folder: Path, manifest: Manifest, shards: Sequence[dict[str, np.ndarray]]) -> None:
        self.folder, self.manifest, self._shards = folder, manifest, shards
        self.episodes = manifest.episodes_written

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> Replay:
        """Open a data set; verifying its checksums takes some seconds for a million frames.

        Raises:
            ValueError: the folder is not a data set, or the shard in the message is missing, truncated or altered.
        """
        manifest = read_manifest(folder)
        numbers = range(len(manifest.checksums))
        if verify:
            with ThreadPoolExecutor(usable_cores()) as threads:
                list(threads.map(lambda shard: verify_shard(folder, shard, manifest), numbers))
        return cls(folder, manifest, [open_shard(folder, shard, manifest) for shard in numbers])

    @property
    def layout(self) -> Layout:
        """The maze that the data was collected in; ValueError for videos."""
        if not isinstance(self.manifest, MazeManifest):
            raise ValueError(f"{self.folder} holds videos, not a maze: use data from 'jumpy collect'")
        return self.manifest.layout

    @property
    def frame_size(self) -> int:
        """Height and width of a frame in pixels."""
        return self.manifest.frame_size

    @property
    def episode_length(self) -> int:
        """Frames per episode."""
        return self.manifest.length

    def split(self, name: Split) -> range:
        """The episodes of a split: as published, or 80 % for training and then 20 % for tests."""
        return self.manifest.split(name)

    @property
    def grey(self) -> bool:
        """Whether the three channels of every frame are equal."""
        return self.manifest.fields["observation"][1][-1] == 1

    def field(self, name: str, episode: int, start: int, stop: int) -> Shaped[np.ndarray, "t ..."]:
        """A view of some steps of an episode's field, as stored."""
        shard, within = divmod(episode, EPISODES_PER_SHARD)
        return self._shards[shard][name][within, start:stop]

    def slices(
        self, episode: Int64[np.ndarray, " b"], start: Int64[np.ndarray, " b"], length: int
    ) -> dict[str, Shaped[np.ndarray, "b t ..."]]:
        """Copies of `length` consecutive steps of each given episode (numbered from 0), from the given first step.

        Returns:
            Each field's array, (B, length, …); grey frames, stored with one channel, get three.

        Raises:
            ValueError: a slice would leave its episode, or an episode does not exist.
        """
        if not (episode.min() >= 0 and episode.max() < self.episodes):
            raise ValueError(f"episodes must lie in 0 to {self.episodes - 1}, got {episode.min()} to {episode.max()}")
        if not (start.min() >= 0 and start.max() + length <= self.episode_length):
            raise ValueError(
                f"a slice must stay inside its episode of {self.episode_length} steps, "
                f"got starts from {start.min()} to {start.max()} with length {length}"
            )
        places = list(zip(*np.divmod(episode, EPISODES_PER_SHARD), start, strict=True))
        batch = {}
        for name, (dtype, shape) in self.manifest.fields.items():
            shape = (*shape[:2], 3) if name == "observation" else shape
            batch[name] = np.empty((len(places), length, *shape), dtype)
            for row, (shard, within, first) in enumerate(places):
                batch[name][row] = self._shards[shard][name][within, first : first + length]
        return batch

    def sample(
        self, rng: np.random.Generator, batch_size: int, length: int, split: Split = "train"
    ) -> dict[str, Shaped[np.ndarray, "b t ..."]]:
        """The slices of `length` steps at random `places`.

        Returns:
            Each field's array, (batch_size, length, …).

        Raises:
            ValueError: an episode is shorter than `length`, or the split is empty.
        """
        return self.slices(*self.places(rng, batch_size, length, split), length)

    def places(
        self, rng: np.random.Generator, batch_size: int, length: int, split: Split = "train"
    ) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        """Random places of slices of `length` steps: uniform episodes of the split, and a uniform start within each.

        Raises:
            ValueError: an episode is shorter than `length`, or the split is empty.
        """
        if not 1 <= length <= self.episode_length:
            raise ValueError(f"the length of a slice must lie in 1 to {self.episode_length} steps, got {length}")
        episodes = self.split(split)
        if not episodes:
            raise ValueError(f"{self.folder} has no episode to {split} on ({self.episodes} in all): collect more")
        episode = rng.integers(episodes.start, episodes.stop, batch_size)
        return episode, rng.integers(0, self.episode_length - length + 1, batch_size)

    def shards(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The number of each shard's first episode, and the shard's memory-mapped arrays."""
        yield from ((shard * EPISODES_PER_SHARD, arrays) for shard, arrays in enumerate(self._shards))
