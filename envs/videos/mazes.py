"""*Mazes*: random walks through random mazes, seen by the agent of our environment.

Every video has a maze of its own, `Layout.random`; those of training videos have even numbers, those of test videos odd
ones. All are far from the numbers that navigation experiments name. In a maze the agent starts anywhere and takes
random legal actions: it walks down hallways, one cell a frame, and turns by 90 degrees where it can choose. The actions
are not kept: a model sees frames alone.

**Change points.** Frame t is a change point (`change` = 1) if the action before it was a passage (`envs.dynamics`): a
junction was left or turned in, or a dead end was turned in.
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
"""the mazes' numbers lie between them"""


@dataclass(frozen=True)
class Mazes(Video):
    """Mazes: random walks, each in a maze of its own.

    Zakharov et al. 2022 use sequences of 200 frames. Chosen here: one maze per sequence; one cell or one turn per
    frame; the camera of our environment with its jitter.
    """

    name: ClassVar[str] = "mazes"
    default_sequences: ClassVar[int] = 2000
    default_length: ClassVar[int] = 200

    jitter: float = 1.0
    """jitter of the camera, as a share of the environment's; 0 for none"""
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
        """Type and shape of one frame of each array of `generate`."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 3)),
            "change": (np.dtype(np.int8), ()),
            "pose": (np.dtype(np.int16), (4,)),
            "maze": (np.dtype(np.int32), ()),
        }

    def generate(
        self, rng: np.random.Generator, sequences: int, length: int, train: int | None = None
    ) -> dict[str, Shaped[np.ndarray, "n ..."]]:
        """Draw sequences; arguments as in `Video.generate`.

        Returns:
            ``observation`` (N, T, size, size, 3); and, for evaluation only, ``change`` (N, T), ``pose`` (N, T, 4), the
            agent's x, y, heading and mode, and ``maze`` (N, T), the number of the layout. The jitter of frame t is the
            environment's (`envs.camera`) of seed ``maze``, episode 0 and t.
        """
        arrays = {name: np.zeros((sequences, length, *shape), dtype) for name, (dtype, shape) in self.fields.items()}
        for row, own in enumerate(rng.spawn(sequences)):
            test = train is not None and row >= train
            number = 2 * int(own.integers(FIRST_MAZE // 2, (LAST_MAZE + 1) // 2)) + test
            layout = Layout.random(number)
            dynamics = Dynamics(layout)
            pose = dynamics.walk(dynamics.start(own)[None], own.random((1, length))).pose[0]
            arrays["pose"][row], arrays["maze"][row] = pose, number
            arrays["change"][row, 1:] = dynamics.passage(pose[:-1])
            self._draw(layout, number, pose, arrays["observation"][row])
        return arrays

    def _draw(self, layout: Layout, number: int, pose: np.ndarray, out: np.ndarray) -> None:
        """Draw the frames of a walk."""
        camera, t = self.camera, np.arange(len(pose))
        jitter = camera_jitter(np.full_like(t, number), np.zeros_like(t), t, camera.yaw_degrees, camera.position)
        Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter, out)
