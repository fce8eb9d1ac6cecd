"""KTH Action's files, written as they were published, with frames that name themselves."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from agent.data.manifest import RecordedManifest
from agent.data.replay import Replay

# The real file's layout: text, the split, then a line for each video, with tabs and spaces.
RANGES = """\
This file names the frames of each sequence.
Training:\tperson 11, 12, 13, 14, 15, 16, 17, 18
Validation:\tperson 19, 20, 21, 23, 24, 25, 01, 04
Test:\t\tperson 22, 02, 03, 05, 06, 07, 08, 09, 10

person01_boxing_d1\t\tframes\t1-15, 16-40
person01_walking_d1\t\tframes\t5-16, 25-36
person02_boxing_d1\t\tframes\t1-40
person13_handclapping_d3\t*missing*
person21_boxing_d1\t\tframes\t1-10, 11-40
person22_boxing_d1\t\tframes\t21-40, 5-24
"""
FRAMES = 40


def shade(number: int) -> int:
    """Grey of a file's frame, counted from 1; it names the first 47."""
    return min(20 + 5 * number, 255)


def write_avi(path: Path, frames: int = FRAMES, size: tuple[int, int] = (160, 120)) -> None:
    """A DivX file like the published ones; each frame is of one grey, which names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25, options={"qmin": "2", "qmax": "2"})
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.codec_tag = "yuv420p", "DIVX"
        converter = VideoReformatter()
        for number in range(1, frames + 1):
            grey = np.full(size[::-1], shade(number), np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="gray")
            container.mux(stream.encode(converter.reformat(picture, format="yuv420p", threads=1)))
        container.mux(stream.encode())


def file(folder: Path, name: str) -> Path:
    return folder / name.split("_")[1] / f"{name}_uncomp.avi"


def write_source(folder: Path) -> Path:
    """All files that `RANGES` names, and itself."""
    for line in RANGES.splitlines():
        if "frames\t" in line:
            write_avi(file(folder, line.split()[0]))
    (folder / "00sequences.txt").write_text(RANGES)
    return folder


def whole(replay: Replay, split: Any) -> dict[str, list[int]]:
    """The numbers that frames' greys name, of each clip of a split, by its file and first frame."""
    assert isinstance(replay.manifest, RecordedManifest)
    episodes = np.array(replay.split(split), np.int64)
    names = [f"{clip.source} {clip.first}" for clip in replay.manifest.clips[split]]
    if not names:
        return {}
    frames = replay.slices(episodes, np.zeros_like(episodes), replay.episode_length)["observation"].astype(float)
    assert frames.max((2, 3, 4)) - frames.min((2, 3, 4)) == pytest.approx(0, abs=3)  # one grey
    numbers = np.rint((frames.mean((2, 3, 4)) - 20) / 5).astype(int)
    return dict(zip(names, numbers.tolist(), strict=True))
