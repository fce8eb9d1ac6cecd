"""The rules of N parallel episodes, and what the agents see.

`JumpyMaze` has N = 1 and `HallwayMazeVector` any N, so both follow exactly the same rules.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import Space, spaces
from jaxtyping import Bool, Float32, Float64, Int16, Int64, UInt8

from envs.camera import Camera, camera_jitter
from envs.dynamics import ACTIONS, Dynamics
from envs.layout import Layout

ALL = slice(None)
LARGE_VIEW = 512  # pixels
RENDER_MODES = ["rgb_array"]
LARGEST_SEED = 2**63 - 1  # int64


@runtime_checkable
class View(Protocol):
    """Renders frames: `Raycaster` or `MiniworldView`."""

    def render(
        self, pose: Int16[np.ndarray, "n 4"], jitter: Float32[np.ndarray, "n 3"]
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """As in `Raycaster.render`."""
        ...


def open_view(name: str, layout: Layout, size: int, fov_degrees: float) -> View:
    """The view named ``raycast`` (no OpenGL) or ``miniworld`` (the reference)."""
    if name == "raycast":
        from envs.raycast import Raycaster

        return Raycaster(layout, size, fov_degrees)
    if name == "miniworld":
        from envs.miniworld_view import MiniworldView

        return MiniworldView(layout, size, fov_degrees)
    raise ValueError(f"unknown view {name!r}: use 'raycast' or 'miniworld'")


class Episodes:
    """The state of N episodes and the rules that change it; the other arguments are those of `JumpyMaze`."""

    def __init__(
        self,
        number: int,
        layout: str | Layout | Mapping[str, Any] = "paper",
        view: str = "raycast",
        camera: Camera | Mapping[str, Any] = Camera(),  # noqa: B008  frozen
        max_steps: int | None = None,
        goal_frame: bool = False,
        max_episode_steps: int | None = None,
    ) -> None:
        if number < 1:
            raise ValueError(f"the number of environments must be at least 1, got {number}")
        for name, limit in (("max_steps", max_steps), ("max_episode_steps", max_episode_steps)):
            if limit is not None and limit < 1:
                raise ValueError(f"an episode needs at least 1 step, got {name}={limit}")
        self.layout = Layout.of(layout)
        self.dynamics = Dynamics.of(self.layout)
        self.camera = Camera.of(camera)
        self.max_steps = self.dynamics.life_steps if max_steps is None else max_steps
        self.last_step = min(self.max_steps, max_episode_steps or self.max_steps)
        self.view_name = view
        self.view = open_view(view, self.layout, self.camera.size, self.camera.fov_degrees)
        self.large_view: View | None = None

        self.seed = np.zeros(number, dtype=np.int64)
        self.episode = np.zeros(number, dtype=np.int64)
        self.t = np.zeros(number, dtype=np.int64)
        self.pose = np.zeros((number, 4), dtype=np.int16)
        self.goal = np.zeros((number, 2), dtype=np.int16)
        self.success = np.zeros(number, dtype=bool)
        self.illegal = np.zeros(number, dtype=bool)
        self._goal_frame = np.zeros((number, self.camera.size, self.camera.size, 3), np.uint8) if goal_frame else None
        self._goal_is_new = np.zeros(number, dtype=bool)

    @property
    def observation_space(self) -> Space[dict[str, Any]]:
        """A frame and two 3 × 3 crops of the map picture."""
        frame = spaces.Box(0, 255, (self.camera.size, self.camera.size, 3), np.uint8)
        crop = spaces.Box(0, 255, (3, 3, 3), np.uint8)
        return spaces.Dict({"observation": frame, "achieved_goal": crop, "desired_goal": crop})

    def begin(
        self, row: int, rng: np.random.Generator, seed: int | None = None, start: object = None, goal: object = None
    ) -> None:
        """Start the next episode of one row; a seed resets its episode count.

        A start (x, y, heading) and a goal (x, y) that are not given are sampled from `rng`; ValueError if one that is
        given is impossible.
        """
        self.pose[row], self.goal[row] = self._start_and_goal(rng, start, goal)
        if seed is None:
            self.episode[row] += 1
        else:
            self.seed[row], self.episode[row] = seed & LARGEST_SEED, 0
        self.t[row] = 0
        self.success[row] = self.illegal[row] = False
        self._goal_is_new[row] = True

    def chosen(self, options: Mapping[str, Any] | None) -> tuple[Any, Any]:
        """The start and the goal in the options of a reset, checked; None where they are to be sampled.

        Raises:
            ValueError: if an option is unknown, or a start or goal is impossible.
        """
        options = options or {}
        if unknown := sorted(set(options) - {"start", "goal"}):
            raise ValueError(f"unknown reset options {unknown}: use 'start': (x, y, heading) and 'goal': (x, y)")
        start, goal = options.get("start"), options.get("goal")
        if start is not None or goal is not None:
            self._start_and_goal(np.random.default_rng(0), start, goal)
        return start, goal

    def _start_and_goal(self, rng: np.random.Generator, start: object, goal: object) -> tuple[np.ndarray, np.ndarray]:
        """A start pose and a goal cell."""
        return self.dynamics.start_and_goal(rng, start, goal)

    def act(
        self, given: object, acting: Bool[np.ndarray, " n"]
    ) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Take the given action in each acting row; the other rows do not change.

        Returns:
            Rewards, terminated and truncated of all rows; 0 and False for rows that do not act.

        Raises:
            ValueError: before anything changes, if there is not one action per row, or that of an acting row is not 0,
                1 or 2.
        """
        action = _actions(given, acting)
        pose, illegal = self.dynamics.step(self.pose, action)
        self.pose = np.where(acting[:, None], pose, self.pose)
        self.illegal = np.where(acting, illegal, self.illegal)
        self.t = self.t + acting
        terminated = acting & self._arrived()
        truncated = acting & ~terminated & (self.t >= self.last_step)
        self.success = self.success | terminated
        return self._rewards(acting, terminated), terminated, truncated

    def _arrived(self) -> Bool[np.ndarray, " n"]:
        """Which rows are at their goal."""
        return (self.pose[:, 0] == self.goal[:, 0]) & (self.pose[:, 1] == self.goal[:, 1])

    def _rewards(self, acting: Bool[np.ndarray, " n"], terminated: Bool[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """What the last action earned in each row."""
        return np.where(terminated, self.max_steps - self.t, 0.0)

    def jitter(self) -> Float32[np.ndarray, "n 3"]:
        """The camera jitter of the current frames."""
        return camera_jitter(self.seed, self.episode, self.t, self.camera.yaw_degrees, self.camera.position)

    def observation(self, rows: Bool[np.ndarray, " n"] | slice = ALL) -> dict[str, UInt8[np.ndarray, "k ..."]]:
        """What the rows see, in new arrays."""
        pose, goal = self.pose[rows], self.goal[rows]
        return {
            "observation": self.view.render(pose, self.jitter()[rows]),
            "achieved_goal": self._crops(pose),
            "desired_goal": self._crops(goal),
        }

    def _crops(self, cell: np.ndarray) -> np.ndarray:
        """The crops around cells (x, y, …)."""
        crops = self.layout.crops
        return crops.reshape(-1, 3, 3, 3).take(cell[:, 1].astype(np.intp) * crops.shape[1] + cell[:, 0], axis=0)

    def info(self) -> dict[str, Any]:
        """The information of all rows, in new arrays."""
        info = {
            "action_mask": self.dynamics.action_mask(self.pose),
            "pose": self.pose.copy(),
            "goal_cell": self.goal.copy(),
            "shortest_path": self.dynamics.distance(self.pose, self.goal),
            "success": self.success.copy(),
            "illegal_action": self.illegal.copy(),
        }
        if self._goal_frame is not None:
            info["goal"] = self._goal_frames(self._goal_frame).copy()
        return info

    def _goal_frames(self, frames: UInt8[np.ndarray, "n s s 3"]) -> UInt8[np.ndarray, "n s s 3"]:
        """What is seen in the goal cells without jitter, in the first heading with which an agent can arrive there."""
        rows = np.flatnonzero(self._goal_is_new)
        if len(rows):
            poses = np.stack([self.dynamics.arrivals(self.goal[row])[0] for row in rows])
            frames[rows] = self.view.render(poses, np.zeros((len(rows), 3), np.float32))
            self._goal_is_new[rows] = False
        return frames

    def action_masks(self) -> Bool[np.ndarray, "n 3"]:
        """Which actions are legal."""
        return self.dynamics.action_mask(self.pose).astype(bool)

    def large_frames(self) -> UInt8[np.ndarray, "n large large 3"]:
        """The current frames with `LARGE_VIEW` pixels a side."""
        if self.large_view is None:
            self.large_view = open_view(self.view_name, self.layout, LARGE_VIEW, self.camera.fov_degrees)
        return self.large_view.render(self.pose, self.jitter())

    def close(self) -> None:
        """Release the views' resources."""
        for view in (self.view, self.large_view):
            if view is not None and hasattr(view, "close"):
                view.close()


def check_render_mode(mode: str | None) -> None:
    """ValueError for a render mode that the mazes do not have."""
    if mode not in (None, *RENDER_MODES):
        raise ValueError(f"unknown render mode {mode!r}: use 'rgb_array' or None")


def _actions(given: object, acting: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The actions of the acting rows, 0 for the others, from whatever `step` was given; as in `Episodes.act`."""
    rule = "an action must be 0 (forward), 1 (left) or 2 (right)"
    try:
        action = np.asarray(given)
    except Exception:  # whatever the object raises when it is converted
        action = np.array(None)
    if action.dtype.kind not in "biu":
        raise ValueError(f"{rule}, got {' '.join(reprlib.repr(given).split())}")
    if action.ndim == 0 and len(acting) == 1:
        action = action[None]
    if action.shape != acting.shape:
        raise ValueError(f"{rule}, one per maze in an array of shape {acting.shape}, got the shape {action.shape}")
    wrong = acting & ((action < 0) | (action >= ACTIONS))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{rule}, got {action[row]}" + (f" for maze {row}" if len(acting) > 1 else ""))
    return np.where(acting, action, 0).astype(np.int64)
