"""The raycaster: geometry by hand, agreement with a plain renderer, batches, bad input."""

import math

import numpy as np
import pytest

from envs import palette
from envs.camera import Camera
from envs.geometry import Rooms
from envs.layout import Layout
from envs.parity import random_poses
from envs.raycast import PARALLEL_FROM, Raycaster

EAST, SOUTH, WEST, NORTH = range(4)
PAPER = Layout.paper()
HUGE = Layout.parse("huge-1")  # with hallways of two tones
# Row 1 of the paper's map begins with  # D # # # # B . . . . . T;  the hallway below D is the cells (1, 1) to (1, 5)
# and B at (6, 1) is a bend between (7, 1) to the east and (6, 2) to the south.


def draw(x, y, heading, dx=0.0, dy=0.0, yaw=0.0, layout=PAPER, **camera):
    """One frame."""
    pose, jitter = np.array([[x, y, heading, 0]], np.int16), np.array([[dx, dy, yaw]], np.float32)
    return Raycaster(layout, **camera).render(pose, jitter)[0]


def face(x, y, towards, layout=PAPER):
    """The colour of a wall face in front of a cell, in [0, 255]."""
    return layout.picture[y, x] * palette.WALL_LIGHT[towards]


CEILING = 255 * 0.65
FLOOR = 40 * palette.FLOOR_LIGHT


def test_wall_straight_ahead():
    # At (1, 3) looking north the dead end's wall is at y = 1, so 2.5 cells away. At 90 degrees a wall of half height
    # 0.5 reaches 16 * 0.5 / 2.5 = 3.2 pixels up and down from the middle: from 12.8 to 19.2. Rows 13 to 18 are wall;
    # of row 12 only the sample at 12.875, of row 19 only the one at 19.125.
    column = draw(1, 3, NORTH)[:, 16].astype(float)
    wall = face(1, 3, SOUTH)
    expected = np.empty((32, 3))
    expected[:12], expected[13:19], expected[20:] = CEILING, wall, FLOOR
    expected[12], expected[19] = (3 * CEILING + wall) / 4, (3 * FLOOR + wall) / 4
    assert np.abs(column - expected).max() <= 0.5 + 1e-3


def test_left_right_and_front_take_their_shades():
    # Looking north, the left wall faces east (lit, 0.835), the right one west (0.65), the one in front south (0.835).
    row = draw(1, 3, NORTH)[16].astype(float)
    for pixel, towards in ((0, EAST), (31, WEST), (16, SOUTH)):
        assert np.abs(row[pixel] - face(1, 3, towards)).max() <= 0.5


def test_moving_right_and_turning_right():
    # 0.2 cells to the right: the left wall is 0.7 away, the right one 0.3. At 2.5 cells the wall in front spans
    # 16 - 16 * 0.7 / 2.5 = 11.52 to 16 + 16 * 0.3 / 2.5 = 17.92.
    left, front, right = (face(1, 3, towards) for towards in (EAST, SOUTH, WEST))
    row = draw(1, 3, NORTH, dx=0.2)[16].astype(float)
    assert np.abs(row[:11] - left).max() <= 0.5
    assert np.abs(row[12:17] - front).max() <= 0.5
    assert np.abs(row[18:] - right).max() <= 0.5
    # Turned right by 0.1 rad: the corners at atan(0.5 / 2.5) = 0.1974 rad are at 16 + 16 * tan(-0.2974) = 11.096 and
    # 16 + 16 * tan(0.0974) = 17.563.
    row = draw(1, 3, NORTH, yaw=0.1)[16].astype(float)
    assert np.abs(row[:11] - left).max() <= 0.5
    assert np.abs(row[12:17] - front).max() <= 0.5
    assert np.abs(row[18:] - right).max() <= 0.5


def test_turning_right_shows_what_is_on_the_right():
    # In the bend at (6, 1) looking north one faces its grey wall. To the right is the hallway that begins at (7, 1):
    # from the middle of the bend its walls begin half a cell ahead, just outside the picture.
    north, east = draw(6, 1, NORTH), draw(6, 1, EAST)
    assert np.abs(north[16, 10] - face(6, 1, SOUTH)).max() <= 0.5 and (PAPER.picture[1, 6] == palette.GREY).all()
    assert np.abs(east[16, 3] - face(7, 1, SOUTH)).max() <= 0.5  # its northern wall, on the left
    assert np.abs(east[16, 28] - face(7, 1, NORTH)).max() <= 0.5


def test_field_of_view():
    # 60 degrees: a pixel is tan(30) / 16 wide, so the wall of the first test reaches 16 * 0.2 / tan(30) = 5.54 pixels.
    column = draw(1, 3, NORTH, fov_degrees=60.0)[:, 16].astype(float)
    assert np.abs(column[:10] - CEILING).max() <= 0.5
    assert np.abs(column[11:21] - face(1, 3, SOUTH)).max() <= 0.5


def test_nose_to_the_wall():
    # 0.01 cells in front of a wall nothing else is visible.
    frame = draw(1, 1, NORTH, dy=-0.49)
    assert np.abs(frame - face(1, 1, SOUTH)).max() <= 0.5


