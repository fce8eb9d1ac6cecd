"""The maze as hindsight experience replay knows goals: flat, compared by how a place looks, with rewards −1 and 0."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from jaxtyping import Bool, Float, Float64, Int64

from envs.camera import Camera
from envs.episodes import ALL, Episodes
from envs.maze import JumpyMaze
from envs.vector import HallwayMazeVector

FEWEST_PIXELS = 36
"""what the usual convolutional network of Mnih et al. 2015 needs"""
LARGE_ENOUGH = Camera(size=FEWEST_PIXELS)


class PlaceEpisodes(Episodes):
    """Episodes that end where the surroundings look like the goal's."""

    def __init__(self, number: int, layout: Any, view: str, camera: Any, *others: Any) -> None:
        camera = Camera.of(camera)
        if camera.size < FEWEST_PIXELS:
            raise ValueError(f"frames of the goal maze have {FEWEST_PIXELS} pixels or more, got {camera.size}")
        super().__init__(number, layout, view, camera, *others)

    @property
    def observation_space(self) -> Space[dict[str, Any]]:
        """A frame and two flat crops of the map picture in [0, 1]."""
        goal = spaces.Box(0, 1, (27,), np.float32)
        frame = spaces.Box(0, 255, (self.camera.size, self.camera.size, 3), np.uint8)
        return spaces.Dict({"observation": frame, "achieved_goal": goal, "desired_goal": goal})

    def observation(self, rows: Any = ALL) -> dict[str, np.ndarray]:
        """What the rows see, in new arrays."""
        seen: dict[str, np.ndarray] = dict(super().observation(rows))
        for name in ("achieved_goal", "desired_goal"):
            seen[name] = (seen[name].reshape(-1, 27) / 255).astype(np.float32)
        return seen

    @cached_property
    def _look(self) -> Int64[np.ndarray, "h w"]:
        """Equal numbers where the surroundings look equal."""
        crops = self.layout.crops
        numbers = np.unique(crops.reshape(-1, 27), axis=0, return_inverse=True)[1]
        return numbers.reshape(crops.shape[:2]).astype(np.int64)

    def _start_and_goal(self, rng: np.random.Generator, start: object, goal: object) -> tuple[np.ndarray, np.ndarray]:
        """A start pose and a goal cell that looks different."""
        return self.dynamics.start_and_goal(rng, start, goal, self._look)

    def _arrived(self) -> Bool[np.ndarray, " n"]:
        """Which rows are where it looks like their goal."""
        (x, y), (goal_x, goal_y) = self.pose[:, :2].T, self.goal.T
        return self._look[y, x] == self._look[goal_y, goal_x]

    def _rewards(self, acting: Bool[np.ndarray, " n"], terminated: Bool[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """−1 for each step that does not end at the goal."""
        return np.where(acting & ~terminated, -1.0, 0.0)


class JumpyMazeGoal(JumpyMaze):
    """`JumpyMaze` for hindsight experience replay (Andrychowicz et al. 2017), such as that of Stable-Baselines3.

    What differs:

    * `achieved_goal` and `desired_goal` are flat, float32 (27,) in [0, 1].
    * The reward is 0 where the two are equal, else −1, and equality terminates the episode: any cell of the goal's
      hallway will do. An episode never starts in such a place. `info["shortest_path"]` is still that to the goal cell.
    * Frames have 36 pixels or more.

    Args:
        camera: as in `JumpyMaze`; of 36 pixels or more.
        **options: the other arguments of `JumpyMaze`.
    """

    episodes = PlaceEpisodes

    def __init__(self, camera: Camera | Mapping[str, Any] = LARGE_ENOUGH, **options: Any) -> None:
        super().__init__(camera=camera, **options)

    def compute_reward(
        self, achieved: Float[np.ndarray, "*n 27"], desired: Float[np.ndarray, "*n 27"], info: object
    ) -> Float64[np.ndarray, "*n"]:
        """The reward of each pair of goals, in one call; the information is not read."""
        return np.where((np.asarray(achieved) == np.asarray(desired)).all(axis=-1), 0.0, -1.0)


class JumpyMazeGoalVector(HallwayMazeVector):
    """N copies of `JumpyMazeGoal`, as `HallwayMazeVector` has them of `JumpyMaze`."""

    episodes = PlaceEpisodes
    compute_reward = JumpyMazeGoal.compute_reward

    def __init__(self, num_envs: int, camera: Camera | Mapping[str, Any] = LARGE_ENOUGH, **options: Any) -> None:
        super().__init__(num_envs, camera=camera, **options)
