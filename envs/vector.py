"""The maze as a Gymnasium vector environment, with batched dynamics and rendering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float64

from envs.camera import Camera
from envs.dynamics import ACTIONS
from envs.episodes import Episodes, observation_space
from envs.layout import Layout

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
    """

    def __init__(
        self,
        num_envs: int,
        layout: str | Layout = "paper",
        view: str = "raycast",
        camera: Camera = Camera(),  # noqa: B008  frozen
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_steps: int | None = None,
    ) -> None:
        self._episodes = Episodes(num_envs, layout, view, camera, max_steps)
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.autoreset_mode}
        self.single_action_space = Discrete(ACTIONS)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = observation_space(camera.size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._over = np.ones(num_envs, dtype=bool)

    @property
    def layout(self) -> Layout:
        """The map."""
        return self._episodes.layout

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Batch, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: one seed per sub-environment; an integer s stands for s, s + 1, …; None continues the random streams.
            options: `{"reset_mask": mask}` resets only the sub-environments where mask (N,) bool is True.

        Returns:
            Observations and information of all sub-environments.

        Raises:
            ValueError: if the number of seeds is not N, or the mask is not a bool array (N,) with a True.
            gymnasium.error.ResetNeeded: if the mask excludes a sub-environment that was never reset.
        """
        mask = self._reset_mask(options)
        seeds = self._seeds(seed)
        if self._rngs[0] is None and not mask.all():
            raise gymnasium.error.ResetNeeded("the first reset must be of all sub-environments: omit reset_mask")
        for row in np.flatnonzero(mask):
            self._begin(int(row), seeds[row])
        self._over &= ~mask
        return self._episodes.observation(), self._episodes.info()

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
        observation, info = self._episodes.observation(), self._episodes.info()
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if over.any():
                observation, info = self._reset_in_step(over, observation, info)
        else:
            self._over = over
        return observation, rewards, terminated, truncated, info

    def close_extras(self, **_: Any) -> None:
        """Release the view's resources."""
        self._episodes.close()

    def _begin(self, row: int, seed: int | None = None) -> None:
        """Start the next episode of a sub-environment."""
        rng = self._rngs[row]
        if seed is not None or rng is None:
            rng, seed = seeding.np_random(seed)
            self._rngs[row] = rng
        self._episodes.begin(row, rng, seed)

    def _reset_in_step(self, over: np.ndarray, final: Batch, final_info: Batch) -> tuple[Batch, dict[str, Any]]:
        """Mode SAME_STEP: replace the ended episodes' observations by the first ones of the next episodes."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(over):
            final_obs[row] = {name: batch[row].copy() for name, batch in final.items()}
            self._begin(int(row))
        for name, batch in self._episodes.observation(over).items():
            final[name][over] = batch
        info = self._episodes.info()
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
