"""A film of predicted videos: the truth above, models below, as MP4 and GIF.

Each column is a test video, each row a model. The border of a frame says what it is: grey where the model is shown the
true frame, black where it predicts, red where something begins: a change in the truth, and in a model a change of level
2 (DLH) or the start of a subsequence. What begins stays red for `FLASH` frames, else nobody would see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw, ImageFont

from agent.data.replay import Replay
from agent.system.atomic_files import write_file
from agent.training.image_grid import START_COLOUR
from experiments.common.array_files import read_arrays
from experiments.common.films import Picture, encode, encoder
from experiments.common.json_files import read_json
from experiments.common.result_folder import CONFIG
from experiments.video.metric_files import FILMS, FRAMES, read_prediction
from world_models.registry import MODELS

ENLARGE = 2
"""pixels of the film for each pixel of a frame"""
BORDER, CAPTION, FLASH = 3, 18, 3
"""pixels of a border, pixels of a caption's line, frames"""
SHOWN, PREDICTED, PAPER = (150, 150, 150), (0, 0, 0), (255, 255, 255)
REMEDY = "run its 'jumpy predict' again, with as many videos as --video"


@dataclass(frozen=True)
class Row:
    """One model's videos, or the true ones."""

    caption: str
    frames: UInt8[np.ndarray, "v t y x 3"]
    start: Bool[np.ndarray, "v t"]
    shown: int
    """how many of the frames are true ones that the model was shown"""


def write_film(folders: Sequence[Path], replay: Replay, episodes: range) -> None:
    """Write the films of test videos into the first of some folders of `jumpy predict`; the others' models are below.

    Raises:
        ValueError: a folder holds no finished prediction of these videos.
    """
    fields = replay.slices(np.array(episodes), np.zeros(len(episodes), np.int64), replay.episode_length)
    true, change = fields["observation"], fields.get("change")
    start = np.zeros(true.shape[:2], bool) if change is None else change > 0
    rows = [Row("truth", true, start, true.shape[1])]
    for folder in folders:
        facts = read_prediction(folder)
        model, shown, samples = facts["rows"][0]["model"], facts["context"], facts["samples"]
        name = MODELS[model].display_name if model in MODELS else model
        how = f", the best of {samples} by SSIM" if samples > 1 else ""
        found = [read_arrays(path, REMEDY) for path in _files(folder, episodes)]
        frames, start = true.copy(), np.zeros(true.shape[:2], bool)
        frames[:, shown:] = np.stack([each["frames"] for each in found])  # grey ones have one channel
        if "start" in found[0]:
            start[:, shown:] = np.stack([each["start"] for each in found])
        rows.append(Row(f"{name} after {shown} frames{how}", frames, start, shown))
    drawn = list(pictures(rows))
    for kind, name in FILMS.items():
        write_file(folders[0] / name, encode(drawn, kind))


def check_film(beside: Sequence[Path], replay: Replay, episodes: range) -> None:
    """Check that a film can be made with the predictions in other folders.

    Raises:
        ValueError: PyAV is missing, or a folder holds no finished prediction of these videos.
    """
    encoder()
    for folder in beside:
        read_prediction(folder)
        settings = read_json(folder / CONFIG, REMEDY, settings=dict)["settings"]
        if settings.get("--data of SHA-256") != replay.manifest.digest:
            raise ValueError(f"{folder} holds predictions of other data than {replay.folder}: leave it out of --beside")
        if lacking := [path for path in _files(folder, episodes) if not path.is_file()]:
            raise ValueError(f"{lacking[0]} is missing: {REMEDY}")


def _files(folder: Path, episodes: range) -> list[Path]:
    return [folder / FRAMES / f"{number:05d}.npz" for number in episodes]


def pictures(rows: list[Row]) -> Iterator[Picture]:
    """Draw the film, picture by picture; all rows have equally many videos and frames."""
    videos, frames, high, wide = rows[0].frames.shape[:4]
    high, wide = (ENLARGE * pixels + 2 * BORDER for pixels in (high, wide))
    font = ImageFont.load_default(CAPTION - 6)
    longest = max(int(font.getlength(row.caption)) for row in rows)
    size = (max(videos * wide, longest + 2 * BORDER), len(rows) * (high + CAPTION) + CAPTION)
    for t in range(frames):
        page = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)  # H.264 needs even numbers
        draw = ImageDraw.Draw(page)
        for number, row in enumerate(rows):
            top = number * (high + CAPTION)
            draw.text((BORDER, top + 1), row.caption, PREDICTED, font)
            for video in range(videos):
                begins = row.start[video, max(0, t - FLASH + 1) : t + 1].any()
                colour = START_COLOUR if begins else SHOWN if t < row.shown else PREDICTED
                place = (video * wide, top + CAPTION)
                draw.rectangle((*place, place[0] + wide - 1, place[1] + high - 1), colour)
                frame = Image.fromarray(row.frames[video, t])
                frame = frame.resize((wide - 2 * BORDER, high - 2 * BORDER), Image.Resampling.NEAREST)
                page.paste(frame, (place[0] + BORDER, place[1] + BORDER))
        draw.text((BORDER, size[1] - CAPTION + 1), f"frame {t + 1} of {frames}", PREDICTED, font)
        yield np.asarray(page)
