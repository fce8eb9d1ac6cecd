"""Navigation with agents whose path is known."""

import numpy as np
import pytest

from agent.acting.agents import Decision, RandomAgent, ShortestPathAgent
from agent.acting.navigate import navigate
from envs.maze import JumpyMaze
from tests.support.perfect import PAPER, perfect_agent


def same(one: dict, other: dict, rows: slice = slice(None)) -> bool:
    return all(np.array_equal(one[name][rows], other[name]) for name in one if name != "planning_seconds")


def test_perfect_model_walks_the_shortest_path() -> None:
    result = navigate(perfect_agent(), PAPER, range(20))
    assert result["shortest_path"].max() <= 40  # within the planner's horizon
    assert result["success"].all()
    assert np.array_equal(result["steps"], result["shortest_path"])
    assert np.array_equal(result["reward"], 100 - result["shortest_path"])
    assert (result["transitions"][result["decisions"] > 0] > 0).all()
    assert (result["planning_seconds"][result["decisions"] > 0] > 0).all()


def test_shortest_path_agent_walks_it() -> None:
    result = navigate(ShortestPathAgent(PAPER), PAPER, range(300))
    assert np.array_equal(result["steps"], result["shortest_path"])
    assert result["success"].all()
    assert not result["transitions"].any()


def test_random_agent_does_not_depend_on_the_batch() -> None:
    together = navigate(RandomAgent(), PAPER, range(40), batch=40, record=True)
    assert same(together, navigate(RandomAgent(), PAPER, range(40), batch=7, record=True))
    assert same(together, navigate(RandomAgent(), PAPER, range(30, 40), record=True), slice(30, 40))
    assert not same(together, navigate(RandomAgent(seed=1), PAPER, range(40), record=True))


def test_random_agent_is_as_good_as_random_navigation_was_measured() -> None:
    # docs/architecture.md: random navigation earns 26.0 on average and solves 46 %, the shortest path earns 79.1. The
    # standard error of 1000 rewards (std 33) is 1.0.
    random = navigate(RandomAgent(), PAPER, range(100_000, 101_000))
    best = navigate(ShortestPathAgent(PAPER), PAPER, range(100_000, 101_000))
    assert random["reward"].mean() == pytest.approx(26.0, abs=4)
    assert random["success"].mean() == pytest.approx(0.46, abs=0.06)
    assert best["reward"].mean() == pytest.approx(79.1, abs=1.5)
    assert (random["steps"][~random["success"]] == 100).all()
    assert not random["reward"][~random["success"]].any()


class Recorder(RandomAgent):
    """A random agent that keeps what it sees."""

    looks = True

    def reset(self, seeds: np.ndarray) -> None:
        super().reset(seeds)
        self.frames: list[np.ndarray] = []
        self.taken: list[np.ndarray] = []

    def act(self, observation: dict, info: dict, deciding: np.ndarray) -> Decision:
        decision = super().act(observation, info, deciding)
        self.frames.append(observation["observation"])
        self.taken.append(decision.action)
        return decision


def test_episode_of_a_seed_is_that_of_the_environment() -> None:
    agent = Recorder()
    result = navigate(agent, PAPER, [5, 123_456], record=True)
    for row, seed in enumerate((5, 123_456)):
        env = JumpyMaze()
        observation, info = env.reset(seed=seed)
        assert np.array_equal(info["goal_cell"], result["goal"][row])
        for t in range(result["steps"][row]):
            assert np.array_equal(observation["observation"], agent.frames[t][row])
            assert np.array_equal(info["pose"], result["pose"][row, t])
            observation, reward, *_, info = env.step(int(agent.taken[t][row]))
        assert reward == result["reward"][row]
        assert info["success"] == result["success"][row]
        assert (result["pose"][row, result["steps"][row] :] == info["pose"]).all()
        env.close()


def test_no_seeds_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one episode seed"):
        navigate(RandomAgent(), PAPER, [])
