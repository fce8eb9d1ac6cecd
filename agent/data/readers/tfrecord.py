"""TFRecord files and their tf.train.Example messages, read without TensorFlow.

A record is, in little-endian order: 8 bytes length, 4 bytes checksum of the length, the data, 4 bytes checksum of the
data. Checksums are CRC-32C, rotated right by 15 bits, plus a constant. An Example is a protocol-buffer map from names
to lists of bytes, floats or integers.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.extras import import_extra

MASK = 0xA282EAD8
HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")

# Wire types of protocol buffers; those of fixed size with their bytes.
VARINT, LENGTH, FIXED = 0, 2, {1: 8, 5: 4}


class Record(NamedTuple):
    """One record of a file."""

    data: bytes
    """empty if there is an error"""
    wrong: str = ""
    """the error"""


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files."""
    crc = import_extra("google_crc32c", "import", "reading TFRecord files").value(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def records(path: Path) -> Iterator[Record]:
    """The records of a file, each verified by its checksums.

    A record with altered data is marked as wrong and reading continues with the next one; an altered length or the
    file's early end stops it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while header := file.read(HEADER.size):
            if len(header) < HEADER.size:
                yield Record(b"", "is cut off")
                return
            length, crc = HEADER.unpack(header)
            if crc != masked_crc(header[:8]):
                yield Record(b"", "has a length with a wrong checksum: nothing after it can be read")
                return
            if file.tell() + length + FOOTER.size > size:
                yield Record(b"", "is cut off")
                return
            data = file.read(length)
            if FOOTER.unpack(file.read(FOOTER.size))[0] == masked_crc(data):
                yield Record(data)
            else:
                yield Record(b"", "has data with a wrong checksum")


class Example(NamedTuple):
    """The lists of an Example by name; integers are ignored."""

    bytes_lists: dict[str, list[bytes]]
    float_lists: dict[str, np.ndarray]
    """float32, one axis"""


def parse_example(data: bytes) -> Example:
    """Parse an Example; ValueError if the bytes are not one."""
    example = Example({}, {})
    for features in _values(memoryview(data), 1):
        for entry in _values(features, 1):
            name = b"".join(_values(entry, 1)).decode()
            for feature in _values(entry, 2):
                for strings in _values(feature, 1):
                    example.bytes_lists[name] = [bytes(value) for value in _values(strings, 1)]
                for floats in _values(feature, 2):
                    example.float_lists[name] = np.frombuffer(b"".join(_values(floats, 1)), "<f4")
    return example


def _values(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of one field of a message; packed and unpacked floats have the same bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == VARINT:
            end = _varint(message, place)[1]
        elif kind == LENGTH:
            length, place = _varint(message, place)
            end = place + length
        elif kind in FIXED:
            end = place + FIXED[kind]
        else:
            raise ValueError(f"not a message of protocol buffers: wire type {kind}")
        if end > len(message):
            raise ValueError("not a message of protocol buffers: it ends within a field")
        if key >> 3 == wanted:
            yield message[place:end]
        place = end


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number, stored as seven bits per byte, and the place after it."""
    value = 0
    for number, byte in enumerate(message[place : place + 10]):
        value |= (byte & 127) << 7 * number
        if byte < 128:
            return value, place + number + 1
    raise ValueError("not a message of protocol buffers: a number does not end")
