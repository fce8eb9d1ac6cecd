"""Reader of the IDX format, in which MNIST is published: a magic number, the array's shape, its bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_UINT8 = 8  # the format's code for the type


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """Read an array of bytes, gzipped or not.

    Raises:
        ValueError: if the file is truncated or is not an IDX file of bytes.
        OSError: if it cannot be read.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is damaged ({error}): download it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8:
        raise ValueError(
            f"{path} is not an IDX file of bytes: it must begin with 00 00 08, got {content[:3].hex(' ') or 'no bytes'}"
        )
    axes = content[3]
    if len(content) < 4 + 4 * axes:
        raise ValueError(f"{path} ends within its header of {4 + 4 * axes} bytes: download it again")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, offset=4))
    expected, found = int(np.prod(shape, dtype=object)), len(content) - 4 - 4 * axes
    if found != expected:
        raise ValueError(
            f"{path} must have {' x '.join(map(str, shape))} = {expected} bytes after its header, got {found}: "
            "download it again"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
