"""Coloured balls: how they move, when they change colour, and how they are rendered."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.videos import PALETTE, BouncingBalls, MovingBall, Video

BOUNCING, MOVING = BouncingBalls(), MovingBall()


def draw(video: Video, sequences: int, length: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    return video.generate(np.random.default_rng(seed), sequences, length)


def test_the_seed_alone_decides():
    one, same, other = (draw(BOUNCING, 2, 30, seed) for seed in (5, 5, 6))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert (array != other[name]).any(), name


def test_bounces_agree_with_the_positions():
    """The path from a frame to the next is straight, up to noise, but where a wall reflected the ball."""
    video = replace(BOUNCING, noise=0.0)
    arrays = draw(video, 50)
    position, bounce = arrays["position"].astype(float), arrays["bounce"]
    low, high = video.radius, video.size - video.radius
    assert ((position >= low - 1e-4) & (position <= high + 1e-4)).all()
    velocity = np.diff(position, axis=1)
    # At t + 1, from t to t + 2: no wall on the way.
    straight = np.all(np.abs(np.diff(velocity, axis=1)) < 1e-4, axis=-1)
    np.testing.assert_array_equal(straight, (bounce[:, 1:-1] == 0) & (bounce[:, 2:] == 0))
    goes_on = position[:, 1:-1] + velocity[:, :-1]  # where frame t + 1 would be without a wall, from the step before
    free = bounce[:, 1:-1] == 0
    beyond = np.any((goes_on < low) | (goes_on > high), axis=-1)
    np.testing.assert_array_equal(beyond[free], bounce[:, 2:][free] == 1)
    assert 0.06 < bounce[:, 1:].mean() < 0.1
    assert (bounce[:, 0] == 0).all()


def test_colours_change_at_bounces_and_the_first_frame_that_shows_it_is_marked():
    arrays = draw(MOVING, 30)
    colour = shown(arrays)
    changed = (colour[:, 1:] != colour[:, :-1]).any(-1)
    np.testing.assert_array_equal(changed, arrays["change"][:, 1:] == 1)
    np.testing.assert_array_equal(arrays["change"], arrays["bounce"][..., 0])
    assert (arrays["change"][:, 0] == 0).all()
    assert {tuple(one) for one in colour.reshape(-1, 3)} == {tuple(one) for one in PALETTE}


def shown(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Colour of the pixel at the only ball's centre, (N, T, 3)."""
    x, y = np.floor(arrays["position"][:, :, 0]).astype(int).transpose(2, 0, 1)
    n, t = np.indices(x.shape)
    return arrays["observation"][n, t, y, x]


def test_change_points_are_those_of_either_ball():
    arrays = draw(BOUNCING, 50)
    np.testing.assert_array_equal(arrays["change"] > 0, arrays["bounce"].any(-1))
    both = arrays["bounce"].all(-1).mean()
    assert 0 < both < arrays["change"].mean() < 0.2


@pytest.mark.parametrize("recolour", [0.1, 0.3])
def test_colours_also_change_by_chance_with_probability_lambda(recolour):
    arrays = draw(replace(MOVING, recolour=recolour), 100)
    change, bounce = arrays["change"][:, 1:], arrays["bounce"][:, 1:, 0]
    assert (change[bounce > 0] == 1).all()
    by_chance = change[bounce == 0]
    assert abs(by_chance.mean() - recolour) < 4 * np.sqrt(recolour * (1 - recolour) / by_chance.size)


def test_every_other_colour_is_as_likely():
    colour = shown(draw(MOVING, 300))
    before, after = colour[:, :-1].reshape(-1, 3), colour[:, 1:].reshape(-1, 3)
    red = (before == PALETTE[0]).all(-1) & (after != PALETTE[0]).any(-1)
    shares = [(after[red] == other).all(-1).mean() for other in PALETTE[1:]]
    assert np.abs(np.array(shares) - 0.2).max() < 4 * np.sqrt(0.16 / red.sum())


def test_edges_are_smooth_and_the_whole_ball_is_in_the_frame():
    """The covered area is the ball's, wherever it is: pi r², which a ball with jagged edges misses."""
    video = replace(MOVING, radius=4.0)
    arrays = draw(video, 20)
    brightest = arrays["observation"].max(-1).astype(float)
    area = (brightest / brightest.max((2, 3), keepdims=True)).sum((2, 3))
    assert np.abs(area - np.pi * 16).max() < 1.5
    assert np.abs(area.mean() - np.pi * 16) < 0.3


def test_a_later_ball_is_drawn_on_top():
    arrays = draw(BOUNCING, 200)
    meet = np.linalg.norm(np.diff(arrays["position"], axis=2)[:, :, 0], axis=-1) < 1
    assert meet.any()
    top = shown({**arrays, "position": arrays["position"][:, :, 1:]})[meet]
    assert (top[:, None] == PALETTE).all(-1).any(-1).all()  # a pure colour: nothing shines through


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balls": 0}, "--balls.*got 0"),
        ({"slow": 5.0}, "--slow.*--fast, 4.0, got 5.0"),
        ({"slow": 0.0}, "--slow.*got 0.0"),
        ({"noise": -1.0}, "--noise.*got -1.0"),
        ({"recolour": 1.5}, "--recolour.*got 1.5"),
        ({"radius": 0.0}, "--radius.*got 0.0"),
        ({"size": 11}, "--size.*at least 12.*got 11"),
    ],
)
def test_bad_settings_are_errors(options: dict[str, Any], message):
    with pytest.raises(ValueError, match=message):
        MovingBall(**options)
