"""The packaged digits, and MNIST's own files: read, packed or not, and damaged."""

import gzip
import hashlib
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from envs.videos.digits import Digits
from envs.videos.idx import read_idx
from experiments import cli
from tests.support.mnist import idx, write_mnist


def test_packaged_digits_are_those_that_their_text_tells():
    digits, text = Digits.packaged(), files("envs.videos").joinpath("digits.md").read_text()
    for name, array in (("image", digits.image), ("label", digits.label)):
        assert re.search(rf"^    {name} +(\w{{64}})$", text, re.M)[1] == hashlib.sha256(array.tobytes()).hexdigest()  # type: ignore[index]
    counts = [int(count) for count in re.search(r"^\| digits \| (.+) \|$", text, re.M)[1].split(" | ")]  # type: ignore[index]
    assert counts == np.bincount(digits.label).tolist()
    assert len(digits.image) == len({image.tobytes() for image in digits.image}) == 10_000


def test_a_fifth_of_each_class_is_for_tests():
    digits = Digits.packaged()
    assert sorted([*digits.train, *digits.test]) == list(range(10_000))
    shares = np.bincount(digits.label[digits.test]) / np.bincount(digits.label)
    assert np.abs(shares - 0.2).max() < 0.002


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 3, 4), (300, 1)])
def test_idx_files_are_read_packed_and_not(tmp_path, shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    for name, content in (("plain", idx(array)), ("packed", gzip.compress(idx(array)))):
        (tmp_path / name).write_bytes(content)
        found = read_idx(tmp_path / name)
        assert (found.dtype, found.shape) == (np.uint8, shape)
        np.testing.assert_array_equal(found, array)


def test_digits_of_the_users_files(tmp_path):
    arrays = write_mnist(tmp_path / "plain")
    write_mnist(tmp_path / "packed", packed=True)
    for folder, name in (("pixel", "train-images-idx3-ubyte"), ("label", "t10k-labels-idx1-ubyte")):
        other = write_mnist(tmp_path / folder)[name]
        other.flat[-1] = (int(other.flat[-1]) + 1) % 10
        (tmp_path / folder / name).write_bytes(idx(other))
    (tmp_path / "plain" / "t10k-labels-idx1-ubyte").rename(tmp_path / "plain" / "t10k-labels.idx1-ubyte")
    digits, packed, pixel, label = (Digits.read(tmp_path / name) for name in ("plain", "packed", "pixel", "label"))
    assert digits.name == packed.name  # the digits decide it, all of them, not their packing or place
    assert len({digits.name, pixel.name, label.name}) == 3
    np.testing.assert_array_equal(digits.image[digits.train], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(digits.image[digits.test], arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(digits.label[digits.train], arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(digits.label[digits.test], arrays["t10k-labels-idx1-ubyte"])


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DAMAGE = {
    "cut off": (IMAGES, lambda content: content[:-1], "7 x 28 x 28 = 5488 bytes.*got 5487"),
    "too long": (IMAGES, lambda content: content + b"\0", "7 x 28 x 28 = 5488 bytes.*got 5489"),
    "cut off in its header": (LABELS, lambda content: content[:6], "header of 8 bytes"),
    "empty": (LABELS, lambda content: b"", "not an IDX file.*got no bytes"),
    "text": (IMAGES, lambda content: b"<html>", "not an IDX file.*got 3c 68 74"),
    "of other numbers": (IMAGES, lambda content: b"\0\0\x0d" + content[3:], "not an IDX file.*got 00 00 0d"),
    "packed and cut off": (IMAGES, lambda content: gzip.compress(content)[:-9], "is damaged"),
    "packed and altered": (IMAGES, lambda content: gzip.compress(content)[:-8] + bytes(8), "is damaged"),
    "labels for pictures": (IMAGES, lambda content: idx(np.zeros(7, np.uint8)), "images of 28 x 28"),
    "of other pictures": (IMAGES, lambda content: idx(np.zeros((7, 28, 27), np.uint8)), r"shape.*\(7, 28, 27\)"),
    "without a picture": (IMAGES, lambda content: idx(np.zeros((0, 28, 28), np.uint8)), r"shape.*\(0, 28, 28\)"),
    "a label short": (LABELS, lambda content: idx(np.zeros(4, np.uint8)), "5 labels from 0 to 9"),
    "a label of 10": (LABELS, lambda content: idx(np.full(5, 10, np.uint8)), "largest.*10"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_are_named_in_one_line_and_nothing_is_written(tmp_path, capsys, case):
    name, damage, message = DAMAGE[case]
    write_mnist(tmp_path / "mnist")
    path = tmp_path / "mnist" / name
    path.write_bytes(damage(path.read_bytes()))
    shown = error_message(tmp_path, capsys)
    assert str(path) in shown
    assert re.search(message, shown)


def test_a_missing_file_is_named_with_the_folder_that_is_wanted(tmp_path, capsys):
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / LABELS).unlink()
    shown = error_message(tmp_path, capsys)
    assert all(word in shown for word in (f"mnist has no {LABELS}", "--digits", "train-images-idx3-ubyte")), shown


def error_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The command's message about the digits in a folder."""
    out, digits = str(folder / "data"), str(folder / "mnist")
    assert cli.main(["videos", "moving-mnist", "--out", out, "--digits", digits]) == 2
    message = capsys.readouterr().err
    assert message.startswith("jumpy: error: ")
    assert message.count("\n") == 1
    assert not (folder / "data").exists()
    return message
