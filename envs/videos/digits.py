"""Handwritten digits of MNIST: 10 000 in this package (see `digits.md`), or all 70 000 from the user's files."""

from __future__ import annotations

import hashlib
import io
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
SHA256 = "ee1ed6b0c6a43a643efdb282ab745a5f03ef0a95c4e9237b56fb92d8c835e6d9"
"""of digits.npz"""
TEST_SHARE = 0.2
"""fraction of the packaged digits for test videos: the last ones of each class"""
SIDES = ("train", "t10k")
KINDS = {"images": "idx3", "labels": "idx1"}


@dataclass(frozen=True, eq=False)
class Digits:
    """Separate digits for training and for test videos."""

    name: str
    """`PACKAGED`, or idx- and the beginning of the SHA-256 of all digits and labels"""
    image: UInt8[np.ndarray, "n 28 28"]
    """white on black"""
    label: UInt8[np.ndarray, " n"]
    """their classes, 0 to 9"""
    train: Int64[np.ndarray, " a"]
    """indices of the training digits"""
    test: Int64[np.ndarray, " b"]
    """indices of the test digits"""

    @staticmethod
    @lru_cache(maxsize=1)
    def packaged() -> Digits:
        """The digits of this package; ValueError if their file is missing or altered."""
        path = files("envs.videos").joinpath("digits.npz")
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ValueError(f"{path} is missing or was altered: install this package again")
        with np.load(io.BytesIO(content)) as arrays:
            image, label = arrays["image"], arrays["label"]
        place = np.arange(len(label)) - np.searchsorted(label, label)  # within the class; digits are sorted by class
        test = place >= ((1 - TEST_SHARE) * np.bincount(label)).astype(np.int64)[label]
        return Digits(PACKAGED, image, label, np.flatnonzero(~test), np.flatnonzero(test))

    @staticmethod
    def read(folder: Path) -> Digits:
        """The digits of MNIST's four files, gzipped or not; those of the t10k files are for testing.

        Raises:
            ValueError: if a file is missing or damaged, or does not contain digits with one label per image.
            OSError: if a file cannot be read.
        """
        sides = [_read_side(folder, side) for side in SIDES]
        image, label = (np.concatenate(arrays) for arrays in zip(*sides, strict=True))
        digest = hashlib.sha256(b"".join(array.tobytes() for side in sides for array in side)).hexdigest()
        first = len(sides[0][0])
        return Digits(f"idx-{digest[:12]}", image, label, np.arange(first), np.arange(first, len(image)))


def _read_side(folder: Path, side: str) -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"]]:
    """The images and labels of the training files or of the test files."""
    image_path, label_path = (_find(folder, f"{side}-{kind}", rank) for kind, rank in KINDS.items())
    image, label = read_idx(image_path), read_idx(label_path)
    if image.shape[1:] != (DIGIT, DIGIT) or not len(image):
        raise ValueError(f"{image_path} must contain images of 28 x 28 pixels, its shape is {image.shape}")
    if label.shape != image.shape[:1] or label.max() > 9:
        raise ValueError(
            f"{label_path} must contain {len(image)} labels from 0 to 9, one for each image of {image_path.name}, "
            f"its shape is {label.shape}, its largest value {label.max(initial=0)}"
        )
    return image, label


def _find(folder: Path, stem: str, rank: str) -> Path:
    """The file with one of the usual spellings of this name."""
    for spelling in (f"{stem}-{rank}-ubyte", f"{stem}.{rank}-ubyte"):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    wanted = ", ".join(f"{side}-{kind}-{rank}-ubyte" for side in SIDES for kind, rank in KINDS.items())
    raise ValueError(
        f"{folder} has no {stem}-{rank}-ubyte: --digits must be a folder with MNIST's four files, {wanted} (each may "
        "end in .gz); omit it for the packaged digits"
    )
