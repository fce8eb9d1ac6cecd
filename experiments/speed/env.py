"""`jumpy speed env`: our view beside Miniworld, how fast each is and how equal their pictures are."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from agent.data.collect import random_navigation
from agent.data.manifest import EPISODE_LENGTH
from agent.system.atomic_files import write_json
from envs.dynamics import ACTIONS, Dynamics
from envs.extras import MissingDependency
from envs.layout import Layout
from envs.miniworld_view import make_env
from envs.parity import measure_parity
from envs.vector import HallwayMazeVector
from experiments.common.hardware import about

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
    """Measure steps a second of our maze and of the same maze in Miniworld, in turns, and compare their pictures."""

    layout: str = "paper"
    """the maze: paper, or random-SEED"""
    environments: int = 512
    """mazes that our vector environment steps together"""
    threads: int = 2
    """threads of the raycaster"""
    rounds: int = 7
    """rounds of ours, ours on one thread, Miniworld; medians are reported"""
    seconds: float = 1.0
    """time for each of them in a round"""
    poses: int = 1000
    """random poses on which the pictures are compared"""
    frames: int = 1_000_000
    """frames of random navigation to collect in memory (3.1 GB a million), a multiple of 100"""
    json: Path | None = None
    """write the numbers to this file too"""

    def __post_init__(self) -> None:
        """Refuse numbers with which there is nothing to measure."""
        for name in ("environments", "threads", "rounds", "seconds", "poses"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} must be above 0, got {getattr(self, name)}")
        if self.frames < EPISODE_LENGTH or self.frames % EPISODE_LENGTH:
            raise ValueError(f"--frames must be a positive multiple of {EPISODE_LENGTH}, got {self.frames}")


def speed_env(config: SpeedEnvConfig) -> None:
    """Print, and write if asked, the rates, their ratio, the parity of the pictures and the time to collect.

    A rate counts the calls of `step` alone, not the choice of actions. The ratio is the median over the rounds, each
    of which measures both sides. Where Miniworld cannot draw, its numbers are null.

    Raises:
        ValueError: an unknown layout.
    """
    layout = Layout.parse(config.layout)
    most = numba.get_num_threads()
    threads = min(config.threads, most)
    numba.set_num_threads(threads)
    try:
        result = _rates(config, layout, threads) | _parity(config, layout)
        result["collect_1m_s"] = _collection_seconds(layout, config.frames)
    finally:
        numba.set_num_threads(most)
    result["compile_s"] = _compile_seconds()
    result |= {"environments": config.environments, "threads": threads, "layout": layout.name}
    print(_table(result))
    if config.json is not None:
        origin = about(torch.device("cpu")) | {"threads": threads}
        write_json(config.json, result | {"about": origin})


def _rates(config: SpeedEnvConfig, layout: Layout, threads: int) -> dict[str, Any]:
    """Steps a second of both sides and of the dynamics alone, measured in turns."""
    ours = _vector_stepper(HallwayMazeVector(config.environments, layout))
    dynamics = _dynamics_stepper(layout, config.environments)
    steppers: dict[str, Callable[[], tuple[int, float]]] = {"raycast": ours, "dynamics": dynamics}
    try:
        miniworld = make_env(layout)
        steppers["miniworld"] = _miniworld_stepper(miniworld)
    except MissingDependency as error:
        print(f"Miniworld was not measured: {error}")
    for step in steppers.values():  # compile
        step()
    rates: dict[str, list[float]] = {"raycast": [], "one_thread": [], "dynamics": [], "miniworld": []}
    for _ in range(config.rounds):
        for name, step in steppers.items():
            rates[name].append(_rate(step, config.seconds))
        numba.set_num_threads(1)
        rates["one_thread"].append(_rate(ours, config.seconds))
        numba.set_num_threads(threads)
    if "miniworld" in steppers:
        miniworld.close()
    ratios = [a / b for a, b in zip(rates["raycast"], rates["miniworld"], strict=False)]
    return {
        "raycast_steps_per_s": _median(rates["raycast"]),
        "miniworld_steps_per_s": _median(rates["miniworld"]),
        "ratio": _median(ratios),
        "ratio_range": [min(ratios), max(ratios)] if ratios else None,
        "raycast_one_thread_steps_per_s": _median(rates["one_thread"]),
        "dynamics_steps_per_s": _median(rates["dynamics"]),
        "miniworld_llvmpipe_threads": os.environ.get("LP_NUM_THREADS"),
    }


def _rate(step: Callable[[], tuple[int, float]], seconds: float) -> float:
    """Steps a second over some seconds; `step` returns how many steps it made and how long they took."""
    steps, spent, since = 0, 0.0, time.perf_counter()
    while time.perf_counter() - since < seconds:
        made, took = step()
        steps, spent = steps + made, spent + took
    return steps / spent


def _vector_stepper(env: HallwayMazeVector) -> Callable[[], tuple[int, float]]:
    """Steps of all mazes together, with actions drawn from the legal ones."""
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)

    def step() -> tuple[int, float]:
        nonlocal info
        action = (rng.random((env.num_envs, ACTIONS)) * info["action_mask"]).argmax(axis=1)
        since = time.perf_counter()
        _, _, _, _, info = env.step(action)
        return env.num_envs, time.perf_counter() - since

    return step


def _dynamics_stepper(layout: Layout, environments: int) -> Callable[[], tuple[int, float]]:
    """The transition and the mask of the same number of mazes, without pictures, goals and resets."""
    rng, dynamics = np.random.default_rng(0), Dynamics.of(layout)
    pose = np.stack([dynamics.start(rng) for _ in range(environments)])
    mask = dynamics.action_mask(pose)

    def step() -> tuple[int, float]:
        nonlocal pose, mask
        action = (rng.random((environments, ACTIONS)) * mask).argmax(axis=1)
        since = time.perf_counter()
        pose, _ = dynamics.step(pose, action)
        mask = dynamics.action_mask(pose)
        return environments, time.perf_counter() - since

    return step


def _miniworld_stepper(env: Any) -> Callable[[], tuple[int, float]]:
    """Steps of one Miniworld environment: left, right and forward at random."""
    rng = np.random.default_rng(0)
    env.reset(seed=0)

    def step() -> tuple[int, float]:
        action = int(rng.integers(3))
        since = time.perf_counter()
        env.step(action)
        return 1, time.perf_counter() - since

    return step


def _parity(config: SpeedEnvConfig, layout: Layout) -> dict[str, Any]:
    """How equal the pictures are, over all poses and over those that do not show one colour only."""
    try:
        every, varied = measure_parity(layout, config.poses)
    except MissingDependency:
        return {"parity": None, "parity_of_varied_frames": None}
    return {"parity": asdict(every), "parity_of_varied_frames": asdict(varied)}


def _collection_seconds(layout: Layout, frames: int) -> float:
    """Seconds to collect a million frames in memory, measured on `frames`."""
    random_navigation(layout, 1)  # compiles
    since = time.perf_counter()
    random_navigation(layout, frames // EPISODE_LENGTH)
    return (time.perf_counter() - since) * 1_000_000 / frames


def _compile_seconds() -> float:
    """Seconds of the raycaster's very first call, in a process of its own and with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        done = subprocess.run([sys.executable, "-c", FIRST_FRAMES], env=environment, capture_output=True, check=True)
    return float(done.stdout)


