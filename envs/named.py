"""Environments of others by their id: any of Gymnasium's with discrete actions and pictures, as commands name them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import UInt8

from envs.pictures import square


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """Options of a command that name an environment other than the maze."""

    env: str | None = None
    """Another environment: its id, as MODULE:ID where a module registers it, such as minigrid:MiniGrid-FourRooms-v0.
    Modules in the working folder are found."""
    env_options: str = "{}"
    """Keyword arguments of gymnasium.make for it, in JSON."""
    wrappers: tuple[str, ...] = ()
    """Wrappers around it, from the inside out, as MODULE:NAME."""
    actions: tuple[int, ...] = ()
    """The only actions to take there, numbered anew; default: all that are legal."""

    def __post_init__(self) -> None:
        """Check that what describes an environment does not come without its id."""
        if self.env is None and (self.env_options != "{}" or self.wrappers or self.actions):
            raise ValueError("--env-options, --wrappers and --actions are for another environment: give its --env")
        if len(set(self.actions)) < len(self.actions):
            raise ValueError(f"--actions must be different ones, got {list(self.actions)}")

    def named(self, size: int) -> NamedEnvironment | None:
        """The environment, with frames of this size; None for the maze."""
        if self.env is None:
            return None
        return NamedEnvironment(self.env, self.env_options, self.wrappers, self.actions, size)


@dataclass(frozen=True)
class NamedEnvironment:
    """An environment by its id, with what is seen and done in it."""

    env: str
    """its id, as MODULE:ID where a module registers it"""
    options: str = "{}"
    """keyword arguments of `gymnasium.make` in JSON"""
    wrappers: tuple[str, ...] = ()
    """wrappers around it, from the inside out, as MODULE:NAME"""
    actions: tuple[int, ...] = ()
    """the only actions to take, numbered anew; none: all"""
    size: int = 32
    """height and width of the frames in pixels; pictures of another size are averaged"""

    @property
    def settings(self) -> dict[str, Any]:
        """What it is, by the command line's names; the size is not part of it."""
        names = {"--env": self.env, "--env-options": json.loads(self.options), "--wrappers": list(self.wrappers)}
        return names | {"--actions": list(self.actions)}

    @classmethod
    def of(cls, settings: Mapping[str, Any], size: int) -> NamedEnvironment:
        """The inverse of `settings`."""
        options, wrappers, actions = (settings[name] for name in ("--env-options", "--wrappers", "--actions"))
        return cls(settings["--env"], json.dumps(options), tuple(wrappers), tuple(actions), size)

    def make(self) -> gymnasium.Env:
        """One of it.

        Raises:
            ValueError: if it cannot be made, its actions are not discrete, or it shows no picture.
        """
        with self._failure_named():
            env = gymnasium.make(self.env, **json.loads(self.options))
            for wrap in self._around():
                env = wrap(env)
        self._check(env.action_space, env.observation_space)
        return env

    def make_vector(self, number: int) -> VectorEnv:
        """Its vector form; raises as `make`, and if that does not reset in the step after an end."""
        with self._failure_named():
            around = self._around()
            how: Any = {"vectorization_mode": "sync", "wrappers": around} if around else {}
            vector = gymnasium.make_vec(self.env, num_envs=number, **how, **json.loads(self.options))
        self._check(vector.single_action_space, vector.single_observation_space)
        if vector.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
            raise ValueError(f"the vector form of {self.env} must reset in the step after an end (NEXT_STEP)")
        return vector

    def frames(self, observation: Any) -> UInt8[np.ndarray, "*n s s 3"]:
        """The pictures in observations, RGB, resized."""
        return square(observation["observation"] if isinstance(observation, dict) else observation, self.size)

    def achieved(self, observation: Any) -> np.ndarray:
        """The goals that observations achieve: those of a goal dictionary, otherwise the frames."""
        if isinstance(observation, dict) and "achieved_goal" in observation:
            return as_goal(observation["achieved_goal"])
        return self.frames(observation)

    def _around(self) -> list[Callable[[gymnasium.Env], gymnasium.Env]]:
        """The wrappers, the choice of actions outermost."""
        around: list[Any] = [_imported(name) for name in self.wrappers]
        return around + [partial(ChosenActions, actions=self.actions)] * bool(self.actions)

    @contextmanager
    def _failure_named(self) -> Iterator[None]:
        """Let modules of the working folder be found, and say in one line why an environment cannot be made."""
        find_modules_here()
        try:
            yield
        except Exception as error:  # whatever others raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"the environment {self.env} cannot be made ({reason:.120}): check --env and its options; a module "
                "must be installed, or lie in the working folder"
            ) from error

    def _check(self, action: spaces.Space[Any], seen: spaces.Space[Any]) -> None:
        """ValueError if actions or observations are of another kind."""
        if not isinstance(action, spaces.Discrete) or action.start != 0:
            raise ValueError(f"{self.env} has actions {action}: only Discrete ones from 0 up can be walked")
        picture = seen["observation"] if isinstance(seen, spaces.Dict) and "observation" in seen.spaces else seen
        if not (isinstance(picture, spaces.Box) and picture.dtype == np.uint8 and picture.shape[2:] in ((1,), (3,))):
            raise ValueError(
                f"{self.env} shows {picture}, not uint8 pictures (height, width, 3): add --wrappers MODULE:NAME"
            )


class ChosenActions(gymnasium.Wrapper):
    """Leaves some of an environment's actions: action i is the i-th of these, and so is entry i of an `action_mask`.

    Args:
        env: an environment with Discrete actions from 0 up.
        actions: those that are left.

    Raises:
        ValueError: if one does not exist.
    """

    def __init__(self, env: gymnasium.Env, actions: Sequence[int]) -> None:
        super().__init__(env)
        if isinstance(env.action_space, spaces.Discrete):  # others are refused by who asked for the actions
            number = int(env.action_space.n)
            if wrong := [action for action in actions if not 0 <= action < number]:
                raise ValueError(f"--actions must lie in 0 to {number - 1}, got {wrong[0]}")
            self.action_space: spaces.Space[Any] = spaces.Discrete(len(actions))
        self._chosen = np.array(actions)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._told(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one of the actions that are left."""
        observation, reward, terminated, truncated, info = self.env.step(int(self._chosen[action]))
        return observation, reward, terminated, truncated, self._told(info)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        """The environment's information, with the mask of these actions."""
        if "action_mask" not in info:
            return info
        return info | {"action_mask": np.asarray(info["action_mask"])[self._chosen]}


def find_modules_here() -> None:
    """Let modules of the working folder be imported, as those of installed packages are."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def as_goal(goal: Any) -> np.ndarray:
    """Goals as data sets hold them: pictures as uint8, all else as float32."""
    goal = np.asarray(goal)
    picture = goal.dtype == np.uint8 and goal.ndim >= 3 and goal.shape[-1] in (1, 3)
    return goal if picture else goal.astype(np.float32)


def _imported(name: str) -> Any:
    """What MODULE:NAME names."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"--wrappers takes MODULE:NAME, got {name!r}")
    return getattr(import_module(module), attribute)
