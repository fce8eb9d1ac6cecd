"""The episodes of a data set as other tools hold them, and the specification of their environment."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

import envs  # noqa: F401  registers the ids
from agent.data.manifest import EnvironmentManifest, MazeManifest
from agent.data.replay import Replay
from envs.layout import Layout
from envs.named import find_modules_here

TOGETHER = 100
"""episodes that are read at once"""


def check_has_actions(replay: Replay, target: str) -> None:
    """ValueError if a data set has no actions, or none of its episodes is complete."""
    if not replay.manifest.actions:
        raise ValueError(
            f"{replay.folder} holds videos without actions, which {target} has no place for: "
            "export a data set of 'jumpy collect'"
        )
    if not replay.episodes:
        raise ValueError(f"{replay.folder} has no complete shard yet: finish 'jumpy collect' first")


def episodes(replay: Replay) -> Iterator[dict[str, np.ndarray]]:
    """Each episode's fields, (T, …)."""
    for first in range(0, replay.episodes, TOGETHER):
        numbers = np.arange(first, min(first + TOGETHER, replay.episodes))
        fields = replay.slices(numbers, np.zeros_like(numbers), replay.episode_length)
        for row in range(len(numbers)):
            yield {name: array[row] for name, array in fields.items()}


def specification(replay: Replay) -> EnvSpec | None:
    """What makes the environment of a data set again; None if it is unknown, or wrappers or --actions changed it."""
    manifest = replay.manifest
    if isinstance(manifest, MazeManifest):
        options: dict[str, Any] = {"layout": _by_name(manifest.layout), "camera": asdict(manifest.camera)}
        return replace(gymnasium.spec("JumpyMaze-v0"), kwargs=options)
    if isinstance(manifest, EnvironmentManifest):
        known = manifest.environment
        if known.get("--wrappers") == [] and known["--actions"] == []:
            return _found(known["--env"], known["--env-options"])
    return None


def _found(name: str, options: dict[str, Any]) -> EnvSpec | None:
    """The specification of an environment, as ID or MODULE:ID, with its options; None where it is not installed."""
    module, _, identity = name.rpartition(":")
    find_modules_here()
    try:
        if module:
            import_module(module)
        spec = gymnasium.spec(identity)
    except (ImportError, gymnasium.error.Error):
        return None
    return replace(spec, kwargs=spec.kwargs | options)


def _by_name(layout: Layout) -> str | dict[str, Any]:
    """A layout's name where that says all, otherwise its map."""
    try:
        known = Layout.parse(layout.name) == layout
    except ValueError:
        known = False
    return layout.name if known else asdict(layout)
