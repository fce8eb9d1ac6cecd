"""KTH Action: reads the videos of Schuldt, Laptev and Caputo 2004 as they were published.

Zakharov et al. 2022 evaluate on sequences of 300 of its frames. It has 25 persons, six actions and four scenes: 599
.avi files, 160 x 120 pixels at 25 frames per second. In `00sequences.txt` are the frames that show the person, as
ranges counted from 1 that include both ends; it marks one video, person13_handclapping_d3, as missing.

Our choices, where the papers do not specify: ranges that touch or overlap are joined, because they only separate
repetitions of a movement; each joined run is cut into disjoint clips; grey frames are the luma, stretched from the
video's 16..235 to 0..255, and are resized by `area_average`, which squeezes their width.

The data set is not part of this software. Its authors' page has the terms of use and asks to cite the paper above.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import UInt8

from agent.data.readers.reader import SIZE, SPLITS, Clip, Reader, Scan, Split, find_files, windows
from envs.extras import import_extra
from envs.pictures import area_average
from envs.videos import Fields

PAGE = "https://www.csc.kth.se/cvap/actions/"
RANGES = "00sequences.txt"
ENDING = "_uncomp.avi"
WIDTH, HEIGHT = 160, 120

Action = Literal["boxing", "handclapping", "handwaving", "jogging", "running", "walking"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Persons = Literal["svg", "schuldt"]
PERSONS: dict[Persons, dict[Split, tuple[int, ...]]] = {
    # Denton and Fergus 2018 (SVG), whose best-of-100 evaluation Zakharov et al. follow without naming their split.
    "svg": {"train": tuple(range(1, 21)), "validation": (), "test": tuple(range(21, 26))},
    # The published split, from 00sequences.txt.
    "schuldt": {
        "train": tuple(range(11, 19)),
        "validation": (1, 4, 19, 20, 21, 23, 24, 25),
        "test": (2, 3, 5, 6, 7, 8, 9, 10, 22),
    },
}

LINE = re.compile(r"(person\d\d_[a-z]+_d\d)\s+(?:frames\s+([\d\s,-]+)|\*missing\*)")
Range = tuple[int, int]


@dataclass(frozen=True)
class Kth(Reader):
    """KTH Action (Schuldt, Laptev and Caputo 2004), 64 x 64 and grey, from .avi files.

    Get 00sequences.txt and the archives of the actions from https://www.csc.kth.se/cvap/actions/ and unpack each
    archive into a folder of its name: boxing/person01_boxing_d1_uncomp.avi. Files are found in any folders and in
    capitals, too. Needs PyAV, from the extra `import`.
    """

    name: ClassVar[str] = "kth"
    fields: ClassVar[Fields] = {"observation": (np.dtype(np.uint8), (SIZE, SIZE, 1))}

    source: Path
    """folder with 00sequences.txt and the actions' folders"""
    length: int = 300
    """frames per sequence; shorter runs of frames with the person are skipped"""
    persons: Persons = "svg"
    """the split: svg: persons 1 to 20 for training, 21 to 25 for tests; schuldt: as published, with validation"""
    actions: tuple[Action, ...] = ACTIONS
    """which actions to read"""

    @cached_property
    def ranges(self) -> dict[str, list[Range]]:
        """The runs of frames that show the person, for each video."""
        path = self._path(RANGES)
        if not path.is_file():
            raise ValueError(f"{path} is missing: {self._remedy}")
        return {name: joined(ranges) for name, ranges in parse_ranges(path).items()}

    @cached_property
    def _found(self) -> dict[str, Path]:
        """The published files that are there, by their names in small letters."""
        found: dict[str, Path] = {}
        for path in [*find_files(self.source, RANGES), *find_files(self.source, ENDING)]:
            if (other := found.setdefault(path.name.lower(), path)) != path:
                raise ValueError(f"{other} and {path} are both {path.name.lower()}: leave one of them in {self.source}")
        return found

    def files(self) -> Iterator[tuple[Split, Path]]:
        """The .avi files of the chosen actions, by split, person, action and scene.

        Raises:
            ValueError: 00sequences.txt, a file that it lists or PyAV is missing, or it cannot be parsed.
        """
        _av()
        names = [name for name, runs in sorted(self.ranges.items()) if runs and name.split("_")[1] in self.actions]
        if absent := [path for path in map(self._video, names) if not path.is_file()]:
            more = f", and so are {len(absent) - 1} other files" if len(absent) > 1 else ""
            raise ValueError(f"{absent[0]} is missing{more}: {self._remedy}, or choose by --actions")
        for split in SPLITS:
            for name in names:
                if int(name[6:8]) in PERSONS[self.persons][split]:
                    yield split, self._video(name)

    def scan(self, path: Path) -> Scan:
        """Decode a file; if that fails before its end, all of it is skipped."""
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        name = path.name.lower().removesuffix(ENDING)
        try:
            count = sum(1 for _ in decoded(content))
        except ValueError as error:
            return Scan([], 0, digest, [f"{path} {error}"])
        runs = [(first, min(last, count)) for first, last in self.ranges[name]]
        clips = [Clip(name, first) for run in runs for first in windows(*run, self.length)]
        last = self.ranges[name][-1][1]
        cut = [f"{path} has {count} frames, {RANGES} lists {last}: those after {count} are skipped"]
        return Scan(clips, sum(not windows(*run, self.length) for run in runs), digest, cut if last > count else [])

    def read(self, clips: Sequence[Clip]) -> dict[str, UInt8[np.ndarray, "n t s s 1"]]:
        """Frames of clips, (N, length, 64, 64, 1)."""
        frames = np.empty((len(clips), self.length, SIZE, SIZE, 1), np.uint8)
        for name in sorted({clip.source for clip in clips}):
            path = self._video(name)
            rows = {row: clip.first - 1 for row, clip in enumerate(clips) if clip.source == name}
            end = max(rows.values()) + self.length
            grey = list(islice(decoded(path.read_bytes()), end))
            if len(grey) < end:
                raise ValueError(f"{path} changed while it was read: call again")
            small = area_average(np.stack(grey), SIZE)
            for row, first in rows.items():
                frames[row] = small[first : first + self.length, ..., None]
        return {"observation": frames}

    def _video(self, name: str) -> Path:
        return self._path(name + ENDING, name.split("_")[1])

    def _path(self, name: str, folder: str = "") -> Path:
        """A file where it is; where it was published if there is none."""
        return self._found.get(name, self.source / folder / name)

    @property
    def _remedy(self) -> str:
        """Where to get the data set, and how to lay it out."""
        return (
            f"get {RANGES} and the actions' archives from {PAGE} and unpack them as {self.source}/{RANGES}, "
            f"{self.source}/boxing/person01_boxing_d1{ENDING} and so on"
        )


