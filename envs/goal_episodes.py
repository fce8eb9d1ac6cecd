"""Parallel episodes with goals in an environment that is known by its id, under the rules of the maze's benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float64

from envs.goal_image import GoalImage
from envs.named import NamedEnvironment, as_goal


@dataclass(frozen=True)
class GoalTask:
    """Which goals are to be reached, and how long that may take."""

    environment: NamedEnvironment
    max_steps: int = 100
    """life steps"""
    walk: int = 60
    """steps of the random walks that see goals, where the environment has none of its own"""

    def make(self) -> gymnasium.Env:
        """One environment with goals: its own, or those of `GoalImage`.

        Raises:
            ValueError: as `NamedEnvironment.make`, or if it only has achieved goals.
        """
        env = self.environment.make()
        seen = env.observation_space.spaces if isinstance(env.observation_space, spaces.Dict) else {}
        if "desired_goal" in seen and "achieved_goal" in seen:
            return env
        if "achieved_goal" in seen or "desired_goal" in seen:
            raise ValueError(
                f"{self.environment.env} has only one of achieved_goal and desired_goal in its observations: give it "
                "both, or neither, so that goals are pictures that a random walk sees"
            )
        return GoalImage(env, self.environment.size, self.walk, self.max_steps)


class GoalEpisodes:
    """N episodes that begin together, one for each seed; one that has ended stays as it was.

    An episode is solved when its environment says so: by `success` or `is_success` in its information, or, where there
    is neither, by an end at which the achieved goal equals the desired one. What the environment itself pays does not
    count: the reward is that of the maze, the life steps that are left.
    """

    def __init__(self, task: GoalTask, seeds: Sequence[int]) -> None:
        """Begin the episodes; raises as `GoalTask.make`, and `GoalImage.reset`."""
        self.task, self.max_steps = task, task.max_steps
        self._envs = [task.make() for _ in seeds]
        self._own_goals = not isinstance(self._envs[0], GoalImage)
        began = [env.reset(seed=int(seed)) for env, seed in zip(self._envs, seeds, strict=True)]
        self._seen, self._told = [list(each) for each in zip(*began, strict=True)]
        self.t = np.zeros(len(seeds), np.int64)
        self.success = np.zeros(len(seeds), bool)
        self.shortest_path = np.array([self._stated(info) for info in self._told])
        """steps from the start to the goal by a shortest path, where an environment with goals of its own names them as
        `shortest_path` in the information of a reset; 0 where it does not"""

    def observation(self) -> dict[str, np.ndarray]:
        """Frames and goals of all episodes, in new arrays."""
        where = self.task.environment
        return {
            "observation": np.stack([where.frames(seen) for seen in self._seen]),
            "achieved_goal": np.stack([as_goal(seen["achieved_goal"]) for seen in self._seen]),
            "desired_goal": np.stack([as_goal(seen["desired_goal"]) for seen in self._seen]),
        }

    def info(self) -> dict[str, Any]:
        """The legal actions of all episodes."""
        number = int(self._envs[0].action_space.n)  # type: ignore[attr-defined]
        masks = [np.asarray(told.get("action_mask", np.ones(number)), np.int8) for told in self._told]
        return {"action_mask": np.stack(masks)}

    def act(
        self, given: Any, acting: Bool[np.ndarray, " n"]
    ) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Take an action in each acting episode, which must not have ended.

        Returns:
            Rewards, terminated and truncated of all episodes; 0 and False for those that do not act.

        Raises:
            ValueError: if an episode is solved in fewer steps than its environment named as the shortest path.
        """
        terminated, truncated = np.zeros(len(acting), bool), np.zeros(len(acting), bool)
        for row in np.flatnonzero(acting):
            seen, _, ended, cut, told = self._envs[row].step(int(given[row]))
            self._seen[row], self._told[row] = seen, told
            self.t[row] += 1
            self.success[row] = self._solved(seen, told, ended)
            terminated[row] = ended or self.success[row]
            truncated[row] = not terminated[row] and (cut or self.t[row] >= self.max_steps)
            if self.success[row] and self.t[row] < self.shortest_path[row]:
                raise ValueError(
                    f"{self.task.environment.env} names a shortest path of {self.shortest_path[row]} steps to a goal "
                    f"that was reached in {self.t[row]}: its shortest_path must count steps"
                )
        return np.where(acting & self.success, self.max_steps - self.t, 0.0), terminated, truncated

    def close(self) -> None:
        """Release the environments' resources."""
        for env in self._envs:
            env.close()

    def _solved(self, seen: dict[str, Any], told: dict[str, Any], ended: bool) -> bool:
        """Whether the goal is reached."""
        for name in ("success", "is_success"):
            if name in told:
                return bool(told[name])
        return ended and bool((np.asarray(seen["achieved_goal"]) == np.asarray(seen["desired_goal"])).all())

    def _stated(self, told: dict[str, Any]) -> int:
        """The length of the shortest path in the information of a reset."""
        return max(0, int(told.get("shortest_path", 0))) if self._own_goals else 0
