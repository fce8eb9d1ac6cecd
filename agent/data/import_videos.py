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
from agent.data.readers.reader import SPLITS, Clip, Split
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
    for line in found.skipped:
        print(f"jumpy: skipped: {line}", file=sys.stderr)
    clips = [clip for split in SPLITS for clip in found.clips[split]]
    if not clips:
        raise ValueError(
            f"{reader.source} has no sequence of {reader.length} frames ({found.files} files read, skipped "
            f"{len(found.skipped)}, too short {found.short}): choose a shorter --length"
        )
    kept = {split: tuple(found.clips[split]) for split in SPLITS}
    skipped = tuple(found.skipped)
    wanted = RecordedManifest(reader.name, reader.options, reader.length, kept, found.digest, skipped, versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        first = shard * EPISODES_PER_SHARD
        return reader.read(clips[first : first + episodes])

    write_data(config.out, wanted, config.overwrite, make, f"import {reader.name}")
    counts = ", ".join(f"{len(found.clips[split])} {split}" for split in SPLITS if found.clips[split])
    print(
        f"{reader.name}: {len(clips)} sequences of {reader.length} frames ({counts}) from {found.files} files; "
        f"skipped {len(found.skipped)} (manifest.json lists them), too short {found.short}"
    )
    return Replay.open(config.out, verify=False)


@dataclass
class Found:
    """The scans of all files together."""

    clips: dict[Split, list[Clip]]
    skipped: list[str]
    files: int = 0
    short: int = 0
    digest: str = ""


def _scan(reader: Reader) -> Found:
    """Scan the files, skipping those of splits that already have the reader's limit of clips."""
    found = Found({split: [] for split in SPLITS}, [])
    digest = hashlib.sha256()
    for split, path in tqdm(list(reader.files()), desc="check", unit=" files"):
        if reader.limit is not None and len(found.clips[split]) >= reader.limit:
            continue
        scan = reader.scan(path)
        found.clips[split] = (found.clips[split] + scan.clips)[: reader.limit]
        found.skipped += scan.skipped
        found.files += 1
        found.short += scan.short
        digest.update(f"{path.relative_to(reader.source)} {scan.digest}\n".encode())
    found.digest = digest.hexdigest()[:16]
    return found
