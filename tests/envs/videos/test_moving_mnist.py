"""Moving MNIST: the digits, where they are read from, how they move, and that tests show other digits than training."""

import gzip
import hashlib
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from envs.videos import DATASETS, MovingMNIST
from envs.videos.digits import Digits
from envs.videos.idx import read_idx
from experiments import cli


def moving_mnist() -> MovingMNIST:
    video = DATASETS["moving-mnist"]
    assert isinstance(video, MovingMNIST)
    return video


MOVING = moving_mnist()


def draw(sequences: int, length: int, seed: int = 0, **options: Any) -> dict[str, np.ndarray]:
    return MOVING.generate(np.random.default_rng(seed), sequences, length, **options)


# ------------------------------------------------------------------------ the packaged digits


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


# ------------------------------------------------------------------------ what is drawn


def test_frames_show_the_digits_at_their_places_the_brighter_one_where_they_overlap():
    arrays, image = draw(4, 80), Digits.packaged().image
    overlap = 0
    for n, t in np.ndindex(4, 80):
        frame = np.zeros((64, 64), np.uint8)
        for (x, y), digit in zip(
            np.rint(arrays["position"][n, t] - 14).astype(int), arrays["digit"][n, t], strict=True
        ):
            under = frame[y : y + 28, x : x + 28]
            overlap += int(((under > 0) & (image[digit] > 0)).sum())
            under[:] = np.maximum(under, image[digit])
        np.testing.assert_array_equal(arrays["observation"][n, t, ..., 0], frame)
    assert overlap > 1000
    np.testing.assert_array_equal(arrays["label"], Digits.packaged().label[arrays["digit"]])


def test_bounces_agree_with_the_positions():
    """A digit goes straight and at its own speed, but where an edge reflected it on the way."""
    arrays = draw(50, 100)
    position, bounce = arrays["position"].astype(float), arrays["bounce"]
    assert ((position >= 14 - 1e-4) & (position <= 50 + 1e-4)).all()
    velocity = np.diff(position, axis=1)
    goes_on = position[:, 1:-1] + velocity[:, :-1]  # where frame t + 1 would show it without an edge
    beyond = np.any((goes_on < 14) | (goes_on > 50), axis=-1)
    free = bounce[:, 1:-1] == 0  # the step that led to frame t
    np.testing.assert_array_equal(beyond[free], bounce[:, 2:][free] == 1)
    reflected = np.where(goes_on < 14, 28 - goes_on, np.where(goes_on > 50, 100 - goes_on, goes_on))
    np.testing.assert_allclose(position[:, 2:][free], reflected[free], atol=1e-4)
    np.testing.assert_array_equal(arrays["change"] > 0, bounce.any(-1))
    assert (bounce[:, 0] == 0).all()
    assert 0.11 < bounce[:, 1:].mean() < 0.14


def test_speeds_lie_in_the_range_and_directions_everywhere():
    arrays = draw(300, 2, seed=3)
    step = np.diff(arrays["position"].astype(float), axis=1)[arrays["bounce"][:, 1:] == 0]
    speed = np.linalg.norm(step, axis=-1)
    assert (speed.min() > 3 - 1e-4, speed.max() < 4.2 + 1e-4, speed.std() > 0.25) == (True, True, True)
    quarters = np.bincount(2 * (step[:, 0] > 0) + (step[:, 1] > 0), minlength=4) / len(step)
    assert np.abs(quarters - 0.25).max() < 0.06


def test_videos_for_tests_differ_in_their_digits_alone():
    training, mixed = draw(6, 30), draw(6, 30, train=4)
    for name in ("position", "bounce", "change"):
        np.testing.assert_array_equal(training[name], mixed[name])
    np.testing.assert_array_equal(training["observation"][:4], mixed["observation"][:4])
    assert (training["digit"][4:] != mixed["digit"][4:]).all()


def test_other_digits_than_the_settings_name_are_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(ValueError, match=r"show the digits 'packaged', got 'idx-\w{12}'"):
        draw(1, 2, digits=Digits.read(tmp_path))


# ------------------------------------------------------------------------ the data set on disk


def test_test_sequences_show_digits_that_training_never_shows(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, "moving-mnist", sequences=130, length=4, seed=1))
    assert (replay.split("train"), replay.split("test")) == (range(104), range(104, 130))
    shown = replay.slices(np.arange(130), np.zeros(130, dtype=np.int64), 4)["digit"]
    assert np.isin(shown[:104], Digits.packaged().train).all()
    assert np.isin(shown[104:], Digits.packaged().test).all()


def test_a_data_set_that_was_cut_off_never_tests_on_training_videos(tmp_path):
    make_videos(VideosConfig(tmp_path, "moving-mnist", sequences=300, length=2))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for complete, train, test in ((1, 100, 0), (2, 200, 0), (3, 240, 60)):
        kept = manifest | {"checksums": manifest["checksums"][:complete]}
        (tmp_path / "manifest.json").write_text(json.dumps(kept))
        replay = Replay.open(tmp_path)
        assert (len(replay.split("train")), len(replay.split("test"))) == (train, test)


