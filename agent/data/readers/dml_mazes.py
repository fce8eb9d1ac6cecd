"""DML Mazes: reads the walks through DeepMind Lab mazes of Eslami et al. 2018 (GQN) as they were published.

Zakharov et al. 2022 measure on sequences of 200 frames of it. The data set `mazes` is 1080 files for training and 120
for tests, TFRecords of tf.train.Example messages. In each, `frames` are 300 JPEG pictures of 84 x 84 pixels, and
`cameras` are 300 times five floats: x, y, z, yaw and pitch. Frames are resized by `area_average` to the 64 x 64 pixels
that Saxena et al. 2021 and Zakharov et al. use; a record is cut into clips without a frame in common.

The data set is not part of this software; its page says how it may be used.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, UnidentifiedImageError

from agent.data.readers.reader import SIZE, Clip, Reader, Scan, Split, area_average, windows
from agent.data.readers.tfrecord import Example, masked_crc, parse_example, records
from envs.videos import Fields

PAGE = "https://github.com/deepmind/gqn-datasets"
FRAME = 84
"""height and width of the published frames"""
CAMERA = 5
"""floats of a camera"""


@dataclass(frozen=True)
class DmlMazes(Reader):
    """DML Mazes (the data set mazes of Eslami et al. 2018, GQN), 64 x 64, from TFRecord files.

    Get some of its files from https://github.com/deepmind/gqn-datasets and lay them out as published:
    train/0001-of-1080.tfrecord, test/001-of-120.tfrecord. Needs google-crc32c, from the extra `import`.
    """

    name: ClassVar[str] = "dml-mazes"
    fields: ClassVar[Fields] = {
        "observation": (np.dtype(np.uint8), (SIZE, SIZE, 3)),
        "camera": (np.dtype(np.float32), (CAMERA,)),
    }

    source: Path
    """folder with the folders train and test"""
    length: int = 200
    """frames of a sequence; a record has 300"""
    sequences: int | None = None
    """largest number of sequences in each split, the first ones; all by default"""

    def __post_init__(self) -> None:
        """Validate the numbers."""
        super().__post_init__()
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be 1 or more, got {self.sequences}")

    @property
    def limit(self) -> int | None:
        """The chosen number."""
        return self.sequences

    def files(self) -> Iterator[tuple[Split, Path]]:
        """The files for training, then those for tests, by name; there need not be all.

        Raises:
            ValueError: if there are none of either.
        """
        splits: tuple[Split, ...] = ("train", "test")
        for split in splits:
            if not any((self.source / split).glob("*.tfrecord")):
                raise ValueError(
                    f"{self.source / split} has no .tfrecord file: get some of the data set mazes from {PAGE} and lay "
                    f"them out as {self.source}/train/0001-of-1080.tfrecord and {self.source}/test/001-of-120.tfrecord"
                )
        for split in splits:
            yield from ((split, path) for path in sorted((self.source / split).glob("*.tfrecord")))

    def scan(self, path: Path) -> Scan:
        """Check all records of a file; one that is wrong is left out."""
        digest, scan = hashlib.sha256(), Scan([], 0, "", [])
        short = 0
        for record in records(path):
            source = f"{path.parent.name}/{path.name}#{record.number}"
            digest.update(f"{record.wrong}{masked_crc(record.data)} ".encode())
            wrong, count = record.wrong, 0
            if not wrong:
                try:
                    count = len(_checked(record.data).bytes_lists["frames"])
                except ValueError as error:
                    wrong = str(error)
            if wrong:
                scan.skipped.append(f"{path}, record {record.number}, {wrong}")
                continue
            starts = windows(1, count, self.length)
            scan.clips.extend(Clip(source, first) for first in starts)
            short += not starts
        return scan._replace(short=short, digest=digest.hexdigest())

    def read(self, clips: Sequence[Clip]) -> dict[str, Shaped[np.ndarray, "n t ..."]]:
        """Frames (N, length, 64, 64, 3) and cameras (N, length, 5) of clips."""
        shape = (len(clips), self.length)
        arrays = {name: np.empty((*shape, *own), dtype) for name, (dtype, own) in self.fields.items()}
        for name in sorted({clip.source.split("#")[0] for clip in clips}):
            rows: dict[str, list[int]] = {}
            for row, clip in enumerate(clips):
                if clip.source.startswith(f"{name}#"):
                    rows.setdefault(clip.source, []).append(row)
            for record in records(self.source / name):
                for row in rows.pop(f"{name}#{record.number}", []) if not record.wrong else []:
                    chosen = slice(clips[row].first - 1, clips[row].first - 1 + self.length)
                    example = parse_example(record.data)
                    arrays["observation"][row] = _frames(example.bytes_lists["frames"][chosen])
                    arrays["camera"][row] = example.float_lists["cameras"].reshape(-1, CAMERA)[chosen]
                if not rows:
                    break
            if rows:
                raise ValueError(f"{self.source / name} was changed while it was read: call again")
        return arrays


def _checked(data: bytes) -> Example:
    """The Example of a record, with what was published in it.

    Raises:
        ValueError: if something else is in it; the message continues after the record's name.
    """
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
    """A JPEG picture; its pixels are decoded only when they are used."""
    try:
        return Image.open(io.BytesIO(content), formats=["JPEG"])
    except UnidentifiedImageError:
        raise ValueError(f"has frame {number} that is not a JPEG picture") from None
