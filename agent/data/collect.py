"""`jumpy collect`: random navigation, uniform over the legal actions, in memory or into a data set on disk."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int16, Shaped

from agent.data.manifest import EPISODE_LENGTH, EPISODES_PER_SHARD, MazeManifest
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.data.walk import Walk
from agent.system.pieces import Workers
from agent.system.versions import versions
from envs.camera import Camera, camera_jitter
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.named import EnvironmentOptions
from envs.raycast import Raycaster


@dataclass(frozen=True)
class CollectConfig(EnvironmentOptions, Workers):
    """Collect random navigation into a data set; an interrupted collection resumes where it stopped.

    With --env another environment is walked: any of Gymnasium's with Discrete actions and pictures. Its goals are those
    that its observations achieve (`achieved_goal`), otherwise its frames, which are resized to --camera.size.
    """

    out: Path
    """Folder of the data set."""
    steps: int = 1_000_000
    """Frames to collect, in episodes of 100, or of --length."""
    layout: str = "paper"
    """The maze: paper, random-SEED, large-SEED, huge-SEED, or the text file of a map."""
    seed: int = 0
    """Determines every start, action and camera jitter."""
    camera: Camera = field(default_factory=Camera)
    """The camera."""
    overwrite: bool = False
    """Replace an existing data set."""
    length: int = EPISODE_LENGTH
    """Frames per episode of another environment's data set; what ends earlier is dropped."""

    def __post_init__(self) -> None:
        """Check the numbers, and that options suit the environment."""
        Workers.__post_init__(self)
        EnvironmentOptions.__post_init__(self)
        if self.length < 2 or (self.env is None and self.length != EPISODE_LENGTH):
            raise ValueError(f"--length must be 2 or more, and {EPISODE_LENGTH} in the maze, got {self.length}")
        if self.steps < self.length or self.steps % self.length:
            raise ValueError(f"--steps must be a positive multiple of {self.length} (whole episodes), got {self.steps}")
        if self.env is not None and self.layout != "paper":
            raise ValueError(f"--layout is a maze and --env another environment, got {self.layout} and {self.env}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")


def collect(config: CollectConfig) -> Replay:
    """Write a data set, or complete one with the same settings, and open it; raises as `write_data` and `Walk`.

    Each shard depends only on the layout, the camera and (seed, shard).
    """
    if (environment := config.named(config.camera.size)) is not None:
        return _collect_elsewhere(config, Walk(environment, config.length))
    layout = Layout.parse(config.layout)
    wanted = MazeManifest(layout, config.seed, config.camera, config.steps // EPISODE_LENGTH, versions())
    make = partial(_shard, layout, config.seed, config.camera)
    write_data(config.out, wanted, config.overwrite, make, "collect", config)
    return Replay.open(config.out, verify=False)


def _shard(layout: Layout, seed: int, camera: Camera, shard: int, episodes: int) -> dict[str, np.ndarray]:
    """The arrays of a shard."""
    return random_navigation(layout, episodes, seed, camera, shard * EPISODES_PER_SHARD)


def _collect_elsewhere(config: CollectConfig, walk: Walk) -> Replay:
    """`collect` in another environment."""
    wanted = walk.manifest(config.seed, config.steps // config.length)
    make = partial(walk.shard, config.seed, wanted)
    write_data(config.out, wanted, config.overwrite, make, "collect", config)
    return Replay.open(config.out, verify=False)


def random_navigation(
    layout: Layout, episodes: int, seed: int = 0, camera: Camera | None = None, first: int = 0
) -> dict[str, Shaped[np.ndarray, "e t ..."]]:
    """The arrays of `MazeManifest.fields`, (E, 100, …), of the `episodes` that `collect` writes from number `first` on.

    `first` is a multiple of 100. The seed determines every start, action and camera jitter.
    """
    assert first % EPISODES_PER_SHARD == 0, first
    camera = camera or Camera()
    start, uniform = _random_numbers(layout, seed, first, episodes)
    pose, action, action_mask = Dynamics.of(layout).walk(start, uniform)
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


def _random_numbers(
    layout: Layout, seed: int, first: int, episodes: int
) -> tuple[Int16[np.ndarray, "e 4"], Float64[np.ndarray, "e t"]]:
    """The episodes' start poses, and one uniform number in [0, 1) for each step's action.

    Each shard has its own generator and always samples for all its episodes, so that neither resuming nor extending a
    collection changes an episode.
    """
    dynamics = Dynamics.of(layout)
    starts, uniforms = [], []
    for shard in range(first // EPISODES_PER_SHARD, -(-(first + episodes) // EPISODES_PER_SHARD)):
        rng = np.random.default_rng((seed, shard))
        starts += [dynamics.start(rng) for _ in range(EPISODES_PER_SHARD)]
        uniforms.append(rng.random((EPISODES_PER_SHARD, EPISODE_LENGTH)))
    return np.stack(starts)[:episodes], np.concatenate(uniforms)[:episodes]
