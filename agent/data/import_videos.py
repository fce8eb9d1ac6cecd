"""`jumpy import`: recorded videos from a user's files into a data set like one of `jumpy videos`."""

import hashlib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from tqdm import tqdm

from agent.data.manifest import EPISODES_PER_SHARD, RecordedManifest
from agent.data.readers import RECORDED, Reader
from agent.data.readers.reader import SPLITS, Scan, Split
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.versions import versions

AnyReader = TypeVar("AnyReader", bound=Reader)


@dataclass(frozen=True)
class ImportConfig(Generic[AnyReader]):
    """Read recorded videos into a data set; an interrupted call resumes where it stopped.

    Files or records that cannot be read are reported and skipped.
    """

    reader: AnyReader
    """the videos"""
    out: Path
    """folder of the data set"""
    overwrite: bool = False
    """replace an existing data set"""


IMPORTS = {name: (ImportConfig[reader], str(inspect.getdoc(reader))) for name, reader in RECORDED.items()}  # type: ignore[valid-type]
"""configuration and help of `jumpy import NAME`"""


def import_videos(config: ImportConfig) -> Replay:
    """Check the files, report what cannot be read, write the rest as a data set, and open it.

    Raises:
        ValueError: a file is missing or no sequence can be read; also as `write_data`.
    """
    reader = config.reader
    found = _scan(reader)
    skipped = tuple(line for *_, scan in found for line in scan.skipped)
    for line in skipped:
        print(f"jumpy: skipped: {line}", file=sys.stderr)
    by_split = {own: [clip for split, _, scan in found if split == own for clip in scan.clips] for own in SPLITS}
    kept = {split: tuple(clips[: reader.limit]) for split, clips in by_split.items()}
    clips, short = [clip for split in SPLITS for clip in kept[split]], sum(scan.short for *_, scan in found)
    if not clips:
        raise ValueError(
            f"{reader.source} has no sequence of {reader.length} frames ({len(found)} files read, skipped "
            f"{len(skipped)}, too short {short}): choose a shorter --length"
        )
    lines = [f"{path.relative_to(reader.source)} {scan.digest}\n" for _, path, scan in found]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
    wanted = RecordedManifest(reader.name, reader.options, reader.length, kept, digest, skipped, versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        first = shard * EPISODES_PER_SHARD
        return reader.read(clips[first : first + episodes])

    write_data(config.out, wanted, config.overwrite, make, f"import {reader.name}")
    counts = ", ".join(f"{len(kept[split])} {split}" for split in SPLITS if kept[split])
    print(
        f"{reader.name}: {len(clips)} sequences of {reader.length} frames ({counts}) from {len(found)} files; "
        f"skipped {len(skipped)} (manifest.json lists them), too short {short}"
    )
    return Replay.open(config.out, verify=False)


def _scan(reader: Reader) -> list[tuple[Split, Path, Scan]]:
    """Scan the files of each split, until it has the reader's limit of clips."""
    found: list[tuple[Split, Path, Scan]] = []
    for split, path in tqdm(list(reader.files()), desc="check", unit=" files"):
        count = sum(len(scan.clips) for own, _, scan in found if own == split)
        if reader.limit is None or count < reader.limit:
            found.append((split, path, reader.scan(path)))
    return found
