"""DML Mazes: reads the walks through DeepMind Lab mazes of Eslami et al. 2018 (GQN) as they were published.

Zakharov et al. 2022 evaluate on sequences of 200 of its frames. The data set `mazes` consists of TFRecord files, 1080
for training and 120 for tests, of tf.train.Example messages. In each, `frames` are 300 JPEG images of 84 x 84 pixels,
and `cameras` are 300 times five floats: x, y, z, yaw and pitch. `area_average` resizes the frames to the 64 x 64 pixels
that Saxena et al. 2021 and Zakharov et al. use; a record is cut into disjoint clips.

The data set is not part of this software; its page has the terms of use.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, UnidentifiedImageError

from agent.data.readers.reader import SIZE, Clip, Reader, Scan, Split, find_files, windows
from agent.data.readers.tfrecord import Example, masked_crc, parse_example, records
from envs.pictures import area_average
from envs.videos import Fields

PAGE = "https://github.com/deepmind/gqn-datasets"
FRAME = 84
"""height and width of the published frames"""
CAMERA = 5
"""floats per camera"""


@dataclass(frozen=True)
class DmlMazes(Reader):
    """DML Mazes (the data set mazes of Eslami et al. 2018, GQN), 64 x 64, from TFRecord files.

    Get some of its files from https://github.com/deepmind/gqn-datasets and lay them out as published:
    train/0001-of-1080.tfrecord, test/001-of-120.tfrecord. The folders train and test may lie deeper, and names may be
    in capitals. Needs google-crc32c, from the extra `import`.
    """

    name: ClassVar[str] = "dml-mazes"
    fields: ClassVar[Fields] = {
        "observation": (np.dtype(np.uint8), (SIZE, SIZE, 3)),
        "camera": (np.dtype(np.float32), (CAMERA,)),
    }

    source: Path
    """folder with the folders train and test"""
    length: int = 200
    """frames per sequence; a record has 300"""
    sequences: int | None = None
    """largest number of sequences in each split, the first ones; default: all"""

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be 1 or more, got {self.sequences}")

    @property
    def limit(self) -> int | None:
        """See `Reader.limit`."""
        return self.sequences

    def files(self) -> Iterator[tuple[Split, Path]]:
        """The files for training, then those for tests, by name; each split needs at least one."""
        splits: tuple[Split, ...] = ("train", "test")
        found = find_files(self.source, ".tfrecord")
        paths = {split: [path for path in found if path.parent.name.lower() == split] for split in splits}
        for split in splits:
            if not paths[split]:
                raise ValueError(
                    f"{self.source / split} has no .tfrecord file: get some of the data set mazes from {PAGE} and lay "
                    f"them out as {self.source}/train/0001-of-1080.tfrecord and {self.source}/test/001-of-120.tfrecord"
                )
        return iter([(split, path) for split in splits for path in paths[split]])

    def scan(self, path: Path) -> Scan:
        """Check all records of a file; skip those with errors."""
        digest, clips, skipped, short = hashlib.sha256(), list[Clip](), list[str](), 0
        for number, record in enumerate(records(path), 1):
            digest.update(f"{record.wrong}{masked_crc(record.data)} ".encode())
            try:
                if record.wrong:
                    raise ValueError(record.wrong)
                count = len(_checked(record.data).bytes_lists["frames"])
            except ValueError as error:
                skipped.append(f"{path}, record {number}, {error}")
                continue
            starts = windows(1, count, self.length)
            clips += [Clip(f"{path.relative_to(self.source).as_posix()}#{number}", first) for first in starts]
            short += not starts
        return Scan(clips, short, digest.hexdigest(), skipped)

    def read(self, clips: Sequence[Clip]) -> dict[str, Shaped[np.ndarray, "n t ..."]]:
        """Frames (N, length, 64, 64, 3) and cameras (N, length, 5) of clips."""
        shape = (len(clips), self.length)
        arrays = {name: np.empty((*shape, *own), dtype) for name, (dtype, own) in self.fields.items()}
        sources = [clip.source.rsplit("#", 1) for clip in clips]
        for name in sorted({name for name, _ in sources}):
            rows = {row: int(number) for row, (file, number) in enumerate(sources) if file == name}
            examples = {
                number: parse_example(record.data)
                for number, record in enumerate(islice(records(self.source / name), max(rows.values())), 1)
                if number in rows.values() and not record.wrong
            }
            if not examples.keys() >= set(rows.values()):
                raise ValueError(f"{self.source / name} changed while it was read: call again")
            for row, number in rows.items():
                chosen = slice(clips[row].first - 1, clips[row].first - 1 + self.length)
                arrays["observation"][row] = _frames(examples[number].bytes_lists["frames"][chosen])
                arrays["camera"][row] = examples[number].float_lists["cameras"].reshape(-1, CAMERA)[chosen]
        return arrays


def _checked(data: bytes) -> Example:
    """A record's Example with the published content, else a ValueError that continues after the record's name."""
    try:
        example = parse_example(data)
    except ValueError as error:
        raise ValueError(f"is not a tf.train.Example ({error})") from error
    frames, cameras = example.bytes_lists.get("frames"), example.float_lists.get("cameras")
    if frames is None or cameras is None:
        names = ", ".join([*example.bytes_lists, *example.float_lists])
        raise ValueError(f"must have frames (bytes) and cameras (floats), has {names or 'neither'}")
    if len(cameras) != CAMERA * len(frames):
        raise ValueError(f"has {len(frames)} frames but {len(cameras)} numbers of cameras, not {CAMERA} for each")
    for number, frame in enumerate(frames, 1):
        picture = _picture(frame, number)
        if picture.size != (FRAME, FRAME) or picture.mode != "RGB":
            size = " x ".join(map(str, picture.size))
            raise ValueError(f"has frame {number} of {size} pixels, {picture.mode}, not {FRAME} x {FRAME}, RGB")
    return example


def _frames(pictures: list[bytes]) -> UInt8[np.ndarray, "t s s 3"]:
    """Decoded and resized frames."""
    frames = np.stack([np.asarray(_picture(picture, number)) for number, picture in enumerate(pictures, 1)])
    return np.moveaxis(area_average(np.moveaxis(frames, -1, 1), SIZE), 1, -1)


def _picture(content: bytes, number: int) -> Image.Image:
    """A JPEG image; its pixels are decoded when they are used."""
    try:
        return Image.open(io.BytesIO(content), formats=["JPEG"])
    except UnidentifiedImageError:
        raise ValueError(f"has frame {number} that is not a JPEG picture") from None