def test_grey_frames_are_stored_once_and_handed_out_in_three_channels(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, "moving-mnist", sequences=3, length=6))
    stored = np.load(tmp_path / "shard-00000" / "observation.npy")
    assert stored.shape == (3, 6, 64, 64, 1)
    frames = replay.slices(np.array([2, 0]), np.array([1, 3]), 3)["observation"]
    assert (frames.shape, frames.dtype) == ((2, 3, 64, 64, 3), np.uint8)
    for channel in range(3):
        np.testing.assert_array_equal(frames[..., channel], [stored[2, 1:4, ..., 0], stored[0, 3:6, ..., 0]])


# ------------------------------------------------------------------------ MNIST's own files


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


def test_videos_of_the_users_digits(tmp_path):
    arrays = write_mnist(tmp_path / "mnist")
    config = VideosConfig(tmp_path / "data", "moving-mnist", sequences=10, length=3, digits=tmp_path / "mnist")
    replay = make_videos(config)
    fields = replay.slices(np.arange(10), np.zeros(10, dtype=np.int64), 3)
    whole = np.concatenate([arrays["train-images-idx3-ubyte"], arrays["t10k-images-idx3-ubyte"]])
    assert set(fields["digit"][:8].ravel()) <= set(range(7))
    assert set(fields["digit"][8:].ravel()) <= set(range(7, 12))
    for n in range(10):
        corner, digit = np.rint(fields["position"][n, 0] - 14).astype(int), fields["digit"][n, 0]
        frame = np.zeros((64, 64), np.uint8)
        for (x, y), number in zip(corner, digit, strict=True):
            frame[y : y + 28, x : x + 28] = np.maximum(frame[y : y + 28, x : x + 28], whole[number])
        np.testing.assert_array_equal(fields["observation"][n, 0, ..., 1], frame)
    with pytest.raises(ValueError, match=r"was collected with --digits idx-\w{12}, asked for is packaged: choose"):
        make_videos(replace(config, digits=None))


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DAMAGE = {
    "cut off": (IMAGES, lambda content: content[:-1], r"must hold 7 x 28 x 28 = 5488 bytes .* it holds 5487"),
    "too long": (IMAGES, lambda content: content + b"\0", r"must hold 7 x 28 x 28 = 5488 bytes .* it holds 5489"),
    "cut off in its header": (LABELS, lambda content: content[:6], "is cut off within its header of 8 bytes"),
    "empty": (LABELS, lambda content: b"", "is no IDX file of bytes: .* it begins with nothing"),
    "text": (IMAGES, lambda content: b"<html>", "is no IDX file of bytes: .* it begins with 3c 68 74"),
    "of other numbers": (IMAGES, lambda content: b"\0\0\x0d" + content[3:], "begins with 00 00 0d"),
    "packed and cut off": (IMAGES, lambda content: gzip.compress(content)[:-9], "is damaged"),
    "packed and altered": (IMAGES, lambda content: gzip.compress(content)[:-8] + bytes(8), "is damaged"),
    "labels for pictures": (IMAGES, lambda content: idx(np.zeros(7, np.uint8)), r"must hold pictures of 28 x 28"),
    "of other pictures": (IMAGES, lambda content: idx(np.zeros((7, 28, 27), np.uint8)), r"its shape is \(7, 28, 27\)"),
    "without a picture": (IMAGES, lambda content: idx(np.zeros((0, 28, 28), np.uint8)), r"its shape is \(0, 28, 28\)"),
    "a label short": (LABELS, lambda content: idx(np.zeros(4, np.uint8)), "must hold 5 labels from 0 to 9"),
    "a label of 10": (LABELS, lambda content: idx(np.full(5, 10, np.uint8)), "its largest value 10"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_are_named_in_one_line_and_nothing_is_written(tmp_path, capsys, case):
    name, damage, message = DAMAGE[case]
    write_mnist(tmp_path / "mnist")
    path = tmp_path / "mnist" / name
    path.write_bytes(damage(path.read_bytes()))
    told = refused(tmp_path, capsys)
    assert str(path) in told
    assert re.search(message, told)


def test_a_missing_file_is_named_with_the_folder_that_is_wanted(tmp_path, capsys):
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / LABELS).unlink()
    told = refused(tmp_path, capsys)
    assert f"mnist has no {LABELS}: give --digits a folder with MNIST's four files, train-images-idx3-ubyte, " in told


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says about the digits in a folder."""
    out, digits = str(folder / "data"), str(folder / "mnist")
    assert cli.main(["videos", "--dataset", "moving-mnist", "--out", out, "--digits", digits]) == 2
    told = capsys.readouterr().err
    assert told.startswith("jumpy: error: ")
    assert told.count("\n") == 1
    assert not (folder / "data").exists()
    return told
