"""A planning world model as a policy of vectorised environments, without state of its own between calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped

from agent.acting.decider import Decider
from planners.interface import Planner
from world_models.interface import Plannable


class WorldModelPolicy:
    """Decides for N episodes of `Passages` from their information and observations.

    What it reads may have an axis of length 1 after the first, as the information in stable-worldmodel's `World` has.

    Example:
        >>> passages = gymnasium.make_vec("JumpyMazePassages-v0", num_envs=4)
        >>> policy = WorldModelPolicy(model, TreeSearch(depth=5))
        >>> observation, info = passages.reset(seed=100_000)
        >>> action = policy.get_action(info | observation)
    """

    type = "world_model"

    def __init__(self, model: Plannable, planner: Planner, seed: int = 0) -> None:
        """The model is in evaluation mode, on any device; the seed is that of a random planner."""
        self.model, self.planner = model, planner
        self._seed = seed
        self._decider: Decider | None = None
        self.env: Any = None

    def set_env(self, env: Any) -> None:
        """Keep the environments, and forget the episodes of others."""
        self.env, self._decider = env, None

    def get_action(self, info: Mapping[str, Any], **_: Any) -> Int64[np.ndarray, " n"]:
        """The action of each episode.

        Args:
            info: `frames`, `frame_actions`, `frame_count`, `walked` and `action_mask` of `Passages`, and `desired_goal`
                of its observations; N first.

        Raises:
            ValueError: if something is missing, or episodes show fewer frames than the model reads.
        """
        needed = ("frames", "frame_actions", "frame_count", "walked", "action_mask", "desired_goal")
        if missing := [name for name in needed if name not in info]:
            raise ValueError(
                f"a policy reads the information and the observations of Passages, {', '.join(missing)} is missing: "
                "use JumpyMazePassages-v0, and get_action(info | observation)"
            )
        frames, actions, count, walked, mask, goal = (np.asarray(info[name]) for name in needed)
        if frames.ndim == 6:
            frames, actions, count, walked, mask, goal = (
                each[:, 0] for each in (frames, actions, count, walked, mask, goal)
            )
        if frames.shape[1] < self.model.context:
            raise ValueError(
                f"the model reads {self.model.context} frames, Passages shows {frames.shape[1]}: "
                f"make it with frames={self.model.context}"
            )
        return self._decide(frames, actions, count, walked, mask, goal)

    def _decide(
        self,
        frames: Shaped[np.ndarray, "n t h w 3"],
        actions: Shaped[np.ndarray, "n t_1"],
        count: Shaped[np.ndarray, " n"],
        walked: Shaped[np.ndarray, " n"],
        mask: Shaped[np.ndarray, "n a"],
        goal: Shaped[np.ndarray, "n ..."],
    ) -> Int64[np.ndarray, " n"]:
        """Plan where there is a choice, with the frames that the model reads."""
        if self._decider is None:
            self._decider = Decider(self.model, self.planner, len(mask), self._seed)
        self._decider.forget(np.flatnonzero(walked == 0))
        action, rows, read = mask.argmax(axis=1), np.flatnonzero(mask.sum(axis=1) > 1), self.model.context
        if len(rows):
            context = (
                torch.from_numpy(frames[rows, -read:]),
                torch.from_numpy(actions[rows, actions.shape[1] - read + 1 :].astype(np.int64)),
                torch.from_numpy(count[rows].clip(max=read).astype(np.int64)),
            )
            action[rows], _ = self._decider.decide(rows, *context, goal[rows], mask[rows])
        return action