def plain_frame(layout, pose, jitter, tangent, size=32):
    """The same picture by brute force in double precision: every sample's ray walks from cell to cell."""
    x, y, angle = pose[0] + 0.5 + jitter[0], pose[1] + 0.5 + jitter[1], pose[2] * math.pi / 2 + jitter[2]
    frame = np.zeros((size, size, 3))
    for sample_x, sample_y in ((0.375, 0.875), (0.875, 0.625), (0.125, 0.375), (0.625, 0.125)):
        for px in range(size):
            right = ((px + sample_x) / (size / 2) - 1) * tangent
            ray = math.cos(angle) - math.sin(angle) * right, math.sin(angle) + math.cos(angle) * right
            depth, colour = plain_ray(layout, x, y, *ray)
            for r in range(size):
                up = (1 - (r + sample_y) / (size / 2)) * tangent
                flat = np.full(3, CEILING if up > 0 else FLOOR)
                frame[r, px] += (colour if abs(up) * depth < 0.5 else flat) / 4
    return frame


def plain_ray(layout, x, y, ray_x, ray_y):
    """How far a ray (in multiples of its length) gets, and the colour of the face that it hits."""
    cell, travelled = (int(x), int(y)), 0.0
    while True:
        to_x = ((cell[0] + (ray_x > 0)) - x) / ray_x if ray_x else math.inf
        to_y = ((cell[1] + (ray_y > 0)) - y) / ray_y if ray_y else math.inf
        travelled = min(to_x, to_y)
        if to_x < to_y:
            following, towards = (cell[0] + (1 if ray_x > 0 else -1), cell[1]), WEST if ray_x > 0 else EAST
        else:
            following, towards = (cell[0], cell[1] + (1 if ray_y > 0 else -1)), NORTH if ray_y > 0 else SOUTH
        if not layout.free[following[1], following[0]]:
            return travelled, face(*cell, towards, layout=layout)
        cell = following


@pytest.mark.parametrize("layout", [PAPER, Layout.random(1), HUGE], ids=lambda layout: layout.name)
@pytest.mark.parametrize(("yaw_degrees", "fov_degrees"), [(3.0, 90.0), (90.0, 90.0), (90.0, 130.0)])
def test_agrees_with_brute_force(layout, yaw_degrees, fov_degrees):
    # Only corners that are snapped to 1/256 pixel can make a difference, in a few of the 8192 pixels: at most all along
    # one upright edge.
    pose, jitter = random_poses(layout, 8, seed=5, camera=Camera(yaw_degrees=yaw_degrees, fov_degrees=fov_degrees))
    frames = Raycaster(layout, fov_degrees=fov_degrees).render(pose, jitter).astype(float)
    different = 0
    for frame, p, j in zip(frames, pose, jitter.astype(float), strict=True):
        plain = plain_frame(layout, p, j, tangent=math.tan(math.radians(fov_degrees / 2)))
        different += (np.abs(frame - plain) > 0.51).any(axis=-1).sum()
    assert different <= 32


def test_batch_equals_single():
    pose, jitter = random_poses(PAPER, 3 * PARALLEL_FROM + 1, seed=1, camera=Camera())
    view = Raycaster(PAPER)
    batch = view.render(pose, jitter)
    for i in range(len(pose)):
        np.testing.assert_array_equal(view.render(pose[i : i + 1], jitter[i : i + 1])[0], batch[i])
    out = np.zeros_like(batch)
    assert view.render(pose, jitter, out=out) is out
    np.testing.assert_array_equal(out, batch)
    assert view.render(pose[:0], jitter[:0]).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_other_sizes(size):
    # The middle of the picture is the wall in front whatever the size (a single pixel sees it with all four samples).
    frame = draw(1, 1, NORTH, size=size)
    assert frame.shape == (size, size, 3)
    assert np.abs(frame[size // 2, size // 2] - face(1, 1, SOUTH)).max() <= 0.5


@pytest.mark.parametrize("layout", [PAPER, Layout.random(3), HUGE], ids=lambda layout: layout.name)
def test_rooms_are_the_free_cells_and_their_sides(layout):
    rooms = Rooms.of(layout)
    area = np.zeros(layout.shape, int)
    for room, ((left, top), _, (right, bottom), _) in enumerate(rooms.corners.astype(int)):
        area[top:bottom, left:right] += 1
        assert (rooms.at[top:bottom, left:right] == room).all()
        assert (layout.picture[top:bottom, left:right] == rooms.colour[room]).all()
        inside = [(right - 1, bottom - 1), (left, bottom - 1), (left, top), (left, top)]
        for side, ((x, y), (dx, dy)) in enumerate(zip(inside, ((1, 0), (0, 1), (-1, 0), (0, -1)), strict=True)):
            assert rooms.beyond[room, side] == rooms.at[y + dy, x + dx]
            assert (rooms.beyond[room, side] >= 0) == layout.sides[y, x, side]
    np.testing.assert_array_equal(area, layout.free)


def test_bad_input_is_an_error():
    view = Raycaster(PAPER)
    still = np.zeros((1, 3), np.float32)
    with pytest.raises(ValueError, match=r"free cell.*\[3, 1, 0, 0\]"):
        view.render(np.array([[3, 1, 0, 0]], np.int16), still)
    many = np.tile(np.array([[1, 1, 0, 0]], np.int16), (PARALLEL_FROM, 1))
    many[-1] = -1
    with pytest.raises(ValueError, match=r"free cell.*\[-1, -1, -1, -1\]"):
        view.render(many, np.zeros((len(many), 3), np.float32))
    with pytest.raises(ValueError, match=r"jitter.*\[0\.0, 0\.0, nan\]"):
        view.render(many[:1], np.array([[0, 0, np.nan]], np.float32))
    with pytest.raises(ValueError, match=r"C-contiguous.*\(1, 32, 32, 3\).*got \(1, 16, 16, 3\)"):
        view.render(many[:1], still, out=np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match=r"frame size.*got 0"):
        Raycaster(PAPER, size=0)
    with pytest.raises(ValueError, match=r"field of view.*got 180\.0"):
        Raycaster(PAPER, fov_degrees=180.0)