def parse_ranges(path: Path) -> dict[str, list[Range]]:
    """The frame ranges of each video in 00sequences.txt; a missing video has none.

    A video's line is ``person01_boxing_d1  frames  1-95, 96-185`` or ``person13_handclapping_d3  *missing*``; other
    lines are ignored.

    Raises:
        ValueError: a video's line has another format, or a range is empty or begins before frame 1.
    """
    found: dict[str, list[Range]] = {}
    for number, line in enumerate(path.read_text("latin-1").splitlines(), 1):
        if not re.match(r"person\d\d_", line):
            continue
        match = LINE.fullmatch(line.strip())
        pairs = re.findall(r"(\d+)\s*-\s*(\d+)", (match and match[2]) or "")
        ranges = [(int(first), int(last)) for first, last in pairs]
        if match is None or (match[2] and not ranges) or any(not 1 <= first <= last for first, last in ranges):
            raise ValueError(
                f"{path}, line {number}, is not a list of frame ranges ({line.strip()!r}): get it from {PAGE}"
            )
        found[match[1]] = ranges
    if not found:
        raise ValueError(f"{path} lists no video: get it from {PAGE}")
    return found


def joined(ranges: list[Range]) -> list[Range]:
    """Sorted ranges; those that touch or overlap are merged."""
    runs: list[Range] = []
    for first, last in sorted(ranges):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], max(last, runs[-1][1])
        else:
            runs.append((first, last))
    return runs


def decoded(content: bytes) -> Iterator[UInt8[np.ndarray, "h w"]]:
    """The grey frames of an .avi file.

    Raises:
        ValueError: it is not an .avi file, is truncated or damaged, or has frames of another size; the message
            continues after the file's name.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"AVI ":
        raise ValueError("is not an .avi file")
    if (size := int.from_bytes(content[4:8], "little") + 8) > len(content):
        raise ValueError(f"is truncated: it has {len(content)} of {size} bytes")
    number, converter = 0, _av().video.reformatter.VideoReformatter()
    try:
        with _av().open(io.BytesIO(content)) as container:
            for number, frame in enumerate(container.decode(video=0), 1):
                if (frame.width, frame.height) != (WIDTH, HEIGHT):
                    raise ValueError(f"has frames of {frame.width} x {frame.height} pixels, not {WIDTH} x {HEIGHT}")
                if frame.is_corrupt:
                    raise ValueError(f"is damaged: frame {number} cannot be decoded whole")
                # a frame's own `to_ndarray` starts threads, which takes many times as long as the conversion
                yield converter.reformat(frame, format="gray", threads=1).to_ndarray()
    except (_av().FFmpegError, IndexError) as error:
        raise ValueError(f"is damaged: nothing can be decoded after frame {number} ({type(error).__name__})") from error


def _av() -> Any:
    """PyAV, needed only by this data set."""
    return import_extra("av", "import", "reading .avi files")
