"""*Mazes*: random walks through random mazes, seen by the agent of our environment.

Every video has its own maze, `Layout.random`, with an even seed for training and an odd one for testing, far from the
seeds of the navigation experiments. The agent starts anywhere and takes random legal actions: it walks down hallways,
one cell per frame, and turns by 90 degrees where it can choose. The actions are not stored: a model sees only frames.

**Change points.** Frame t is a change point (`change` = 1) if the action before it was a passage (`envs.dynamics`): the
agent left a junction, or turned in a junction or a dead end.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped

from envs.camera import Camera, camera_jitter
from envs.dynamics import Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from envs.videos.video import Fields, Video

FIRST_MAZE, LAST_MAZE = 1_000_000, 2**31 - 1
"""range of the layouts' seeds"""


@dataclass(frozen=True)
class Mazes(Video):
    """Mazes: random walks, each in its own maze.

    Zakharov et al. 2022 use sequences of 200 frames. Our choices: one maze per sequence, one cell or one turn per
    frame, and the camera of our environment with its jitter.
    """

    name: ClassVar[str] = "mazes"
    default_sequences: ClassVar[int] = 2000
    default_length: ClassVar[int] = 200

    jitter: float = 1.0
    """jitter of the camera, as a multiple of the environment's; 0 for none"""
    size: int = 64
    """height and width of a frame in pixels"""

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not 0 <= self.jitter < math.inf:
            raise ValueError(f"--jitter must be 0 (a steady camera) or more, got {self.jitter}")
        if self.size < 1:
            raise ValueError(f"--size must be 1 or more, got {self.size}")

    @property
    def camera(self) -> Camera:
        """The agent's camera."""
        return Camera(self.size, yaw_degrees=self.jitter * Camera.yaw_degrees, position=self.jitter * Camera.position)

    @property
    def fields(self) -> Fields:
        """See `Video.fields`."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 3)),
            "change": (np.dtype(np.int8), ()),
            "pose": (np.dtype(np.int16), (4,)),
            "maze": (np.dtype(np.int32), ()),
        }

    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """As in `Video.generate`.

        Returns:
            ``observation`` (N, T, size, size, 3) and, for evaluation only, ``change`` (N, T), ``pose`` (N, T, 4): the
            agent's x, y, heading and mode, and ``maze`` (N, T): the layout's seed. The jitter of frame t is that of
            `envs.camera` for seed ``maze``, episode 0 and t.
        """
        camera, t = self.camera, np.arange(length)
        arrays = {name: np.zeros((sequences, length, *shape), dtype) for name, (dtype, shape) in self.fields.items()}
        for row, own in enumerate(rng.spawn(sequences)):
            test = train is not None and row >= train
            number = 2 * int(own.integers(FIRST_MAZE // 2, (LAST_MAZE + 1) // 2)) + test
            layout = Layout.random(number)
            dynamics = Dynamics(layout)
            pose = dynamics.walk(dynamics.start(own)[None], own.random((1, length))).pose[0]
            arrays["pose"][row], arrays["maze"][row] = pose, number
            arrays["change"][row, 1:] = dynamics.passage(pose[:-1])
            jitter = camera_jitter(np.full_like(t, number), np.zeros_like(t), t, camera.yaw_degrees, camera.position)
            Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter, arrays["observation"][row])
        return arrays
