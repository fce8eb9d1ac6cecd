"""Random walks in any Gymnasium environment with discrete actions and pictures, for `jumpy collect --env`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Shaped, UInt8

from agent.data.manifest import EnvironmentManifest
from agent.system.versions import versions
from envs.pictures import square

TOGETHER = 10
"""copies of the environment that are walked at once"""
PATIENCE = 20
"""steps per frame that is wanted, after which episodes are held to be too short"""


@dataclass(frozen=True)
class Walk:
    """Which environment is walked, and what is kept of it."""

    env: str
    """its id, as MODULE:ID where a module registers it"""
    options: str
    """keyword arguments of `gymnasium.make` in JSON"""
    wrappers: tuple[str, ...]
    """wrappers around it, from the inside out, as MODULE:NAME"""
    actions: tuple[int, ...]
    """the actions that are taken where they are legal; none: all"""
    size: int
    """height and width of the frames in pixels; pictures of another size are averaged"""
    length: int
    """frames per episode of the data set"""

    @property
    def settings(self) -> dict[str, Any]:
        """By the command line's names."""
        names = {"--env": self.env, "--env-options": json.loads(self.options), "--wrappers": list(self.wrappers)}
        return names | {"--actions": list(self.actions)}

    @property
    def wrapped(self) -> list[Any]:
        """The wrappers; ValueError for a name that is not MODULE:NAME."""
        return [_imported(name) for name in self.wrappers]

    def make(self) -> VectorEnv:
        """The environment's vector form, checked.

        Raises:
            ValueError: if it cannot be made, its actions are not discrete, or it shows no picture.
        """
        try:
            options, wrappers = json.loads(self.options), self.wrapped
            how: Any = {"vectorization_mode": "sync", "wrappers": wrappers} if wrappers else {}
            vector = gymnasium.make_vec(self.env, num_envs=TOGETHER, **how, **options)
        except (gymnasium.error.Error, ImportError, AttributeError, TypeError, ValueError, AssertionError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"the environment {self.env} cannot be made ({reason:.200}): check --env and its options"
            ) from error
        action, seen = vector.single_action_space, vector.single_observation_space
        if not isinstance(action, spaces.Discrete) or action.start != 0:
            raise ValueError(f"{self.env} has actions {action}: only Discrete ones from 0 up can be walked")
        if wrong := [one for one in self.actions if not 0 <= one < action.n]:
            raise ValueError(f"--actions must lie in 0 to {action.n - 1}, got {wrong[0]}")
        picture = seen["observation"] if isinstance(seen, spaces.Dict) and "observation" in seen.spaces else seen
        if not (isinstance(picture, spaces.Box) and picture.dtype == np.uint8 and picture.shape[2:] in ((1,), (3,))):
            raise ValueError(
                f"{self.env} shows {picture}, not uint8 pictures (height, width, 3): add --wrappers MODULE:NAME"
            )
        if vector.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
            raise ValueError(f"the vector form of {self.env} must reset in the step after an end (NEXT_STEP)")
        return vector

    def manifest(self, seed: int, episodes: int) -> EnvironmentManifest:
        """The manifest of a data set of such walks."""
        vector = self.make()
        goal = _goal(vector.reset(seed=seed)[0], self.size)[0]
        number = int(vector.single_action_space.n)  # type: ignore[attr-defined]
        vector.close()
        kind = "uint8" if goal.dtype == np.uint8 else "float32"
        shape = tuple(goal.shape)
        return EnvironmentManifest(
            self.settings, number, self.size, shape, kind, self.length, seed, episodes, versions()
        )

    def shard(
        self, seed: int, wanted: EnvironmentManifest, shard: int, number: int
    ) -> dict[str, Shaped[np.ndarray, "e t ..."]]:
        """The `number` episodes of a shard, which depend only on (seed, shard): pieces of one episode each.

        Raises:
            ValueError: if nearly all episodes end before they have so many frames.
        """
        vector, rng = self.make(), np.random.default_rng((seed, shard))
        pieces: list[dict[str, np.ndarray]] = []
        walks: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(TOGETHER)]
        for step, (seen, over) in enumerate(self._steps(vector, rng)):
            for row, walk in enumerate(walks):
                walk.append(tuple(array[row] for array in seen))
                if len(walk) == self.length:
                    arrays = [np.stack(parts) for parts in zip(*walk, strict=True)]
                    pieces.append(dict(zip(wanted.fields, arrays, strict=True)))
                    walk.clear()
                if over[row]:
                    walk.clear()
            if len(pieces) >= number:
                break
            if step * TOGETHER > PATIENCE * number * self.length:
                raise ValueError(
                    f"episodes of {self.env} rarely have {self.length} frames ({len(pieces)} of {number} found in "
                    f"{step * TOGETHER} steps): choose a shorter --length"
                )
        vector.close()
        fields = wanted.fields
        return {name: np.stack([piece[name] for piece in pieces[:number]]).astype(fields[name][0]) for name in fields}

    def _steps(
        self, vector: VectorEnv, rng: np.random.Generator
    ) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Frames, actions, masks and goals of all copies at each step, and where what follows is another episode."""
        n, number = vector.num_envs, int(vector.single_action_space.n)  # type: ignore[attr-defined]
        allowed = np.ones(number, np.int8)
        if self.actions:
            allowed[:] = 0
            allowed[list(self.actions)] = 1
        observation, info = vector.reset(seed=int(rng.integers(2**31)))
        over = np.zeros(n, bool)
        while True:
            mask = (np.asarray(info.get("action_mask", np.ones((n, number)))) * allowed).astype(np.int8)
            legal = mask.cumsum(axis=1)
            action = (legal > (rng.random(n) * legal[:, -1]).astype(np.int64)[:, None]).argmax(axis=1)
            seen = (_frames(observation, self.size), action, mask, _goal(observation, self.size))
            observation, _, terminated, truncated, info = vector.step(action)
            ended = terminated | truncated
            # The frame that ends an episode comes without an action of its own: the step that follows it resets.
            yield seen, over | ended
            over = ended


def _frames(observation: Any, size: int) -> UInt8[np.ndarray, "n s s 3"]:
    """The pictures in observations, RGB, resized."""
    return square(observation["observation"] if isinstance(observation, dict) else observation, size)


def _goal(observation: Any, size: int) -> np.ndarray:
    """The goals that are achieved: in a goal dictionary its own, otherwise the frames."""
    if not (isinstance(observation, dict) and "achieved_goal" in observation):
        return _frames(observation, size)
    goal = np.asarray(observation["achieved_goal"])
    return goal if goal.dtype == np.uint8 and goal.ndim == 4 else goal.astype(np.float32)


def _imported(name: str) -> Any:
    """What MODULE:NAME names."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"--wrappers takes MODULE:NAME, got {name!r}")
    return getattr(import_module(module), attribute)
