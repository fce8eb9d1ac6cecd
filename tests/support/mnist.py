"""MNIST's four files, small and of noise."""

import gzip
from pathlib import Path

import numpy as np


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_mnist(folder: Path, packed: bool = False) -> dict[str, np.ndarray]:
    """The four files, with 7 digits of noise for training and 5 for tests."""
    rng, arrays = np.random.default_rng(0), {}
    for side, number in (("train", 7), ("t10k", 5)):
        arrays[f"{side}-images-idx3-ubyte"] = rng.integers(256, size=(number, 28, 28), dtype=np.uint8)
        arrays[f"{side}-labels-idx1-ubyte"] = rng.integers(10, size=number, dtype=np.uint8)
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return arrays
