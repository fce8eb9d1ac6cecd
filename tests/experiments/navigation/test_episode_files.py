"""A benchmark's episode files: their bytes, resuming, errors."""

from pathlib import Path

import numpy as np
import pytest

from agent.acting.agents import Decision, RandomAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.common.json_files import digests
from experiments.navigation.episode_files import COLUMNS, EpisodeFile, read_episodes

RESULT = {
    "seed": np.arange(4),
    "steps": np.array([10, 100, 20, 100]),
    "reward": np.array([90, 0, 80, 0]),
    "success": np.array([True, False, True, False]),
    "shortest_path": np.array([10, 5, 8, 9]),
    "decisions": np.arange(4),
    "transitions": np.arange(4),
    "planning_seconds": np.array([0, 0.25, 1e-7, 12.3456789]),
}
BYTES = b"""agent,seed,steps,reward,success,shortest_path,decisions,transitions,planning_seconds
a,0,10,90,1,10,0,0,0.000000
a,1,100,0,0,5,1,1,0.250000
a,2,20,80,1,8,2,2,0.000000
a,3,100,0,0,9,3,3,12.345679
"""
FOUR = {"episodes": 4, "first_seed": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "episodes").mkdir()
    return tmp_path / "episodes" / "a.csv"


def test_bytes_of_a_file(path: Path) -> None:
    EpisodeFile(path, "a", range(4), 4).append(RESULT)
    assert path.read_bytes() == BYTES
    assert not EpisodeFile(path, "a", range(4), 4).remaining
    assert path.read_bytes() == BYTES
    numbers = read_episodes(path.parent.parent, "a", FOUR)
    assert list(numbers) == list(COLUMNS)[1:]
    assert numbers["success"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("lost", "batch", "kept"), [(1, 2, 2), (1, 1, 3), (30, 2, 2), (60, 2, 0), (200, 2, 0), (len(BYTES), 2, 0)]
)
def test_a_torn_file_is_cut_to_whole_batches(path: Path, lost: int, batch: int, kept: int) -> None:
    path.write_bytes(BYTES[:-lost])
    file = EpisodeFile(path, "a", range(4), batch)
    assert file.finished == kept
    assert [seed for seeds in file.remaining for seed in seeds] == list(range(kept, 4))
    assert path.read_bytes() == b"".join(BYTES.splitlines(keepends=True)[: 1 + kept])


def test_an_episode_file_of_other_seeds_is_an_error(path: Path) -> None:
    path.write_bytes(BYTES)
    for agent, seeds in (("a", range(5, 9)), ("b", range(4)), ("a", range(3))):
        with pytest.raises(ValueError, match=rf"a\.csv, line \d: expected the episode of {agent} .*--overwrite"):
            EpisodeFile(path, agent, seeds, 4)
    path.write_bytes(BYTES.replace(b"steps", b"moves"))
    with pytest.raises(ValueError, match=r"a\.csv .*columns agent, seed, steps.*--overwrite"):
        EpisodeFile(path, "a", range(4), 4)
    assert path.read_bytes() == BYTES.replace(b"steps", b"moves")


ALTERED = {
    "no file content": (BYTES, b""),
    "no rows": (BYTES[BYTES.index(b"a,0") :], b""),
    "half of the rows": (BYTES[BYTES.index(b"a,2") :], b""),
    "a row twice": (b"a,1,", b"a,0,"),
    "reward": (b",80,1,8", b",999,1,8"),
    "reward of an unsolved episode": (b",100,0,0,5", b",100,5,0,5"),
    "steps": (b"a,1,100", b"a,1,101"),
    "an unsolved episode that ended early": (b"a,1,100", b"a,1,90"),
    "success": (b",80,1,", b",80,2,"),
    "shorter than the shortest path": (b",80,1,8", b",80,1,21"),
    "decisions": (b",9,3,3,", b",9,300,3,"),
    "transitions without a decision": (b",10,0,0,", b",10,0,7,"),
    "another spelling": (b"a,2,20,80", b"a,2,2_0,80"),
    "no number": (b"0.25", b"0,25"),
    "not finite": (b"0.250000", b"nan"),
    "not text": (b"0.25", b"0.\xff5"),
}


@pytest.mark.parametrize("change", ALTERED)
def test_rows_that_break_a_rule_are_refused(path: Path, change: str) -> None:
    old, new = ALTERED[change]
    assert BYTES.count(old) == 1
    path.write_bytes(BYTES.replace(old, new))
    with pytest.raises(ValueError, match=r"a\.csv.*--overwrite"):
        read_episodes(path.parent.parent, "a", FOUR)


def test_altered_rows_that_keep_the_rules_are_seen(path: Path) -> None:
    path.write_bytes(BYTES)
    summary = FOUR | {"files": digests(path.parent.parent, ["episodes/a.csv"])}
    assert read_episodes(path.parent.parent, "a", summary)["reward"].sum() == 170
    path.write_bytes(BYTES.replace(b"a,2,20,80", b"a,2,19,81"))
    with pytest.raises(ValueError, match=r"a\.csv was altered.*SHA-256.*--overwrite"):
        read_episodes(path.parent.parent, "a", summary)


def test_agents_write_their_transitions(path: Path) -> None:
    class Costly(RandomAgent):
        def act(self, observation: dict, info: dict, deciding: np.ndarray) -> Decision:
            return super().act(observation, info, deciding)._replace(transitions=5 * deciding.astype(np.int64))

    file = EpisodeFile(path, "a", range(6), 4)
    for seeds in file.remaining:
        file.append(navigate(Costly(), Layout.paper(), seeds))
    numbers = read_episodes(path.parent.parent, "a", FOUR | {"episodes": 6})
    assert np.array_equal(numbers["transitions"], 5 * numbers["decisions"])
    assert not EpisodeFile(path, "a", range(6), 4).remaining
