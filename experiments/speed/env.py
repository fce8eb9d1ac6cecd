"""`jumpy speed env`: our view against Miniworld, how fast each is and how equal their frames are."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
import torch

from agent.data.collect import random_navigation
from agent.data.manifest import EPISODE_LENGTH
from agent.system.children import python
from agent.system.threads import threads
from envs.dynamics import ACTIONS, Dynamics
from envs.extras import MissingDependency
from envs.layout import Layout
from envs.miniworld_view import make_env
from envs.parity import measure_parity
from envs.vector import HallwayMazeVector
from experiments.common.hardware import about
from experiments.common.json_files import write_shared_json
from experiments.common.numbers import print_numbers

FIRST_FRAMES = """
import time
import numpy as np
from envs.layout import Layout
from envs.raycast import Raycaster
view = Raycaster(Layout.paper())
pose = np.repeat(np.array([[1, 1, 0, 0]], np.int16), 64, axis=0)
start = time.perf_counter()
view.render(pose, np.zeros((64, 3), np.float32))
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class SpeedEnvConfig:
    """Measure steps per second of our maze and of the same maze in Miniworld, in turns, and compare their frames."""

    layout: str = "paper"
    """the maze: paper, random-SEED, large-SEED, huge-SEED, or the text file of a map"""
    environments: int = 512
    """number of mazes in our vector environment"""
    threads: int = 2
    """threads of the raycaster"""
    rounds: int = 7
    """rounds of ours, ours on one thread, Miniworld; medians are reported"""
    seconds: float = 1.0
    """time for each of them in a round"""
    poses: int = 1000
    """random poses at which the frames are compared"""
    frames: int = 1_000_000
    """frames of random navigation to collect in memory (3.1 GB per million), a multiple of 100"""
    json: Path | None = None
    """write the numbers to this file too"""

    def __post_init__(self) -> None:
        """Validate the numbers."""
        for name in ("environments", "threads", "rounds", "seconds", "poses"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} must be above 0, got {getattr(self, name)}")
        if self.frames < EPISODE_LENGTH or self.frames % EPISODE_LENGTH:
            raise ValueError(f"--frames must be a positive multiple of {EPISODE_LENGTH}, got {self.frames}")


def speed_env(config: SpeedEnvConfig) -> None:
    """Print, and write if asked, the rates, their ratio, the parity of the frames and the time to collect.

    A rate counts the calls of `step` alone, not the choice of actions. The ratio is the median over the rounds, each
    of which measures both sides. Where Miniworld cannot render, its numbers are null.

    Raises:
        ValueError: for an unknown layout.
    """
    layout = Layout.parse(config.layout)
    with threads(config.threads):
        used = numba.get_num_threads()
        result = _rates(config, layout) | _parity(config, layout)
        random_navigation(layout, 1)  # compiles
        since = time.perf_counter()
        random_navigation(layout, config.frames // EPISODE_LENGTH)
        result["collect_1m_s"] = (time.perf_counter() - since) * 1_000_000 / config.frames
    result["compile_s"] = _compile_seconds()
    result |= {"environments": config.environments, "threads": used, "layout": layout.name}
    print_numbers(result)
    if config.json is not None:
        write_shared_json(config.json, result | {"about": about(torch.device("cpu")) | {"threads": used}})


def _rates(config: SpeedEnvConfig, layout: Layout) -> dict[str, Any]:
    """Steps per second of both sides and of the dynamics alone, measured in turns."""
    many, miniworld = config.environments, None
    sides = {"raycast": (many, _vector_steps(many, layout)), "dynamics": (many, _dynamics_steps(many, layout))}
    try:
        miniworld = make_env(layout)
        sides["miniworld"] = (1, _miniworld_steps(miniworld))
    except MissingDependency as error:
        print(f"Miniworld was not measured: {error}")
    for _, steps in sides.values():
        next(steps)  # compiles
    rates: dict[str, list[float]] = {"raycast": [], "one_thread": [], "dynamics": [], "miniworld": []}
    for _ in range(config.rounds):
        for name, side in sides.items():
            rates[name].append(_rate(*side, config.seconds))
        with threads(1):
            rates["one_thread"].append(_rate(*sides["raycast"], config.seconds))
    if miniworld is not None:
        miniworld.close()
    ratios = [a / b for a, b in zip(rates["raycast"], rates["miniworld"], strict=False)]
    return {
        "raycast_steps_per_s": median(rates["raycast"]),
        "miniworld_steps_per_s": median(rates["miniworld"]) if ratios else None,
        "ratio": median(ratios) if ratios else None,
        "ratio_range": [min(ratios), max(ratios)] if ratios else None,
        "raycast_one_thread_steps_per_s": median(rates["one_thread"]),
        "dynamics_steps_per_s": median(rates["dynamics"]),
        "miniworld_llvmpipe_threads": os.environ.get("LP_NUM_THREADS"),
    }


def _rate(environments: int, steps: Iterator[float], seconds: float) -> float:
    """Steps per second of some environments, measured for `seconds`; `steps` yields the time of each joint step."""
    spent, since = [], time.perf_counter()
    while time.perf_counter() - since < seconds:
        spent.append(next(steps))
    return environments * len(spent) / sum(spent)


def _vector_steps(environments: int, layout: Layout) -> Iterator[float]:
    """Time the steps of our vector environment, with random legal actions."""
    env, rng = HallwayMazeVector(environments, layout), np.random.default_rng(0)
    _, info = env.reset(seed=0)
    while True:
        action = (rng.random((environments, ACTIONS)) * info["action_mask"]).argmax(axis=1)
        since = time.perf_counter()
        _, _, _, _, info = env.step(action)
        yield time.perf_counter() - since


def _dynamics_steps(environments: int, layout: Layout) -> Iterator[float]:
    """Time the transition and the mask of as many mazes, without frames, goals and resets."""
    dynamics, rng = Dynamics.of(layout), np.random.default_rng(0)
    pose = np.stack([dynamics.start(rng) for _ in range(environments)])
    mask = dynamics.action_mask(pose)
    while True:
        action = (rng.random((environments, ACTIONS)) * mask).argmax(axis=1)
        since = time.perf_counter()
        pose, _ = dynamics.step(pose, action)
        mask = dynamics.action_mask(pose)
        yield time.perf_counter() - since


def _miniworld_steps(env: Any) -> Iterator[float]:
    """Time the steps of one Miniworld environment: left, right and forward at random."""
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    while True:
        action = int(rng.integers(3))
        since = time.perf_counter()
        env.step(action)
        yield time.perf_counter() - since


def _parity(config: SpeedEnvConfig, layout: Layout) -> dict[str, Any]:
    """How equal the frames are, over all poses and over those that show more than one colour."""
    names = ("parity", "parity_of_varied_frames")
    try:
        return dict(zip(names, map(asdict, measure_parity(layout, config.poses)), strict=True))
    except MissingDependency:
        return dict.fromkeys(names)


def _compile_seconds() -> float:
    """Seconds of the raycaster's very first call, in a separate process with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        done = subprocess.run(python(FIRST_FRAMES), env=environment, capture_output=True, check=True)
    return float(done.stdout)
