"""Frames in forked processes and in threads, and machine code where usual folders cannot be written.

Most tests run a process of their own: numba chooses its threads and its folder once per process.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

from envs.code_cache import choose_cache

ENVS = Path(__file__).parents[2] / "envs"

DRAW = """
import os, sys, threading
import multiprocessing
import numpy as np
pose, jitter = np.array([[8, 1, 0, 0]] * 64, np.int16), np.zeros((64, 3), np.float32)

def draw(*_):
    from envs.layout import Layout
    from envs.raycast import Raycaster
    return Raycaster(Layout.paper()).render(pose, jitter).tobytes()

def draw_in(process):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = process(target=lambda: sender.send_bytes(draw()))
    child.start()
    sender.close()
    frames = receiver.recv_bytes()  # an EOFError if the process died
    child.join()
    return frames
"""
FORKED = """
frames = draw()
fork = multiprocessing.get_context("fork").Process
assert draw_in(fork) == draw_in(fork) == frames == draw()
receiver, sender = os.pipe()
if not os.fork():
    os.write(sender, draw()[:4096])
    os._exit(0)
assert os.read(receiver, 4096) == frames[:4096]
"""
FORKED_BEFORE_IMPORT = """
import numba
@numba.njit(parallel=True)
def use_threads(numbers):
    for i in numba.prange(len(numbers)):
        numbers[i] = i
use_threads(np.zeros(100))
assert len(draw_in(multiprocessing.get_context("fork").Process)) == 64 * 32 * 32 * 3 and "envs" not in sys.modules
"""
THREADS = """
frames, different = draw(), []
def work():
    for _ in range(100):
        if draw() != frames:
            different.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not different
"""


def run(script, folder=ENVS.parent, **variables):
    """The output of a script; without the warning of Python 3.12 that whoever forks beside threads takes a risk."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "HOME")}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    environment |= {"PYTHONPATH": str(folder)} | variables
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_forked_processes_and_threads_render_frames_whatever_numbas_threads_are(layer):
    run(DRAW + FORKED + THREADS, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")


def test_a_process_that_was_forked_before_the_import_renders_frames():
    run(DRAW + FORKED_BEFORE_IMPORT)


KEEP_CODE = """
import numpy as np, numba
from envs.camera import camera_jitter
from envs.code_cache import CACHE
one = np.ones(1, np.int64)
assert camera_jitter(one, one, one).shape == (1, 3)
print(CACHE, numba.config.CACHE_DIR)
"""


@pytest.fixture
def closed(tmp_path):
    """A folder with the package, where not even root can write machine code, and without temporary files."""
    shutil.copytree(ENVS, tmp_path / "closed/envs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "closed/envs/__pycache__").touch()
    (tmp_path / "temporary").mkdir()
    return tmp_path / "closed"


def test_machine_code_is_kept_in_a_private_temporary_folder_where_home_and_package_are_closed(closed):
    temporary = closed.parent / "temporary"
    assert run(KEEP_CODE, closed, HOME="/dev/null/home", TMPDIR=str(temporary)).startswith(f"True {temporary}")
    (folder,) = temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and any(folder.rglob("*.nbc"))


def test_machine_code_is_not_kept_where_no_folder_can_be_written(closed):
    temporary = closed.parent / "temporary"
    (temporary / f"jumpy-numba-{os.getuid()}").touch()
    assert run(KEEP_CODE, closed, HOME="/dev/null/home", TMPDIR=str(temporary)).startswith("False")


@pytest.mark.parametrize("folder", ["none", "open to others", "a link"])
def test_without_a_home_only_a_private_folder_keeps_machine_code(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    private = tmp_path / f"jumpy-numba-{os.getuid()}"
    if folder == "open to others":
        private.mkdir()
        private.chmod(0o777)
    elif folder == "a link":
        private.symlink_to(ENVS)
    assert choose_cache() == (folder == "none")
    assert (str(private) if folder == "none" else "") == numba.config.CACHE_DIR  # type: ignore[attr-defined]
    assert [*tmp_path.iterdir()] == [private]
