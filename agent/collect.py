"""`jumpy collect`: random navigation, uniform over the legal actions, in memory or into a data set on disk."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int8, Int16, Shaped
from tqdm import tqdm

from agent.replay import Replay
from agent.shards import EPISODE_LENGTH, EPISODES_PER_SHARD, MANIFEST, Manifest, field_shapes, write_shard
from agent.versions import versions
from envs.dynamics import Dynamics
from envs.jitter import Camera, camera_jitter
from envs.layout import Layout
from envs.raycast import Raycaster

# Everything that a data set's folder may hold, finished or cut off.
OURS = re.compile(r"\.?(manifest\.json|shard-\d{5})(\.partial)?")


@dataclass(frozen=True)
class CollectConfig:
    """Collect random navigation into a data set; a collection that was cut off goes on where it stopped."""

    out: Path
    """Folder of the data set."""
    steps: int = 1_000_000
    """Frames to collect, in episodes of 100."""
    layout: str = "paper"
    """The maze: paper, or random-SEED."""
    seed: int = 0
    """Decides every start, action and camera jitter."""
    camera: Camera = field(default_factory=Camera)
    """The camera."""
    overwrite: bool = False
    """Replace a data set that is already there."""

    def __post_init__(self) -> None:
        """Refuse sizes that are no whole episodes, and negative seeds."""
        if self.steps < EPISODE_LENGTH or self.steps % EPISODE_LENGTH:
            raise ValueError(
                f"--steps must be a positive multiple of {EPISODE_LENGTH} (whole episodes), got {self.steps}"
            )
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")


def collect(config: CollectConfig) -> Replay:
    """Write a data set shard by shard; each shard depends on the layout, the camera and (seed, shard) alone.

    Args:
        config: what to collect, and where. A data set of the same settings is completed.

    Returns:
        The finished data set.

    Raises:
        ValueError: if the folder holds a data set of other settings or other files, or another process writes to it.
        OSError: if the folder cannot be written.
    """
    layout = Layout.parse(config.layout)
    wanted = Manifest(layout, config.seed, config.camera, config.steps // EPISODE_LENGTH, versions())
    config.out.mkdir(parents=True, exist_ok=True)
    with _only_writer(config.out):
        manifest = _begin_or_resume(config.out, wanted, config.overwrite)
        done = manifest.episodes_written * EPISODE_LENGTH
        with tqdm(initial=done, total=config.steps, desc="collect", unit=" frames", unit_scale=True) as progress:
            for shard in range(len(manifest.checksums), manifest.shards):
                episodes, first = manifest.episodes_in(shard), shard * EPISODES_PER_SHARD
                arrays = random_navigation(layout, episodes, config.seed, config.camera, first)
                checksum = write_shard(config.out, shard, arrays)
                manifest = replace(manifest, checksums=(*manifest.checksums, checksum))
                manifest.write(config.out)
                progress.update(episodes * EPISODE_LENGTH)
    return Replay.open(config.out, verify=False)


def random_navigation(
    layout: Layout, episodes: int, seed: int = 0, camera: Camera | None = None, first: int = 0
) -> dict[str, Shaped[np.ndarray, "e t ..."]]:
    """Random navigation in memory: the very arrays that `collect` writes, end to end.

    Args:
        layout: the maze.
        episodes: episodes of 100 steps.
        seed: decides every start, action and camera jitter.
        camera: the default camera if None.
        first: number of the first episode, a multiple of 100.

    Returns:
        Each field's array (E, 100, …), as in `agent.shards.field_shapes`.
    """
    assert first % EPISODES_PER_SHARD == 0, first
    camera = camera or Camera()
    start, uniform = _draw(layout, seed, first, episodes)
    pose, action, action_mask = _walk(Dynamics.of(layout), start, uniform)
    frames = np.empty((episodes * EPISODE_LENGTH, camera.size, camera.size, 3), np.uint8)
    number = np.repeat(np.arange(first, first + episodes), EPISODE_LENGTH)
    t = np.tile(np.arange(EPISODE_LENGTH), episodes)
    jitter = camera_jitter(np.full_like(t, seed), number, t, camera.yaw_degrees, camera.position)
    Raycaster(layout, camera.size, camera.fov_degrees).render(pose.reshape(-1, 4), jitter, out=frames)
    return {
        "observation": frames.reshape(episodes, EPISODE_LENGTH, *frames.shape[1:]),
        "action": action,
        "action_mask": action_mask,
        "achieved_goal": layout.crops[pose[..., 1], pose[..., 0]],
        "pose": pose,
    }


def _draw(
    layout: Layout, seed: int, first: int, episodes: int
) -> tuple[Int16[np.ndarray, "e 4"], Float64[np.ndarray, "e t"]]:
    """All chance of the given episodes: their starts, and one number in [0, 1) for each step's action.

    Each shard has a generator of its own and always draws for all its episodes, so that neither a resumed nor a
    longer collection changes an episode.
    """
    dynamics = Dynamics.of(layout)
    starts, uniforms = [], []
    for shard in range(first // EPISODES_PER_SHARD, -(-(first + episodes) // EPISODES_PER_SHARD)):
        rng = np.random.default_rng((seed, shard))
        starts += [dynamics.start(rng) for _ in range(EPISODES_PER_SHARD)]
        uniforms.append(rng.random((EPISODES_PER_SHARD, EPISODE_LENGTH)))
    return np.stack(starts)[:episodes], np.concatenate(uniforms)[:episodes]


def _walk(
    dynamics: Dynamics, start: Int16[np.ndarray, "e 4"], uniform: Float64[np.ndarray, "e t"]
) -> tuple[Int16[np.ndarray, "e t 4"], Int8[np.ndarray, "e t"], Int8[np.ndarray, "e t 3"]]:
    """Poses, actions and legal actions of episodes whose actions are uniform over the legal ones."""
    shapes = field_shapes(frame_size=0)
    pose, action, action_mask = (
        np.empty((*uniform.shape, *shape), dtype)
        for dtype, shape in (shapes["pose"], shapes["action"], shapes["action_mask"])
    )
    present = start
    for t in range(uniform.shape[1]):
        pose[:, t] = present
        action_mask[:, t] = dynamics.action_mask(present)
        legal = action_mask[:, t].cumsum(axis=1)  # (E, 3): how many actions up to this one are legal
        drawn = (uniform[:, t] * legal[:, -1]).astype(np.int8)  # the number of the action among the legal ones
        action[:, t] = (legal > drawn[:, None]).argmax(axis=1)
        present, _ = dynamics.step(present, action[:, t])
    return pose, action, action_mask


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases even for a killed process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process collects into {folder}: wait for it, or choose another --out") from None
        yield
    finally:
        os.close(descriptor)


def _begin_or_resume(folder: Path, wanted: Manifest, overwrite: bool) -> Manifest:
    """The manifest to go on from: that of the data set which is there, or a new one with no shard."""
    if strangers := sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name)):
        raise ValueError(f"{folder} holds other files ({strangers[0]}, …): choose an empty folder for --out")
    if (folder / MANIFEST).exists() and not overwrite:
        found = Replay.open(folder).manifest
        _refuse_other_settings(folder, found, wanted)
        return found
    for path in sorted(folder.iterdir()):  # the manifest goes first: its shards are nobody's then
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    wanted.write(folder)
    return wanted


def _refuse_other_settings(folder: Path, found: Manifest, wanted: Manifest) -> None:
    """Raise a ValueError that names the first setting in which two manifests differ."""
    for name, old in _settings(found).items():
        if old != (new := _settings(wanted)[name]):
            raise ValueError(
                f"{folder} was collected with {name} {old}, asked for is {new}: choose another --out, or --overwrite"
            )


def _settings(manifest: Manifest) -> dict[str, object]:
    """What decides a data set's bytes, by the names of the command line."""
    camera = {f"--camera.{name}": value for name, value in asdict(manifest.camera).items()}
    steps = manifest.episodes * EPISODE_LENGTH
    return {"--layout": manifest.layout.name, "--seed": manifest.seed, "--steps": steps, **camera}
