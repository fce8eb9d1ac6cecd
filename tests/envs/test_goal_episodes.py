"""Goals in environments that are known by their ids: when an episode is solved, fails or is truncated."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs.goal_episodes import GoalEpisodes, GoalTask
from envs.named import NamedEnvironment

ALL = np.ones(1, bool)


class Line(gymnasium.Env):
    """Five places in a line, numbered by their achieved goals; 0 ends an episode, and the goal is 4."""

    def __init__(self, says=None, ends=True, path=2, only="achieved_goal desired_goal"):
        self.says, self.ends, self.path = says, ends, path
        picture, number = spaces.Box(0, 255, (8, 8, 1), np.uint8), spaces.Box(0, 4, (1,), np.float64)
        self.observation_space = spaces.Dict({"observation": picture} | dict.fromkeys(only.split(), number))
        self.action_space = spaces.Discrete(2)

    def _seen(self):
        goals = {"achieved_goal": np.array([self.place], float), "desired_goal": np.array([4.0])}
        return {"observation": np.full((8, 8, 1), self.place, np.uint8)} | goals

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 2
        return self._seen(), {"shortest_path": self.path}

    def step(self, action):
        self.place += 1 if action else -1
        told = {self.says: self.place == 4} if self.says else {}
        return self._seen(), -1.0, self.ends and self.place in (0, 4), False, told


@pytest.fixture(autouse=True)
def line():
    gymnasium.register("Line-v0", lambda **options: Line(**options), disable_env_checker=True)
    yield
    del gymnasium.registry["Line-v0"]


def task(options="{}", **others):
    return GoalTask(NamedEnvironment("Line-v0", options, size=4), **others)


@pytest.mark.parametrize(
    "options", ["{}", '{"says": "success"}', '{"says": "is_success", "ends": false}'], ids=["equal", "success", "is"]
)
def test_a_goal_is_reached_as_the_environment_says_or_where_goals_are_equal(options):
    episodes = GoalEpisodes(task(options, max_steps=10), [0])
    assert episodes.observation()["observation"].shape == (1, 4, 4, 3)
    assert episodes.observation()["desired_goal"].dtype == np.float32
    ends = [episodes.act(np.array([1]), ALL) for _ in range(2)]
    assert [[each[0].item() for each in end] for end in ends] == [[0, False, False], [8, True, False]]
    assert episodes.success.tolist() == [True] and episodes.shortest_path.tolist() == [2]


def test_an_end_elsewhere_is_no_success_and_life_is_limited():
    episodes = GoalEpisodes(task(), [0, 1])
    episodes.act(np.array([0, 0]), np.array([True, True]))
    _, terminated, truncated = episodes.act(np.array([0, 1]), np.array([True, True]))
    assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, False])
    assert not episodes.success.any()
    episodes.act(np.array([0, 1]), np.array([False, True]))  # the first has ended and stays
    assert episodes.t.tolist() == [2, 3]
    short = GoalEpisodes(task(max_steps=1), [0])
    assert short.act(np.array([0]), ALL)[2].tolist() == [True]


def test_what_does_not_agree_is_said():
    with pytest.raises(ValueError, match=r"shortest path of 3 steps.*reached in 2"):
        episodes = GoalEpisodes(task('{"path": 3}'), [0])
        for _ in range(2):
            episodes.act(np.array([1]), ALL)
    with pytest.raises(ValueError, match="only one of achieved_goal and desired_goal"):
        GoalEpisodes(task('{"only": "achieved_goal"}'), [0])
