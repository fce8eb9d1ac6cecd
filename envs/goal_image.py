"""Goals for environments that only show pictures: what is seen on a random walk from the same start."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Int8, UInt8

from envs.pictures import square


class GoalImage(gymnasium.Wrapper):
    """Adds the picture at a goal, which is to be seen again.

    Each `reset` walks at random from the start, keeps the last picture that differs from the first, and resets again
    with the same seed. The episode ends when the goal's picture is seen: after k actions with the reward
    `max_steps` − k, as in `JumpyMaze`, and with `info["success"]`. Otherwise it is truncated after `max_steps`.

    Observations are a goal dictionary of square pictures: `observation` and `achieved_goal` are the present one,
    `desired_goal` is the goal's. `info["action_mask"]` has 1 for each action that may be taken.

    Args:
        env: an environment whose seed determines its episode, with Discrete actions, and pictures as observations or as
            `observation` in a dictionary.
        size: height and width of the pictures in pixels; others are averaged.
        walk: steps of the random walk.
        max_steps: life steps.

    Raises:
        ValueError: if the actions are not discrete, or an argument is out of range.
    """

    def __init__(self, env: gymnasium.Env, size: int = 32, walk: int = 60, max_steps: int = 100) -> None:
        super().__init__(env)
        if not isinstance(env.action_space, spaces.Discrete) or env.action_space.start != 0:
            raise ValueError(f"goals need Discrete actions from 0 up, got {env.action_space}")
        if min(size, walk, max_steps) < 1:
            raise ValueError(f"size, walk and max_steps must be 1 or more, got {size}, {walk} and {max_steps}")
        self._every_action = np.ones(int(env.action_space.n), np.int8)
        self._size, self._walk, self._max_steps, self._t = size, walk, max_steps, 0
        picture = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.observation_space = spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), picture))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Choose a goal and start an episode; options are the environment's.

        Raises:
            ValueError: if the environment's seed does not determine its start, or nothing else is ever seen.
        """
        seed = int(self.np_random.integers(2**31)) if seed is None else seed
        first = self._goal = self._picture(self.env.reset(seed=seed, options=options)[0])
        for picture in self._random_walk(np.random.default_rng((seed, 1)), options, seed):
            self._goal = picture if (picture != first).any() else self._goal
        observation, info = self.env.reset(seed=seed, options=options)
        start, self._t = self._picture(observation), 0
        if (start != first).any():
            raise ValueError(
                f"{self.env} starts elsewhere when it is reset with the same seed, so its goals are unknown"
            )
        if (self._goal == first).all():
            raise ValueError(
                f"a random walk of {self._walk} steps in {self.env} only sees its start: choose a longer one"
            )
        return self._seen(start), self._told(info, success=False)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action."""
        observation, _, terminated, truncated, info = self.env.step(action)
        self._t += 1
        picture = self._picture(observation)
        success = bool((picture == self._goal).all())
        reward = float(self._max_steps - self._t) if success else 0.0
        truncated = not success and (truncated or self._t >= self._max_steps)
        return self._seen(picture), reward, success or terminated, truncated, self._told(info, success)

    def _random_walk(self, rng: np.random.Generator, options: Any, seed: int) -> list[np.ndarray]:
        """The pictures of a random walk, up to the end of its episode."""
        info, pictures = self.env.reset(seed=seed, options=options)[1], []
        for _ in range(self._walk):
            action = rng.choice(np.flatnonzero(self._mask(info)))
            observation, _, terminated, truncated, info = self.env.step(action)
            if terminated or truncated:
                break
            pictures.append(self._picture(observation))
        return pictures

    def _picture(self, observation: Any) -> UInt8[np.ndarray, "s s 3"]:
        """The frame in an observation."""
        return square(observation["observation"] if isinstance(observation, dict) else observation, self._size)

    def _mask(self, info: dict[str, Any]) -> Int8[np.ndarray, " a"]:
        """The actions that may be taken."""
        return np.asarray(info.get("action_mask", self._every_action)).astype(np.int8)

    def _seen(self, picture: np.ndarray) -> dict[str, Any]:
        """The goal dictionary."""
        return {"observation": picture, "achieved_goal": picture.copy(), "desired_goal": self._goal.copy()}

    def _told(self, info: dict[str, Any], success: bool) -> dict[str, Any]:
        """The environment's information, with the mask and the success."""
        return info | {"action_mask": self._mask(info), "success": success}
