"""The two views show the same picture; Miniworld's traps; what happens without OpenGL."""

import json
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from envs.camera import Camera
from envs.extras import MissingDependency
from envs.layout import Layout
from envs.maze import JumpyMaze
from envs.miniworld_view import GL_PACKAGES, MiniworldView, make_env
from envs.parity import Parity, compare, is_flat, measure_parity, random_poses
from envs.raycast import Raycaster
from experiments.speed import env as speed_env
from tests.support import golden_frames

PAPER = Layout.paper()


@pytest.fixture
def miniworld():
    """Makes views and environments of Miniworld, and closes them; skips the test where there is no OpenGL."""
    opened = []

    def make(kind, *arguments):
        try:
            opened.append(kind(*arguments))
        except MissingDependency as error:
            pytest.skip(f"Miniworld cannot draw here: {error}")
        return opened[-1]

    yield make
    for thing in opened:
        thing.close()


def assert_reach(parity):
    """The views' contract."""
    assert parity.identical >= 0.85
    assert parity.pixels_different <= 0.0003
    assert parity.psnr_min >= 40
    assert parity.ssim_mean >= 0.9999


def test_raycaster_draws_the_frames_that_miniworld_drew():
    with np.load(golden_frames.PATH) as golden:
        pose, jitter, frames = golden["pose"], golden["jitter"], golden["frames"]
    assert len(frames) == 64 and not is_flat(frames).all()
    assert_reach(compare(Raycaster(PAPER).render(pose, jitter), frames))


def test_views_are_equal_on_random_poses(miniworld):
    miniworld(MiniworldView, PAPER)
    every, varied = measure_parity(PAPER, poses=600, seed=1)
    assert every.frames == 600 and 500 < varied.frames < 600
    assert_reach(every)
    assert_reach(varied)


@pytest.mark.parametrize("camera", [Camera(size=48), Camera(fov_degrees=60.0), Camera(yaw_degrees=20.0, position=0.1)])
def test_views_are_equal_for_other_cameras_and_layouts(camera, miniworld):
    layout = Layout.random(7)
    pose, jitter = random_poses(layout, 100, seed=3, camera=camera)
    view = miniworld(MiniworldView, layout, camera.size, camera.fov_degrees)
    assert_reach(
        compare(Raycaster(layout, camera.size, camera.fov_degrees).render(pose, jitter), view.render(pose, jitter))
    )


def test_views_are_equal_in_hallways_of_two_tones(miniworld):
    layout = Layout.parse("huge-1")
    pose, jitter = random_poses(layout, 400, seed=5, camera=Camera())
    two_tone = layout.hallway[pose[:, 1], pose[:, 0]] >= layout.one_tone
    pose, jitter = pose[two_tone], jitter[two_tone]
    assert len(pose) > 100
    assert_reach(compare(Raycaster(layout).render(pose, jitter), miniworld(MiniworldView, layout).render(pose, jitter)))


def test_two_miniworld_views_keep_their_own_worlds(miniworld):
    layouts = PAPER, Layout.random(7)
    views = [miniworld(MiniworldView, layout) for layout in layouts]
    for _ in range(2):
        for layout, view in zip(layouts, views, strict=True):
            pose, jitter = random_poses(layout, 20, seed=0, camera=Camera())
            assert_reach(compare(Raycaster(layout).render(pose, jitter), view.render(pose, jitter)))
    views[0].close()  # the fixture closes it once more, which does nothing
    assert_reach(compare(Raycaster(layout).render(pose, jitter), views[1].render(pose, jitter)))


def test_miniworld_view_raises_in_another_thread(miniworld):
    view = miniworld(MiniworldView, PAPER)
    raised = []

    def draw():
        with pytest.raises(RuntimeError, match="thread that made it") as info:
            view.render(*random_poses(PAPER, 1, seed=0, camera=Camera()))
        raised.append(info)

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert raised


def test_miniworld_environment_moves_by_half_cells(miniworld):
    env = miniworld(make_env, PAPER)
    turn_left, turn_right, forward = 0, 1, 2
    observation, _ = env.reset(seed=0)  # in the dead end at (1, 1), to the east, where a wall is
    assert observation.shape == (32, 32, 3)
    place = lambda: env.agent.pos.tolist()  # noqa: E731
    assert place() == [1.5, 0.0, 1.5]
    env.step(forward)
    assert place() == [1.5, 0.0, 1.5]
    env.step(turn_right)
    env.step(forward)
    observation, *_ = env.step(forward)
    assert np.allclose(place(), [1.5, 0.0, 2.5])
    pose, still = np.array([[1, 2, 1, 0]], np.int16), np.zeros((1, 3), np.float32)
    assert_reach(compare(Raycaster(PAPER).render(pose, still), observation[None]))
    env.step(turn_left)
    assert np.isclose(env.agent.dir, 0)


