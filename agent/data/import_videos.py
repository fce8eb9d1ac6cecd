"""Recorded videos from a user's files into a data set, which holds them as `jumpy videos` holds drawn ones."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from agent.data.manifest import EPISODES_PER_SHARD, RecordedManifest
from agent.data.readers.dml_mazes import DmlMazes
from agent.data.readers.kth import ACTIONS, Action, Kth, Persons
from agent.data.readers.reader import SPLITS, Clip, Reader, Split
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.versions import versions


@dataclass(frozen=True)
class KthConfig:
    """Read KTH Action (Schuldt, Laptev and Caputo 2004) into a data set, 64 x 64 and grey.

    Get 00sequences.txt and the archives of the actions from https://www.csc.kth.se/cvap/actions/ and unpack each
    archive into a folder of its name: boxing/person01_boxing_d1_uncomp.avi. Files that cannot be decoded are told and
    left out; a call that was cut off goes on where it stopped.
    """

    source: Path
    """folder with 00sequences.txt and the actions' folders"""
    out: Path
    """folder of the data set"""
    length: int = 300
    """frames of a sequence; runs of frames with the person in them that are shorter are left out"""
    persons: Persons = "svg"
    """who trains: svg: 1 to 20, and 21 to 25 test; schuldt: the data set's own, with validation"""
    actions: tuple[Action, ...] = ACTIONS
    """which to read"""
    overwrite: bool = False
    """replace a data set that is already there"""


@dataclass(frozen=True)
class DmlMazesConfig:
    """Read DML Mazes (the data set mazes of Eslami et al. 2018, GQN) into a data set, 64 x 64.

    Get some of its TFRecord files from https://github.com/deepmind/gqn-datasets and lay them out as published:
    train/0001-of-1080.tfrecord, test/001-of-120.tfrecord. Records whose checksums are wrong are told and left out; a
    call that was cut off goes on where it stopped.
    """

    source: Path
    """folder with the folders train and test"""
    out: Path
    """folder of the data set"""
    length: int = 200
    """frames of a sequence; a record has 300"""
    sequences: int | None = None
    """at most so many of each split, the first ones; all if it is not given"""
    overwrite: bool = False
    """replace a data set that is already there"""

    def __post_init__(self) -> None:
        """Refuse no sequences."""
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be 1 or more, got {self.sequences}")


def import_kth(config: KthConfig) -> Replay:
    """Write KTH Action as a data set.

    Args:
        config: what to read, and where to.

    Returns:
        The finished data set.

    Raises:
        ValueError: if a file is missing, no sequence can be read, or the folder holds a data set of other settings or
            other files.
        OSError: if a folder cannot be used.
    """
    reader = Kth(config.source, config.persons, config.actions)
    options = {"persons": config.persons, "actions": list(config.actions)}
    return _import("kth", reader, options, None, config)


def import_dml_mazes(config: DmlMazesConfig) -> Replay:
    """Write DML Mazes as a data set; as `import_kth`."""
    options = {"sequences": config.sequences}
    return _import("dml-mazes", DmlMazes(config.source), options, config.sequences, config)


def _import(
    dataset: str, reader: Reader, options: dict[str, Any], limit: int | None, config: KthConfig | DmlMazesConfig
) -> Replay:
    """Check the files, say what cannot be read of them, and write the rest."""
    if config.length < 2:
        raise ValueError(f"--length must be 2 or more, got {config.length}")
    found = _scan(reader, config, limit)
    for line in found.skipped:
        print(f"jumpy: skipped: {line}", file=sys.stderr)
    clips = [clip for split in SPLITS for clip in found.clips[split]]
    if not clips:
        raise ValueError(
            f"{config.source} has no sequence of {config.length} frames ({found.files} files read, skipped "
            f"{len(found.skipped)}, too short {found.short}): choose a shorter --length"
        )
    kept = {split: tuple(found.clips[split]) for split in SPLITS}
    wanted = RecordedManifest(dataset, options, config.length, kept, found.digest, tuple(found.skipped), versions())

    def make(shard: int, episodes: int) -> dict[str, np.ndarray]:
        first = shard * EPISODES_PER_SHARD
        return reader.read(clips[first : first + episodes], config.length)

    write_data(config.out, wanted, config.overwrite, make, f"import {dataset}")
    counts = ", ".join(f"{len(found.clips[split])} {split}" for split in SPLITS if found.clips[split])
    print(
        f"{dataset}: {len(clips)} sequences of {config.length} frames ({counts}) from {found.files} files; "
        f"skipped {len(found.skipped)} (manifest.json lists them), too short {found.short}"
    )
    return Replay.open(config.out, verify=False)


@dataclass
class Found:
    """What all files hold."""

    clips: dict[Split, list[Clip]]
    skipped: list[str]
    files: int = 0
    short: int = 0
    digest: str = ""


def _scan(reader: Reader, config: KthConfig | DmlMazesConfig, limit: int | None) -> Found:
    """Read all files once, or as many as give `limit` clips a split."""
    found = Found({split: [] for split in SPLITS}, [])
    digest = hashlib.sha256()
    for split, path in tqdm(list(reader.files()), desc="check", unit=" files"):
        if limit is not None and len(found.clips[split]) >= limit:
            continue
        scan = reader.scan(path, config.length)
        found.clips[split] = (found.clips[split] + scan.clips)[:limit]
        found.skipped += scan.skipped
        found.files += 1
        found.short += scan.short
        digest.update(f"{path.relative_to(config.source)} {scan.digest}\n".encode())
    found.digest = digest.hexdigest()[:16]
    return found
