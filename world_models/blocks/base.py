"""Base classes of the models: frames in and out, and beliefs that are compared with goals."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from world_models.blocks.frames import frame_decoder, frame_encoder
from world_models.blocks.goals import GoalSpace
from world_models.interface import ModelConfig, State


class FrameModel(nn.Module):
    """A model with an encoder of frames and a decoder of vectors of length `code`; calls as in `interface`."""

    config: ModelConfig[Any, Any]
    generation_modes: tuple[str, ...] = ("full",)

    def __init__(self, config: ModelConfig[Any, Any], code: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = frame_encoder(config.sizes, config.frame_size)
        self.decoder = frame_decoder(config.sizes, config.frame_size, code)

    @property
    def context(self) -> int:
        """See `Plannable.context`."""
        return self.config.options.context

    def start_at(self, colour: Float[Tensor, " 3"]) -> None:
        """See `Colouring.start_at`."""
        self.decoder.start_at(colour)


class GoalModel(FrameModel):
    """A model whose beliefs are compared with goals; models of videos have no `goals`."""

    goals: GoalSpace

    def belief(self, state: State) -> Float[Tensor, "*b d"]:
        """The vector of a belief that goals are compared with."""
        return torch.cat(state, -1)

    def feature(self, state: State) -> Float[Tensor, "*b d"]:
        """See `Plannable.feature`."""
        return self.goals.feature(self.belief(state))

    def goal_feature(self, goal: Float[Tensor, "b *goal"]) -> Float[Tensor, "b d"]:
        """See `Plannable.goal_feature`."""
        return self.goals.goal(goal)

    def legal(self, state: State) -> Bool[Tensor, "b actions"]:
        """See `Plannable.legal`."""
        return self.goals.legal(self.belief(state))