def _median(values: list[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def _table(result: dict[str, Any]) -> str:
    """The numbers for people."""
    rows = [
        ("ours, steps/s", f"{result['raycast_steps_per_s']:,.0f}"),
        ("ours on one thread, steps/s", f"{result['raycast_one_thread_steps_per_s']:,.0f}"),
        ("dynamics alone, steps/s", f"{result['dynamics_steps_per_s']:,.0f}"),
        ("a million frames collected, s", f"{result['collect_1m_s']:.1f}"),
        ("compiled at first call, s", f"{result['compile_s']:.1f}"),
    ]
    if result["ratio"] is not None:
        low, high = result["ratio_range"]
        rows.insert(1, ("Miniworld, steps/s", f"{result['miniworld_steps_per_s']:,.0f}"))
        rows.insert(2, ("ratio (smallest and largest)", f"{result['ratio']:.0f} ({low:.0f} to {high:.0f})"))
    for name, of in (("parity", "all"), ("parity_of_varied_frames", "varied")):
        if (parity := result[name]) is not None:
            rows += [
                (f"{of} frames compared", f"{parity['frames']}"),
                ("  identical", f"{parity['identical']:.2%}"),
                ("  pixels different", f"{parity['pixels_different']:.5%}"),
                ("  smallest PSNR (100: identical)", f"{parity['psnr_min']:.1f} dB"),
                ("  mean SSIM", f"{parity['ssim_mean']:.7f}"),
            ]
    head = f"{result['layout']}, {result['environments']} environments, {result['threads']} threads"
    return "\n".join([head, *(f"{name:<32}{value:>24}" for name, value in rows)])
