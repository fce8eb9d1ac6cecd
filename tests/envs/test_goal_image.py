"""GoalImage: goals that are seen on a random walk, and the rewards for seeing them again."""

import gymnasium
import numpy as np
import pytest

from envs.goal_image import GoalImage
from envs.named import ChosenActions
from tests.support.ring import Ring


def test_observations_are_in_its_space():
    ring = GoalImage(Ring())
    assert ring.reset(seed=0)[0] in ring.observation_space and ring.step(0)[0] in ring.observation_space


def test_seeing_the_goal_again_ends_an_episode_with_what_is_left_of_its_life():
    ring = GoalImage(ChosenActions(Ring(), (0, 1)), size=8, max_steps=30)
    for seed in range(20):
        observation, info = ring.reset(seed=seed)
        goal, start = (int(observation[name][0, 0, 0]) // 20 for name in ("desired_goal", "observation"))
        assert goal != start and info["action_mask"].tolist() == [1, int(start != 0)]
        steps = (goal - start) % 12
        for step in range(1, steps + 1):
            observation, reward, terminated, truncated, info = ring.step(0)
            assert (terminated, info["success"]) == (step == steps, step == steps) and not truncated
            assert reward == (30 - steps if step == steps else 0)
        assert (observation["achieved_goal"] == observation["desired_goal"]).all()


def test_episodes_are_truncated_and_a_seed_decides_them():
    ring = GoalImage(Ring(), size=8, max_steps=3)
    one, other = ring.reset(seed=4)[0], ring.reset(seed=4)[0]
    assert all((one[name] == other[name]).all() for name in one)
    assert [ring.step(2)[3] for _ in range(3)] == [False, False, True]
    goals = {int(ring.reset(seed=seed)[0]["desired_goal"][0, 0, 0]) for seed in range(30)}
    assert len(goals) > 4


class Elsewhere(Ring):
    """Starts somewhere else each time."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = getattr(self, "last", 0) + 1
        self.last = self.place
        return self._seen(), self._info()


def test_what_has_no_goals_is_refused():
    with pytest.raises(ValueError, match="Discrete actions"):
        GoalImage(gymnasium.make("Pendulum-v1"))
    with pytest.raises(ValueError, match=r"1 or more, got 0"):
        GoalImage(Ring(), size=0)
    with pytest.raises(ValueError, match="only sees its start"):
        GoalImage(ChosenActions(Ring(), (2,))).reset(seed=0)
    with pytest.raises(ValueError, match="starts elsewhere"):
        GoalImage(Elsewhere()).reset(seed=0)
    assert np.all(GoalImage(Ring()).reset()[0]["observation"] <= 255)
