"""The maze as a Gymnasium vector environment, with batched dynamics and rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float64

from envs.camera import Camera
from envs.dynamics import ACTIONS
from envs.episodes import RENDER_MODES, Episodes, check_render_mode
from envs.layout import Layout
from envs.maze import JumpyMaze

Batch = dict[str, Any]
Rewards = Float64[np.ndarray, " n"]
Flags = Bool[np.ndarray, " n"]


class HallwayMazeVector(VectorEnv[Batch, np.ndarray, np.ndarray]):
    """N copies of `JumpyMaze`, which specifies observations, actions, rewards, information and the other arguments.

    Sub-environment i behaves exactly like a `JumpyMaze` with the same seed and actions. Its index is the first axis of
    all arrays: `observation` (N, 32, 32, 3), `info["action_mask"]` (N, 3), `info["pose"]` (N, 4), etc.

    The three autoreset modes are Gymnasium's:

    * NEXT_STEP: the step after an episode's end ignores the action and resets, with reward 0, neither terminated nor
      truncated.
    * SAME_STEP: the step that ends an episode also resets. The episode's last observation (a dictionary, or None) is in
      `info["final_obs"]` (N,), its information in `info["final_info"]`, valid where `info["_final_info"]` is True.
    * DISABLED: ended episodes must be reset before the next step, with `reset(options={"reset_mask": mask})`.

    `max_episode_steps` truncates episodes as Gymnasium's `TimeLimit` does: rewards still count from `max_steps`.
    """

    episodes: ClassVar[type[Episodes]] = Episodes
    """the rules of an episode"""

    def __init__(
        self,
        num_envs: int,
        layout: str | Layout | Mapping[str, Any] = "paper",
        view: str = "raycast",
        camera: Camera | Mapping[str, Any] = Camera(),  # noqa: B008  frozen
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_steps: int | None = None,
        render_mode: str | None = None,
        goal_frame: bool = False,
        max_episode_steps: int | None = None,
    ) -> None:
        check_render_mode(render_mode)
        self._episodes = self.episodes(num_envs, layout, view, camera, max_steps, goal_frame, max_episode_steps)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": RENDER_MODES, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = Discrete(ACTIONS)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self._episodes.observation_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._attributes: dict[str, tuple[Any, ...]] = {}
        self._spec: EnvSpec | None = None
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._seeded: list[int | None] = [None] * num_envs
        self._over = np.ones(num_envs, dtype=bool)

    @property
    def layout(self) -> Layout:
        """The map."""
        return self._episodes.layout

    @property
    def spec(self) -> EnvSpec | None:
        """The specification, with the steps after which episodes are truncated."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        """Keep a specification, as `gymnasium.make_vec` sets it."""
        self._spec = copy(spec)
        if self._spec is not None:
            self._spec.max_episode_steps = self._episodes.last_step

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Batch, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: one seed per sub-environment; an integer s stands for s, s + 1, …; None continues the random streams.
            options: `reset_mask` resets only the sub-environments where mask (N,) bool is True; `start` (3,) or (N, 3)
                and `goal` (2,) or (N, 2) as in `JumpyMaze.reset`.

        Returns:
            Observations and information of all sub-environments.

        Raises:
            ValueError: if the number of seeds is not N, the mask is not a bool array (N,) with a True, or a start or
                goal is impossible, before anything changes.
            gymnasium.error.ResetNeeded: if the mask excludes a sub-environment that was never reset.
        """
        mask = self._reset_mask(options)
        seeds = self._seeds(seed)
        if self._rngs[0] is None and not mask.all():
            raise gymnasium.error.ResetNeeded("the first reset must be of all sub-environments: omit reset_mask")
        rows = np.flatnonzero(mask).tolist()
        chosen = {row: self._episodes.chosen(its) for row, its in self._options(options, rows).items()}
        for row in rows:
            self._begin(row, seeds[row], *chosen[row])
        self._over &= ~mask
        return self._episodes.observation(), self._info()

    def step(self, actions: object) -> tuple[Batch, Rewards, Flags, Flags, dict[str, Any]]:
        """Step all sub-environments; the autoreset mode decides what happens to ended episodes.

        Args:
            actions: 0, 1 or 2 for each, in an array (N,).

        Raises:
            ValueError: if there are not N actions, or one is not 0, 1 or 2, before anything changes.
            gymnasium.error.ResetNeeded: if an ended episode was not reset (mode DISABLED), or before the first reset.
        """
        resetting = self._over
        self._check_reset()
        rewards, terminated, truncated = self._episodes.act(actions, acting=~resetting)
        for row in np.flatnonzero(resetting):
            self._begin(int(row))
        over = terminated | truncated
        observation, info = self._episodes.observation(), self._info()
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if over.any():
                observation, info = self._reset_in_step(over, observation, info)
        else:
            self._over = over
        return observation, rewards, terminated, truncated, info

    def action_masks(self) -> Bool[np.ndarray, "n 3"]:
        """Which actions are legal now."""
        return self._episodes.action_masks()

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The current frames with 512 × 512 pixels, RGB; None without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() renders nothing: make the environment with render_mode='rgb_array'")
            return None
        return tuple(self._episodes.large_frames())

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seed of each sub-environment's generator; None before the first reset."""
        return tuple(self._seeded)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator | None, ...]:  # type: ignore[override]
        """Each sub-environment's generator; None before the first reset."""
        return tuple(self._rngs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every sub-environment, or read an attribute, by its name in `JumpyMaze`; N results."""
        if name in self._attributes:
            return self._attributes[name]
        if name in ("np_random", "np_random_seed"):
            return getattr(self, name)
        if name in ("render", "action_masks"):
            rows = getattr(self, name)(*args, **kwargs)
            return (None,) * self.num_envs if rows is None else tuple(rows)
        name = {"action_space": "single_action_space", "observation_space": "single_observation_space"}.get(name, name)
        value = getattr(self, name)
        return tuple(value(*args, **kwargs) if callable(value) else value for _ in range(self.num_envs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of every sub-environment, by its name in `JumpyMaze`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every sub-environment, to one value or to N in a list or tuple.

        Raises:
            ValueError: for another number of values, or an attribute that the sub-environments share.
        """
        each = tuple(values) if isinstance(values, (list, tuple)) else (values,) * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"set_attr needs one value or {self.num_envs}, one per maze, got {len(each)}")
        if hasattr(type(self), name) or name in vars(self):
            raise ValueError(
                f"{name!r} belongs to all mazes of a {type(self).__name__} and cannot be set: make another"
            )
        self._attributes[name] = each

    def get_keys_to_action(self) -> dict[str, int]:
        """As in `JumpyMaze`."""
        return JumpyMaze.get_keys_to_action(self)  # type: ignore[arg-type]

    def close_extras(self, **_: Any) -> None:
        """Release the view's resources."""
        self._episodes.close()

    def _begin(self, row: int, seed: int | None = None, start: object = None, goal: object = None) -> None:
        """Start the next episode of a sub-environment."""
        rng = self._rngs[row]
        if seed is not None or rng is None:
            rng, seed = seeding.np_random(seed)
            self._rngs[row], self._seeded[row] = rng, seed
        self._episodes.begin(row, rng, seed, start, goal)

    def _info(self) -> dict[str, Any]:
        """The information of all rows, each entry with the mask of the rows that have it, as Gymnasium's vectors do."""
        return self._masked(self._episodes.info(), np.ones(self.num_envs, dtype=bool))

    @staticmethod
    def _masked(info: dict[str, Any], rows: Flags) -> dict[str, Any]:
        """Entries with their masks."""
        return info | {f"_{name}": rows.copy() for name in info}

    def _options(self, options: dict[str, Any] | None, rows: list[int]) -> dict[int, dict[str, Any]]:
        """The options of each row that resets."""
        rest = {name: value for name, value in (options or {}).items() if name != "reset_mask"}
        each = {name: np.ndim(value) > 1 for name, value in rest.items()}
        for name in (name for name, own in each.items() if own):
            if len(rest[name]) != self.num_envs:
                raise ValueError(
                    f"options[{name!r}] must be one for all mazes or {self.num_envs}, got {len(rest[name])}"
                )
        return {row: {name: value[row] if each[name] else value for name, value in rest.items()} for row in rows}

    def _reset_in_step(self, over: np.ndarray, final: Batch, final_info: Batch) -> tuple[Batch, dict[str, Any]]:
        """Mode SAME_STEP: replace the ended episodes' observations by the first ones of the next episodes."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(over):
            final_obs[row] = {name: batch[row].copy() for name, batch in final.items()}
            self._begin(int(row))
        for name, batch in self._episodes.observation(over).items():
            final[name][over] = batch
        final_info |= {name: over.copy() for name in final_info if name[0] == "_"}
        info = self._info()
        info |= {"final_obs": final_obs, "_final_obs": over, "final_info": final_info, "_final_info": over}
        return final, info

    def _check_reset(self) -> None:
        """Raise a ResetNeeded that names the episodes that the caller must reset, if there are any."""
        if self._rngs[0] is None:
            raise gymnasium.error.ResetNeeded("call reset() before the first step()")
        rows = np.flatnonzero(self._over).tolist()
        if rows and self.autoreset_mode is AutoresetMode.DISABLED:
            raise gymnasium.error.ResetNeeded(
                f"the episodes of sub-environments {rows} are over and autoreset is disabled: "
                'call reset(options={"reset_mask": terminated | truncated}) before step()'
            )

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        """One seed per sub-environment."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            return [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"a list of seeds must have one for each of {self.num_envs} mazes, got {len(seed)} seeds")
        return [None if one is None else int(one) for one in seed]

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        """Which sub-environments to reset."""
        if options is None or "reset_mask" not in options:
            return np.ones(self.num_envs, dtype=bool)
        mask = options["reset_mask"]
        if not (isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,) and mask.dtype == bool and mask.any()):
            raise ValueError(
                f"options['reset_mask'] must be a numpy array of bool with shape ({self.num_envs},) and at least one "
                f"True, got {mask!r}"
            )
        return mask


class HallwayMazeRandomVector(HallwayMazeVector):
    """N copies of `JumpyMazeRandom`, all on the same map.

    Args:
        num_envs: N.
        layout_seed: determines the map.
        **options: the arguments of `HallwayMazeVector` except `layout`.
    """

    def __init__(self, num_envs: int, layout_seed: int = 0, **options: Any) -> None:
        super().__init__(num_envs, layout=Layout.random(layout_seed), **options)