def test_compare_by_hand():
    # One pixel of two frames differs by 10 in one channel: MSE 100 / 3072, PSNR 10 log10(65025 * 3072 / 100) = 63.0.
    a = np.full((2, 32, 32, 3), 100, np.uint8)
    b = a.copy()
    b[1, 4, 5, 2] = 110
    parity = compare(a, b)
    assert (parity.frames, parity.identical, parity.pixels_different) == (2, 0.5, 1 / 2048)
    assert parity.psnr_min == pytest.approx(63.0045, abs=1e-3)
    assert 0.99 < parity.ssim_mean < 1
    assert compare(a, a) == Parity(2, 1.0, 0.0, 100.0, 1.0)
    assert is_flat(b).tolist() == [True, False]


def test_random_poses_are_legal():
    pose, jitter = random_poses(PAPER, 400, seed=9, camera=Camera())
    assert PAPER.free[pose[:, 1], pose[:, 0]].all()
    assert 0.03 < jitter[:, :2].std() < 0.05 and 2 < np.degrees(jitter[:, 2].std()) < 4
    with pytest.raises(ValueError, match=r"1 pose.*got 0"):
        random_poses(PAPER, 0, seed=0, camera=Camera())


@pytest.fixture
def without_opengl(monkeypatch):
    """pyglet does not find a shared library."""

    class NoLibrary:
        def __init__(self, *arguments):
            raise ImportError('Library "GL" not found.')

    monkeypatch.setitem(sys.modules, "envs.miniworld_env", SimpleNamespace(MiniworldMaze=NoLibrary))


@pytest.fixture
def without_miniworld(monkeypatch):
    monkeypatch.delitem(sys.modules, "envs.miniworld_env", raising=False)
    monkeypatch.setitem(sys.modules, "miniworld", None)  # importing it raises ModuleNotFoundError
    monkeypatch.setitem(sys.modules, "miniworld.miniworld", None)


def test_missing_opengl_names_the_packages(without_opengl):
    with pytest.raises(MissingDependency) as raised:
        MiniworldView(PAPER)
    message = str(raised.value)
    assert "\n" not in message and "raycast" in message
    assert "apt-get install " + " ".join(GL_PACKAGES) in message


@pytest.mark.parametrize("make", [MiniworldView, make_env, lambda layout: JumpyMaze(layout, view="miniworld")])
def test_missing_miniworld_names_the_extra(without_miniworld, make):
    with pytest.raises(MissingDependency, match=r"miniworld.*pip install 'jumpy-imagination\[miniworld\]'") as raised:
        make(PAPER)
    assert "\n" not in str(raised.value)


def test_parity_without_miniworld_names_the_extra(without_miniworld):
    with pytest.raises(MissingDependency, match=r"jumpy-imagination\[miniworld\]"):
        measure_parity(PAPER, poses=1)


@pytest.fixture
def small_speed_env(monkeypatch, tmp_path):
    """Runs `jumpy speed env` on tiny numbers and without compiling again, and returns what it wrote."""
    monkeypatch.setattr(speed_env, "_compile_seconds", lambda: 1.5)
    path = tmp_path / "speed.json"
    config = speed_env.SpeedEnvConfig(environments=8, rounds=2, seconds=0.02, poses=30, frames=200, json=path)

    def run():
        speed_env.speed_env(config)
        return json.loads(path.read_text())

    return run


def test_speed_env(small_speed_env, miniworld, capsys):
    miniworld(MiniworldView, PAPER)
    result = small_speed_env()
    assert result["raycast_steps_per_s"] > result["miniworld_steps_per_s"] > 0
    assert result["ratio_range"][0] <= result["ratio"] <= result["ratio_range"][1]
    assert result["parity"]["frames"] == 30 and result["parity"]["psnr_min"] >= 40
    assert result["collect_1m_s"] > 0 and result["dynamics_steps_per_s"] > 0
    assert result["about"]["machine"] and result["about"]["threads"] == result["threads"]
    assert "miniworld_steps_per_s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [("without_opengl", "apt-get install"), ("without_miniworld", "pip install 'jumpy-imagination[miniworld]'")],
)
def test_speed_env_without_miniworld(small_speed_env, request, capsys, missing, remedy):
    request.getfixturevalue(missing)
    result = small_speed_env()
    assert result["raycast_steps_per_s"] > 0
    assert result["miniworld_steps_per_s"] is None and result["ratio"] is None and result["parity"] is None
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("Miniworld was not measured: ") and remedy in line


def test_speed_env_needs_something_to_measure():
    with pytest.raises(ValueError, match=r"--rounds.*got 0"):
        speed_env.SpeedEnvConfig(rounds=0)
    with pytest.raises(ValueError, match=r"--frames.*100, got 150"):
        speed_env.SpeedEnvConfig(frames=150)
