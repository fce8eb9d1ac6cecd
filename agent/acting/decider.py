"""A world model and a planner that decide for several episodes, and remember what the planner keeps of each."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped, UInt8
from torch import Tensor

from planners.interface import ModelFunctions, Plan, Planner, Remembers
from world_models.blocks.images import goal_to_float, to_float
from world_models.interface import Plannable, State


class Decider:
    """Observes contexts and plans in imagination for N episodes.

    The model never sees a pose, a map or a goal position: only frames, its own past actions and the goal's picture.
    """

    def __init__(self, model: Plannable, planner: Planner, episodes: int, seed: int) -> None:
        """The model is in evaluation mode, on any device; the seed is that of a random planner."""
        self._model, self._planner = model, planner
        self._functions = ModelFunctions.of(model)
        self._device = next(model.parameters()).device
        self._generator = torch.Generator().manual_seed(seed)
        self._kept: list[Any] = [None] * episodes

    def forget(self, rows: Int64[np.ndarray, " b"]) -> None:
        """Begin new episodes in some rows."""
        for row in rows:
            self._kept[row] = None

    @torch.inference_mode()
    def decide(
        self,
        rows: Int64[np.ndarray, " b"],
        frames: UInt8[Tensor, "b t h w 3"],
        actions: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        goal: Shaped[np.ndarray, "b ..."],
        mask: Shaped[np.ndarray, "b a"],
    ) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        """Actions and spent model transitions of some episodes.

        Args:
            rows: which episodes.
            frames: left-padded contexts.
            actions: between their frames.
            length: how many frames count.
            goal: their goals, as stored.
            mask: their legal actions.
        """
        frames, actions, length = (tensor.to(self._device) for tensor in (frames, actions, length))
        state = self._model.observe(to_float(frames), actions, length)
        goal_feature = self._model.goal_feature(goal_to_float(torch.from_numpy(goal).to(self._device)))
        legal = torch.from_numpy(mask.astype(bool)).to(self._device)
        chosen = self._choose(rows, state, goal_feature, legal)
        return chosen.action.cpu().numpy(), chosen.transitions.cpu().numpy()

    def _choose(self, rows: np.ndarray, state: State, goal_feature: Tensor, legal: Tensor) -> Plan:
        """The planner's decision; what it wants to keep is kept for each episode."""
        if not isinstance(self._planner, Remembers):
            return self._planner.plan(self._functions, state, goal_feature, legal, self._generator)
        past = [self._kept[row] for row in rows]
        chosen, kept = self._planner.plan_on(self._functions, state, goal_feature, legal, self._generator, past)
        for row, its in zip(rows, kept, strict=True):
            self._kept[row] = its
        return chosen
