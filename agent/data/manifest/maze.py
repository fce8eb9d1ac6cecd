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
"""frames per episode in a maze"""


@dataclass(frozen=True)
class MazeManifest(Manifest):
    """Random navigation in a maze, from `jumpy collect`."""

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
        """See `Manifest.settings`."""
        camera = {f"--camera.{name}": value for name, value in asdict(self.camera).items()}
        steps = self.episodes * EPISODE_LENGTH
        return {"--layout": self.layout.name, "--seed": self.seed, "--steps": steps, **camera}

    @property
    def origin(self) -> dict[str, Any]:
        """The layout, the seed and the camera."""
        maze = {"layout": self.layout.name, "rows": list(self.layout.rows)}
        return maze | {"data_seed": self.seed, "camera": asdict(self.camera)}

    def subsequence_ends(self, fields: dict[str, np.ndarray]) -> Bool[np.ndarray, "e t"]:
        """The frames at which a passage is chosen."""
        pose = fields["pose"]
        return Dynamics.of(self.layout).passage(pose.reshape(-1, 4)).reshape(pose.shape[:2])

    def to_json(self) -> dict[str, Any]:
        """As in version 0.1.0: without a kind, the length first."""
        content = asdict(self)
        return {"episode_length": content.pop("length"), **content}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> MazeManifest:
        """See `Manifest.from_json`."""
        if content.pop("episode_length") != EPISODE_LENGTH:
            raise ValueError(f"episodes must have {EPISODE_LENGTH} frames")
        layout, camera = content.pop("layout"), content.pop("camera")
        return cls(Layout(layout["name"], tuple(layout["rows"])), camera=Camera(**camera), **content)
