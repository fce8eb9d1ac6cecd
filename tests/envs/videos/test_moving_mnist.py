"""Moving MNIST: how digits move and are rendered, and that test videos show other digits than training videos."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from envs.videos import MovingMNIST
from envs.videos.digits import Digits
from tests.support.mnist import write_mnist

MOVING = MovingMNIST()


def draw(sequences: int, length: int, seed: int = 0, **options: Any) -> dict[str, np.ndarray]:
    return MOVING.generate(np.random.default_rng(seed), sequences, length, **options)


# ------------------------------------------------------------------------ frames


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


# ------------------------------------------------------------------------ the data set on disk


def test_test_sequences_show_digits_that_training_never_shows(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, MOVING, sequences=130, length=4, seed=1))
    assert (replay.split("train"), replay.split("test")) == (range(104), range(104, 130))
    shown = replay.slices(np.arange(130), np.zeros(130, dtype=np.int64), 4)["digit"]
    assert np.isin(shown[:104], Digits.packaged().train).all()
    assert np.isin(shown[104:], Digits.packaged().test).all()


def test_a_data_set_that_was_cut_off_never_tests_on_training_videos(tmp_path):
    make_videos(VideosConfig(tmp_path, MOVING, sequences=300, length=2))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["sha256"]  # of the whole file
    for complete, train, test in ((1, 100, 0), (2, 200, 0), (3, 240, 60)):
        kept = manifest | {"checksums": manifest["checksums"][:complete]}
        (tmp_path / "manifest.json").write_text(json.dumps(kept))
        replay = Replay.open(tmp_path)
        assert (len(replay.split("train")), len(replay.split("test"))) == (train, test)


def test_grey_frames_are_stored_once_and_handed_out_in_three_channels(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, MOVING, sequences=3, length=6))
    stored = np.load(tmp_path / "shard-00000" / "observation.npy")
    assert stored.shape == (3, 6, 64, 64, 1)
    frames = replay.slices(np.array([2, 0]), np.array([1, 3]), 3)["observation"]
    assert (frames.shape, frames.dtype) == ((2, 3, 64, 64, 3), np.uint8)
    for channel in range(3):
        np.testing.assert_array_equal(frames[..., channel], [stored[2, 1:4, ..., 0], stored[0, 3:6, ..., 0]])


def test_videos_of_the_users_digits(tmp_path):
    arrays = write_mnist(tmp_path / "mnist")
    config = VideosConfig(tmp_path / "data", MovingMNIST(digits=str(tmp_path / "mnist")), sequences=10, length=3)
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
    with pytest.raises(ValueError, match=r"--digits.*idx-\w{12}.*packaged"):
        make_videos(replace(config, video=MOVING))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"moving": 0}, "--moving.*got 0"),
        ({"slow": 5.0}, "--slow.*--fast, 4.2, got 5.0"),
        ({"size": 32}, "--size.*at least 33.*got 32"),
    ],
)
def test_bad_settings_are_errors(options: dict[str, Any], message):
    with pytest.raises(ValueError, match=message):
        MovingMNIST(**options)
