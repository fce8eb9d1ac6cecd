"""Imagined frames, jumpy and full, from a run of two steps."""

from pathlib import Path
from typing import Any

import numpy as np

from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments.common.trained_runs import TrainedRun, load_trained
from experiments.figures.frames import plot_jumpy_generations, plot_two_generations, plot_varied_lengths
from experiments.figures.generation import (
    PASSAGES,
    follow,
    futures,
    measure_jumpy_generations,
    measure_two_generations,
    measure_varied_lengths,
)
from experiments.navigation.jump_accuracy import arrivals

PAPER = Layout.paper()


def loaded(maze_runs: Path) -> list[TrainedRun]:
    return [load_trained(maze_runs / "hrssm")]


def test_two_generations(maze_runs: Path) -> None:
    numbers = measure_two_generations(loaded(maze_runs), 0)
    assert {name: array.shape for name, array in numbers.arrays.items()} == {
        "context": (5, 32, 32, 3),
        "full": (2, 20, 32, 32, 3),
        "start": (2, 20),
        "jumpy": (2, PASSAGES, 32, 32, 3),
        "maze": (2, PASSAGES, 32, 32, 3),
    }
    assert all(array.dtype == np.uint8 for name, array in numbers.arrays.items() if name != "start")
    assert numbers.arrays["start"][:, 0].all()
    one, other = numbers.facts["generations"]
    assert one["actions"][0] != other["actions"][0]
    assert one["cells"][0] == other["cells"][0] == numbers.facts["pose"][:2]
    again = measure_two_generations(loaded(maze_runs), 0)
    assert all((again.arrays[name] == array).all() for name, array in numbers.arrays.items())
    assert plot_two_generations(numbers).axes


def test_other_generations(maze_runs: Path) -> None:
    numbers = measure_jumpy_generations(loaded(maze_runs), 1)
    several: list[dict[str, Any]] = numbers.facts["generations"]
    assert len({tuple(one["actions"]) for one in several}) == len(several) == 9
    assert all(len(one[name]) == PASSAGES for one in several for name in ("hallways", "imagined", "shown"))
    assert plot_jumpy_generations(numbers).axes
    same = measure_varied_lengths(loaded(maze_runs), 1)
    assert len({tuple(one["actions"]) for one in same.facts["generations"]}) == 1
    assert len({frames.tobytes() for frames in same.arrays["full"]}) == 6  # samples differ
    assert plot_varied_lengths(same).axes


def test_futures_are_legal_and_followed() -> None:
    pose = next(pose for pose in arrivals(PAPER) if Dynamics.of(PAPER).action_mask(pose[None]).sum() == 3)
    found = futures(PAPER, pose, 3)
    assert len({tuple(actions) for actions in found.tolist()}) == len(found)
    assert set(found[:, 0].tolist()) == {0, 1, 2}
    for actions in found:
        way = follow(PAPER, pose, actions)
        steps = np.abs(np.diff(np.array(way.cells), axis=0)).sum(axis=1)
        assert steps.max() == 1  # cell by cell; turns stay
        visited = [int(PAPER.hallway[y, x]) for x, y in way.cells if PAPER.hallway[y, x] >= 0]
        assert [hallway for hallway in way.hallways if hallway not in visited] == []
