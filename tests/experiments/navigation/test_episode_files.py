"""A benchmark's episode files: their bytes, resuming, errors."""

from pathlib import Path

import numpy as np
import pytest

from agent.acting.agents import Decision, RandomAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.navigation.episode_files import COLUMNS, EpisodeFile, read_episodes

RESULT = {name: np.arange(4) for name in COLUMNS} | {"planning_seconds": np.array([0, 0.25, 1e-7, 12.3456789])}
RESULT["success"] = np.array([True, False, True, False])
BYTES = b"""agent,seed,steps,reward,success,shortest_path,decisions,transitions,planning_seconds
a,0,0,0,1,0,0,0,0.000000
a,1,1,1,0,1,1,1,0.250000
a,2,2,2,1,2,2,2,0.000000
a,3,3,3,0,3,3,3,12.345679
"""


def test_bytes_of_a_file(tmp_path: Path) -> None:
    EpisodeFile(tmp_path / "a.csv", "a", range(4), 4).append(RESULT)
    assert (tmp_path / "a.csv").read_bytes() == BYTES
    assert not EpisodeFile(tmp_path / "a.csv", "a", range(4), 4).remaining
    assert (tmp_path / "a.csv").read_bytes() == BYTES
    numbers = read_episodes(tmp_path / "a.csv")
    assert list(numbers) == list(COLUMNS)[1:]
    assert numbers["success"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("lost", "batch", "kept"), [(1, 2, 2), (1, 1, 3), (30, 2, 2), (60, 2, 0), (200, 2, 0), (len(BYTES), 2, 0)]
)
def test_a_torn_file_is_cut_to_whole_batches(tmp_path: Path, lost: int, batch: int, kept: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(BYTES[:-lost])
    file = EpisodeFile(path, "a", range(4), batch)
    assert file.finished == kept
    assert [seed for seeds in file.remaining for seed in seeds] == list(range(kept, 4))
    assert path.read_bytes() == b"".join(BYTES.splitlines(keepends=True)[: 1 + kept])


def test_an_episode_file_of_other_seeds_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(BYTES)
    for agent, seeds in (("a", range(5, 9)), ("b", range(4)), ("a", range(3))):
        with pytest.raises(ValueError, match=rf"a\.csv, line \d: expected the episode of {agent} .*--overwrite"):
            EpisodeFile(path, agent, seeds, 4)
    path.write_bytes(BYTES.replace(b"steps", b"moves"))
    with pytest.raises(ValueError, match=r"a\.csv .*columns agent, seed, steps.*--overwrite"):
        EpisodeFile(path, "a", range(4), 4)
    assert path.read_bytes() == BYTES.replace(b"steps", b"moves")


@pytest.mark.parametrize("content", [b"", BYTES.splitlines(keepends=True)[0], BYTES.replace(b"0.25", b"0,25")])
def test_a_file_without_whole_rows_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv .*9 columns"):
        read_episodes(tmp_path / "a.csv")


def test_agents_write_their_transitions(tmp_path: Path) -> None:
    class Costly(RandomAgent):
        def act(self, observation: dict, info: dict, deciding: np.ndarray) -> Decision:
            return super().act(observation, info, deciding)._replace(transitions=5 * deciding.astype(np.int64))

    file = EpisodeFile(tmp_path / "a.csv", "a", range(6), 4)
    for seeds in file.remaining:
        file.append(navigate(Costly(), Layout.paper(), seeds))
    numbers = read_episodes(tmp_path / "a.csv")
    assert np.array_equal(numbers["transitions"], 5 * numbers["decisions"])
    assert not EpisodeFile(tmp_path / "a.csv", "a", range(6), 4).remaining
