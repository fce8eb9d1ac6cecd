"""Camera jitter: a function of (seed, episode, t) alone."""

import math

import numpy as np
import pytest

from envs.camera import Camera, camera_jitter


def mix(word):
    """SplitMix64's next output for a state, in Python's whole numbers (Steele et al. 2014, figure 13)."""
    mask = 2**64 - 1
    word = (word + 0x9E3779B97F4A7C15) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    return word ^ (word >> 31)


def test_jitter_is_the_written_down_hash():
    seed, episode, t = 100_003, 2, 57
    words = [mix(mix(mix(seed) ^ episode) ^ t)]
    for _ in range(4):
        words.append(mix(words[-1]))
    uniform = [((word >> 11) + 0.5) / 2**53 for word in words[1:]]
    first, second = (math.sqrt(-2 * math.log(u)) for u in uniform[::2])
    dx = 0.04 * first * math.cos(2 * math.pi * uniform[1])
    dy = 0.04 * first * math.sin(2 * math.pi * uniform[1])
    yaw = math.radians(3) * second * math.cos(2 * math.pi * uniform[3])
    found = camera_jitter(np.array([seed]), np.array([episode]), np.array([t]))
    np.testing.assert_allclose(found, [[dx, dy, yaw]], rtol=1e-6)


def test_jitter_is_the_same_in_any_batch_and_differs_between_frames():
    seed, episode, t = (axis.ravel() for axis in np.indices((5, 4, 50)))
    batch = camera_jitter(seed, episode, t)
    single = [camera_jitter(seed[i : i + 1], episode[i : i + 1], t[i : i + 1])[0] for i in range(len(seed))]
    assert (batch == single).all()
    assert len(np.unique(batch[:, 0])) == len(batch)


def test_jitter_has_the_standard_deviations_of_the_camera():
    t = np.arange(50_000)
    jitter = camera_jitter(np.zeros_like(t), np.zeros_like(t), t, yaw_degrees=6.0, position=0.08)
    normal = jitter / np.array([0.08, 0.08, math.radians(6)])
    # standard errors: 1/sqrt(50 000) = 0.0045 of the mean, 0.0032 of the standard deviation
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=0.018)
    np.testing.assert_allclose(normal.std(axis=0), 1, atol=0.013)
    np.testing.assert_allclose(np.corrcoef(normal.T), np.eye(3), atol=0.018)


def test_the_camera_never_leaves_its_cell():
    t = np.arange(1000)
    jitter = camera_jitter(t, t, t, position=1.0)
    assert np.abs(jitter[:, :2]).max() == np.float32(0.4)
    assert (camera_jitter(t, t, t, yaw_degrees=0.0, position=0.0) == 0).all()


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"fov_degrees": 180.0}, {"yaw_degrees": -1.0}, {"position": float("nan")}]
)
def test_bad_settings_are_errors(wrong):
    with pytest.raises(ValueError, match=f"got {next(iter(wrong.values()))}"):
        Camera(**wrong)
