"""A small environment with pictures: a ring of twelve places."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Ring(gymnasium.Env):
    """Twelve places in a ring, each seen as a shade of grey; action 2 does nothing, and place 11 may end an episode."""

    def __init__(self, ends=False, goals=False):
        self.ends, self.goals = ends, goals
        picture = spaces.Box(0, 255, (10, 14, 3), np.uint8)
        place = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = (
            spaces.Dict({"observation": picture, "achieved_goal": place, "desired_goal": place}) if goals else picture
        )
        self.action_space = spaces.Discrete(3)

    def _seen(self):
        picture, angle = np.full((10, 14, 3), 20 * self.place, np.uint8), 2 * np.pi * self.place / 12
        place = np.array([np.cos(angle), np.sin(angle)], np.float32)
        return {"observation": picture, "achieved_goal": place, "desired_goal": place} if self.goals else picture

    def _info(self):
        return {"action_mask": np.array([1, self.place != 0, 1], np.int8)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(11))
        return self._seen(), self._info()

    def step(self, action):
        self.place = (self.place + (1, -1, 0)[action]) % 12
        return self._seen(), 0.0, self.ends and self.place == 11, False, self._info()
