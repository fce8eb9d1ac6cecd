"""Films: pictures of one size as MP4 and GIF, by PyAV, which the extra `video` installs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import UInt8

from envs.extras import import_extra

Picture = UInt8[np.ndarray, "h w 3"]
KINDS = ("mp4", "gif")
RATE = 12
"""pictures a second"""


def encoder() -> Any:
    """PyAV.

    Raises:
        MissingDependency: it is not installed.
    """
    return import_extra("av", "video", "a film")


def encode(found: Iterable[Picture], kind: str) -> bytes:
    """Encode pictures of one size, of even height and width, as `mp4` (H.264) or `gif` (256 colours for all of it).

    Raises:
        MissingDependency: PyAV, from the extra `video`, is not installed.
    """
    av = encoder()
    content = io.BytesIO()
    codec, pixels, options = {"mp4": ("libx264", "yuv420p", {"crf": "18"}), "gif": ("gif", "pal8", {})}[kind]
    with av.open(content, "w", format=kind) as container:
        stream: Any = None
        frames: Iterable[Any] = (av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in found)
        for number, frame in enumerate(_paletted(av, frames) if kind == "gif" else frames):
            if stream is None:
                stream = container.add_stream(codec, rate=RATE, options=options)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()


def _paletted(av: Any, frames: Iterable[Any]) -> Iterator[Any]:
    """Frames with the palette that suits them all best, by FFmpeg's filters."""
    graph, source = av.filter.Graph(), None
    for number, frame in enumerate(frames):
        if source is None:
            size = {"width": frame.width, "height": frame.height, "format": frame.format}
            source = graph.add_buffer(**size, time_base=Fraction(1, RATE))
            split, palette, use, sink = (
                graph.add(name) for name in ("split", "palettegen", "paletteuse", "buffersink")
            )
            source.link_to(split)
            split.link_to(palette, 0)
            split.link_to(use, 1, 0)
            palette.link_to(use, 0, 1)
            use.link_to(sink)
            graph.configure()
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        source.push(frame)
    assert source is not None
    source.push(None)
    while True:
        try:
            yield sink.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
