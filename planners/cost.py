"""A world model as a cost of action sequences, which solvers of other libraries minimise.

Such a solver calls `get_cost(info, candidates)` and needs to know nothing else of a model. stable-worldmodel's cross-
entropy method and gradient descent do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from world_models.blocks.images import goal_to_float, to_float
from world_models.interface import ModelConfig, Plannable

CONTEXT_AXES = {"frames": 4, "frame_actions": 1, "frame_count": 0, "observation": 3, "action_mask": 1}
"""axes of what is shown of one episode"""


class GoalCost(nn.Module):
    """How far imagined beliefs stay from the goal: minus the best discounted cosine on the way.

    A transition counts as far as the actions up to it are expected to be legal; otherwise its cosine counts as −1.
    Candidates are one-hot actions or probabilities, through which gradients flow.

    Args:
        model: the world model.
        discount: factor on a cosine for each transition before it, so that early arrivals cost less.

    Raises:
        ValueError: if the discount is not above 0 and at most 1, or the model cannot plan.
    """

    def __init__(self, model: nn.Module, discount: float = 0.95) -> None:
        super().__init__()
        if not isinstance(model, Plannable):
            raise ValueError(f"a cost needs a model that plans (world_models/interface.py), got {type(model).__name__}")
        if not 0 < discount <= 1:
            raise ValueError(f"the discount must be above 0 and at most 1, got {discount:g}")
        self.model, self.discount = model, discount
        self._goal_axes = len(getattr(model, "config", ModelConfig(None, None)).goal)
        self.eval()

    def get_cost(self, info: Mapping[str, Any], candidates: Float[Tensor, "b n h a"]) -> Float[Tensor, "b n"]:
        """The cost of N sequences of H actions in each of B episodes.

        Args:
            info: of `Passages`, with the observations: `frames`, `frame_actions`, `frame_count` (or only the current
                frame as `observation`), `desired_goal`, and `action_mask` if actions can be illegal. Each has B first;
                more axes may follow, along which it is constant, such as the N candidates that a solver adds.
            candidates: actions as vectors that sum to 1.

        Raises:
            ValueError: if something is missing.
        """
        b, n, horizon, _ = candidates.shape
        goal = F.normalize(self.model.goal_feature(self._goal(info)), dim=-1).repeat_interleave(n, 0)
        state = self._observed(info)
        state = type(state)(*(field.repeat_interleave(n, 0) for field in state))
        legal = self._legal(info, candidates).repeat_interleave(n, 0)
        actions = candidates.flatten(0, 1)
        chance, values = candidates.new_ones(b * n), []
        for depth in range(horizon):
            chance = chance * (actions[:, depth] * legal).sum(-1)
            state = self.model.imagine(state, actions[:, depth])
            cosine = (F.normalize(self.model.feature(state), dim=-1) * goal).sum(-1)
            values.append(chance * cosine * self.discount**depth - (1 - chance))
            legal = self.model.legal(state)
        return -torch.stack(values).amax(0).view(b, n)

    criterion = get_cost
    """the same, by the name that some solvers use"""

    def _observed(self, info: Mapping[str, Any]) -> Any:
        """The beliefs at the roots."""
        if "frames" not in info:
            frames = to_float(self._read(info, "observation"))[:, None]
            one = torch.ones(len(frames), dtype=torch.int64, device=frames.device)
            return self.model.observe(frames, one.new_zeros(len(frames), 0), one)
        read = self.model.context
        frames, actions = self._read(info, "frames"), self._read(info, "frame_actions").long()
        count = self._read(info, "frame_count").long().clamp(max=read)
        return self.model.observe(to_float(frames[:, -read:]), actions[:, max(0, actions.shape[1] - read + 1) :], count)

    def _goal(self, info: Mapping[str, Any]) -> Tensor:
        """The goals as the model reads them."""
        return goal_to_float(self._read(info, "desired_goal", axes=self._goal_axes))

    def _legal(self, info: Mapping[str, Any], candidates: Tensor) -> Bool[Tensor, "b a"]:
        """The legal first actions; all of them where nothing is said of it."""
        if "action_mask" not in info:
            return torch.ones(len(candidates), candidates.shape[-1], dtype=torch.bool, device=candidates.device)
        return self._read(info, "action_mask").bool()

    def _read(self, info: Mapping[str, Any], name: str, axes: int | None = None) -> Tensor:
        """An entry with B first and the axes of one episode behind it."""
        if name not in info:
            raise ValueError(
                f"a cost reads {name} of the information, it has {', '.join(info)}: use JumpyMazePassages-v0"
            )
        value = torch.as_tensor(info[name])
        for _ in range(value.ndim - 1 - (CONTEXT_AXES[name] if axes is None else axes)):
            value = value[:, 0]
        return value.to(next(self.model.parameters()).device)
