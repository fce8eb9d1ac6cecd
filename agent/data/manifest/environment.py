"""The manifest of walks in any environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.manifest.base import Manifest
from envs.videos import Fields


@dataclass(frozen=True)
class EnvironmentManifest(Manifest):
    """Episodes of an environment with discrete actions and pictures, whose goals are pictures or vectors."""

    kind: ClassVar[str] = "environment"
    has_boundaries: ClassVar[bool] = False

    environment: dict[str, Any]
    """where the episodes come from, by the command line's names"""
    number_of_actions: int
    size: int
    """height and width of a frame in pixels"""
    goal: tuple[int, ...]
    """shape of a goal"""
    goal_type: str
    """uint8 for a picture, float32 for a vector"""
    length: int
    seed: int
    episodes: int
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()

    @property
    def actions(self) -> int:  # type: ignore[override]
        """Number of actions."""
        return self.number_of_actions

    @property
    def fields(self) -> Fields:
        """Frames, actions and goals."""
        return {
            "observation": (np.dtype(np.uint8), (self.size, self.size, 3)),
            "action": (np.dtype(np.int16), ()),
            "action_mask": (np.dtype(np.int8), (self.actions,)),
            "achieved_goal": (np.dtype(self.goal_type), self.goal),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """See `Manifest.settings`."""
        sizes = {"--size": self.size, "--length": self.length, "--steps": self.episodes * self.length}
        return self.environment | sizes | {"--seed": self.seed}

    @property
    def origin(self) -> dict[str, Any]:
        """The environment, the seed and the length of the episodes."""
        return {"environment": self.environment, "data_seed": self.seed, "data_length": self.length}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """Raises a ValueError: the true boundaries of other environments are unknown."""
        raise ValueError("the true boundaries of this environment are unknown: use data of the maze")

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> EnvironmentManifest:
        """See `Manifest.from_json`."""
        return cls(**{**content, "goal": tuple(content["goal"])})
