"""Handwritten digits of MNIST: 10 000 come with this package (`digits.md`), all 70 000 from the user's files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from envs.videos.idx import read_idx

DIGIT = 28
"""height and width of a digit in pixels"""
PACKAGED = "packaged"
TEST_SHARE = 0.2
"""of the packaged digits, the last of each class: for test videos"""
SIDES = ("train", "t10k")
KINDS = {"images": "idx3", "labels": "idx1"}


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits for training videos and others for test videos."""

    name: str
    """`PACKAGED`, or idx- and the beginning of a SHA-256 of all of them"""
    image: UInt8[np.ndarray, "n 28 28"]
    """white on black"""
    label: UInt8[np.ndarray, " n"]
    """their classes, 0 to 9"""
    train: Int64[np.ndarray, " a"]
    """numbers of those for training"""
    test: Int64[np.ndarray, " b"]
    """numbers of those for tests"""

    @staticmethod
    def packaged() -> Digits:
        """The digits of this package; the last fifth of each class is for tests."""
        return _packaged()

    @staticmethod
    def read(folder: Path) -> Digits:
        """The digits of MNIST's four files, whose names may end in .gz: those of the t10k files are for tests.

        Raises:
            ValueError: if one is missing or damaged, or does not hold digits with one label for each picture.
            OSError: if one cannot be read.
        """
        sides = [_read_side(folder, side) for side in SIDES]
        image, label = (np.concatenate(arrays) for arrays in zip(*sides, strict=True))
        digest = hashlib.sha256()
        for side in sides:
            for array in side:
                digest.update(array.tobytes())
        first = len(sides[0][0])
        return Digits(f"idx-{digest.hexdigest()[:12]}", image, label, np.arange(first), np.arange(first, len(image)))


@lru_cache(maxsize=1)
def _packaged() -> Digits:
    """The cache of `Digits.packaged`."""
    with files("envs.videos").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        image, label = arrays["image"], arrays["label"]
    place = np.arange(len(label)) - np.searchsorted(label, label)  # within the class: they are sorted by class
    test = place >= ((1 - TEST_SHARE) * np.bincount(label)).astype(np.int64)[label]
    return Digits(PACKAGED, image, label, np.flatnonzero(~test), np.flatnonzero(test))


def _read_side(folder: Path, side: str) -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"]]:
    """The pictures and labels of the training files or of the test files."""
    image_path, label_path = (_find(folder, f"{side}-{kind}", rank) for kind, rank in KINDS.items())
    image, label = read_idx(image_path), read_idx(label_path)
    if image.shape[1:] != (DIGIT, DIGIT) or not len(image):
        raise ValueError(f"{image_path} must hold pictures of 28 x 28 pixels, its shape is {image.shape}")
    if label.shape != image.shape[:1] or label.max() > 9:
        raise ValueError(
            f"{label_path} must hold {len(image)} labels from 0 to 9, one for each picture of {image_path.name}, "
            f"its shape is {label.shape}, its largest value {label.max(initial=0)}"
        )
    return image, label


def _find(folder: Path, stem: str, rank: str) -> Path:
    """The file of this name in one of its usual spellings."""
    for spelling in (f"{stem}-{rank}-ubyte", f"{stem}.{rank}-ubyte"):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    wanted = ", ".join(f"{side}-{kind}-{rank}-ubyte" for side in SIDES for kind, rank in KINDS.items())
    raise ValueError(
        f"{folder} has no {stem}-{rank}-ubyte: give --digits a folder with MNIST's four files, {wanted} (each may "
        "end in .gz), or leave it out for the packaged digits"
    )
