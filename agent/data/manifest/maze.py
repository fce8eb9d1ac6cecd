"""The manifest of random navigation in a maze."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from agent.data.manifest.base import Manifest
from envs.camera import Camera
from envs.dynamics import ACTIONS, Dynamics
from envs.layout import Layout
from envs.videos import Fields

EPISODE_LENGTH = 100
"""frames of an episode in a maze"""


@dataclass(frozen=True)
class MazeManifest(Manifest):
    """Random navigation in a maze, by `jumpy collect`."""

    kind: ClassVar[str] = "maze"
    actions: ClassVar[int] = ACTIONS

    layout: Layout
    seed: int
    camera: Camera
    episodes: int
    versions: dict[str, str]
    checksums: tuple[str, ...] = ()
    length: int = field(default=EPISODE_LENGTH, init=False)

    @property
    def fields(self) -> Fields:
        """Frames, actions and goals; the pose is for evaluation only."""
        return {
            "observation": (np.dtype(np.uint8), (self.camera.size, self.camera.size, 3)),
            "action": (np.dtype(np.int8), ()),
            "action_mask": (np.dtype(np.int8), (ACTIONS,)),
            "achieved_goal": (np.dtype(np.uint8), (3, 3, 3)),
            "pose": (np.dtype(np.int16), (4,)),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Layout, seed, steps and camera."""
        camera = {f"--camera.{name}": value for name, value in asdict(self.camera).items()}
        steps = self.episodes * EPISODE_LENGTH
        return {"--layout": self.layout.name, "--seed": self.seed, "--steps": steps, **camera}

    @property
    def origin(self) -> dict[str, Any]:
        """The map and the seed."""
        return {"layout": self.layout.name, "rows": list(self.layout.rows), "data_seed": self.seed}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """Passages: the frame on which the action is chosen ends its subsequence."""
        pose = fields["pose"]
        return Dynamics.of(self.layout).passage(pose.reshape(-1, 4)).reshape(pose.shape[:2])

    def to_json(self) -> dict[str, Any]:
        """As in the dataclass, the length first."""
        content = asdict(self)
        return {"episode_length": content.pop("length"), **content}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> MazeManifest:
        """The reverse of `to_json`."""
        if content.pop("episode_length") != EPISODE_LENGTH:
            raise ValueError("another length of episodes")
        layout, camera = content.pop("layout"), content.pop("camera")
        return cls(Layout(layout["name"], tuple(layout["rows"])), camera=Camera(**camera), **content)
