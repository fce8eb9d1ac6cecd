"""What a data set is: its kind, the fields of its episodes, and how it was made. One file per kind.

*Maze* is made by `jumpy collect`, *video* by `jumpy videos`, *recorded* by `jumpy import`. The manifest is
`manifest.json` in the data set's folder; one without a kind is of a maze.
"""

import json
from pathlib import Path

from agent.data.manifest.base import EPISODES_PER_SHARD, FORMAT, MANIFEST, Manifest
from agent.data.manifest.maze import EPISODE_LENGTH, MazeManifest
from agent.data.manifest.recorded import RecordedManifest
from agent.data.manifest.video import VideoManifest

__all__ = [
    "EPISODES_PER_SHARD",
    "EPISODE_LENGTH",
    "MANIFEST",
    "Manifest",
    "MazeManifest",
    "RecordedManifest",
    "VideoManifest",
    "read_manifest",
]

KINDS: dict[str, type[Manifest]] = {kind.kind: kind for kind in (MazeManifest, VideoManifest, RecordedManifest)}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a data set.

    Raises:
        ValueError: if the folder holds no manifest, or one of another format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        content["checksums"] = tuple(content["checksums"])
        return KINDS[content.pop("kind", MazeManifest.kind)].from_json(content)
    except FileNotFoundError:
        raise ValueError(
            f"{folder} is not a data set, it has no {MANIFEST}: make one with 'jumpy collect --out {folder}' or "
            "'jumpy videos'"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a manifest of format {FORMAT} ({type(error).__name__}: {error}): "
            "collect again with --overwrite"
        ) from None
