"""Manifests: the kind of a data set, its episodes' fields, and how it was made. One file per kind.

`jumpy collect` makes the kind *maze*, `jumpy videos` *video*, `jumpy import` *recorded* and *environment*. A data set's
folder holds its manifest as `manifest.json`; one without a kind describes a maze.
"""

import json
from pathlib import Path

from agent.data.manifest.base import EPISODES_PER_SHARD, FORMAT, MANIFEST, Manifest
from agent.data.manifest.environment import EnvironmentManifest
from agent.data.manifest.maze import EPISODE_LENGTH, MazeManifest
from agent.data.manifest.recorded import RecordedManifest
from agent.data.manifest.video import VideoManifest
from agent.system.seal import unsealed

__all__ = [
    "EPISODES_PER_SHARD",
    "EPISODE_LENGTH",
    "EnvironmentManifest",
    "Manifest",
    "MazeManifest",
    "RecordedManifest",
    "VideoManifest",
]

KINDS: dict[str, type[Manifest]] = {
    kind.kind: kind for kind in (MazeManifest, EnvironmentManifest, VideoManifest, RecordedManifest)
}


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder; ValueError if there is none, it was altered, or it has another format."""
    path = folder / MANIFEST
    try:
        content = unsealed(json.loads(path.read_bytes()))
        if content.pop("format") != FORMAT:
            raise ValueError("it has another format")
        kind = KINDS[content.pop("kind", MazeManifest.kind)]
        return kind.from_json(content | {"checksums": tuple(content["checksums"])})
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{folder} is not a data set, it has no {MANIFEST}: make one with 'jumpy collect --out {folder}' or "
            "'jumpy videos'"
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a manifest of format {FORMAT} ({type(error).__name__}: {error}): "
            "collect again with --overwrite"
        ) from None
