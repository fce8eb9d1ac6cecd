"""Decisions instead of steps: an environment that walks on by itself wherever only one action is legal."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from envs.maze import JumpyMaze


class Passages(gymnasium.Wrapper):
    """One step is one decision, and so one jump of a world model.

    A step takes its action, then every action that is the only legal one, until there is a choice or the episode ends.
    The reward is the sum of the rewards on the way. `reset` never walks on: where the start leaves no choice, the first
    step is the only legal action and what follows from it.

    `info` has, besides the environment's own of the last step, what a model is shown before it decides:

    | key | type | meaning |
    |---|---|---|
    | `frames` | uint8 (F, h, w, 3) | the last F frames, the current one last, left-padded with zeros |
    | `frame_actions` | int64 (F − 1,) | the action between each of these frames and the next; 0 in the padding |
    | `frame_count` | int | how many of the frames are of this episode, from 1 to F |
    | `walked` | int | steps of the environment that this decision took; 0 after a reset |

    Args:
        env: an environment whose `info` has an `action_mask`, and whose observations are pictures or a dictionary with
            the picture `observation`.
        frames: F.

    Raises:
        ValueError: if F is below 1.
    """

    def __init__(self, env: gymnasium.Env, frames: int = 5) -> None:
        if frames < 1:
            raise ValueError(f"a decision needs at least one frame to look at, got frames={frames}")
        super().__init__(env)
        self._frames, self._actions = deque[np.ndarray](maxlen=frames), deque[int](maxlen=frames)
        self._count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode; arguments as of the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._count = 0
        frame = _picture(observation)
        self._frames.extend([np.zeros_like(frame)] * (self._frames.maxlen or 0))
        self._actions.extend([0] * (self._actions.maxlen or 0))
        self._see(observation)
        return observation, info | self._seen(walked=0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one decision, and walk on to the next."""
        total, walked = 0.0, 0
        while True:
            observation, reward, terminated, truncated, info = self.env.step(action)
            total, walked = total + float(reward), walked + 1
            self._actions.append(int(np.asarray(action).reshape(())))
            self._see(observation)
            legal = np.flatnonzero(info["action_mask"])
            if terminated or truncated or len(legal) != 1:
                return observation, total, terminated, truncated, info | self._seen(walked)
            action = legal[0]

    def _see(self, observation: Any) -> None:
        """Append a frame."""
        self._frames.append(_picture(observation))
        self._count += 1

    def _seen(self, walked: int) -> dict[str, Any]:
        """What a model is shown."""
        return {
            "frames": np.stack(self._frames),
            "frame_actions": np.array(self._actions, np.int64)[1:],
            "frame_count": min(self._count, len(self._frames)),
            "walked": walked,
        }


class JumpyMazePassages(Passages):
    """`JumpyMaze` by decisions.

    Args:
        frames: as in `Passages`.
        **options: the arguments of `JumpyMaze`.
    """

    def __init__(self, frames: int = 5, **options: Any) -> None:
        super().__init__(JumpyMaze(**options), frames)
        self._spec: EnvSpec | None = None

    @property
    def unwrapped(self) -> JumpyMazePassages:
        """Itself: it is registered as an environment of its own."""
        return self

    @property
    def _np_random(self) -> np.random.Generator | None:  # type: ignore[override]
        """What Gymnasium's checker reads of an environment."""
        return self.env.unwrapped._np_random

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that it was made from."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        """Keep a specification, as `gymnasium.make` sets it."""
        self._spec = spec


def _picture(observation: Any) -> np.ndarray:
    """The frame in an observation."""
    return observation["observation"] if isinstance(observation, dict) else observation
