"""An environment of one's own: a class, registered with Gymnasium, and then commands alone (docs/own_environment.md).

    cd examples
    jumpy collect --env own_environment:Corridors-v0 --steps 50000 --out ../runs/own/data
    jumpy train --data ../runs/own/data --model rssm --steps 400 --out ../runs/own/rssm
    jumpy benchmark --agents rssm=../runs/own/rssm --episodes 200 --first-seed 100000 --out ../runs/own/benchmark

`action_mask`, the goals and `shortest_path` may be left out. Then all actions are legal, what a random walk sees is the
goal, and the benchmark has no ceiling.
"""

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIDE, LENGTH = 3, 4
"""squares in a row, cells of a corridor"""
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""what the actions north, east, south and west add to x and y"""
State = tuple[int, ...]
"""a square (x, y), or cell k of the corridor that leaves it in a direction: (x, y, direction, k)"""


class Corridors(gymnasium.Env):
    """Nine squares joined by corridors, each with a colour of its own; a goal is the colour to be in.

    On a square the agent chooses a direction; in a corridor it can only walk on.
    """

    def __init__(self) -> None:
        picture, colour = spaces.Box(0, 255, (32, 32, 3), np.uint8), spaces.Box(0, 1, (3,), np.float32)
        self.observation_space = spaces.Dict({"observation": picture, "achieved_goal": colour, "desired_goal": colour})
        self.action_space = spaces.Discrete(len(MOVES))
        self.squares = [(x, y) for x in range(SIDE) for y in range(SIDE)]
        corridors = [(x, y, d) for x, y in self.squares for d in (1, 2) if max(self._beside(x, y, d)) < SIDE]
        colours = np.random.default_rng(0).permutation(np.linspace(0, 240, 4)[np.indices((4, 4, 4))].reshape(3, -1).T)
        self.colours = dict(zip([*self.squares, *corridors], colours.astype(np.uint8), strict=False))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start on a square; the goal is another place."""
        super().reset(seed=seed)
        places = list(self.colours)
        self.state: State = self.squares[self.np_random.integers(len(self.squares))]
        others = [place for place in places if place != self.state]
        self.goal = others[self.np_random.integers(len(others))]
        return self._seen(), self._info() | {"shortest_path": self._shortest_path()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Walk on; an action that is not legal changes nothing."""
        self.state = self._legal(self.state).get(int(action), self.state)
        there = self._place(self.state) == self.goal
        return self._seen(), float(there), there, False, self._info() | {"success": there}

    def _beside(self, x: int, y: int, direction: int) -> tuple[int, int]:
        return x + MOVES[direction][0], y + MOVES[direction][1]

    def _legal(self, state: State) -> dict[int, State]:
        """Where each legal action leads."""
        x, y, *on_the_way = state
        if not on_the_way:
            return {d: (x, y, d, 1) for d in range(4) if self._beside(x, y, d) in self.squares}
        direction, cell = on_the_way
        return {direction: (x, y, direction, cell + 1) if cell < LENGTH else self._beside(x, y, direction)}

    def _place(self, state: State) -> State:
        """The square or corridor; a corridor is named after its western or northern end."""
        x, y, *on_the_way = state
        if on_the_way and on_the_way[0] in (0, 3):
            x, y = self._beside(x, y, on_the_way[0])
        return (x, y, (on_the_way[0] + 2) % 4 if on_the_way[0] in (0, 3) else on_the_way[0]) if on_the_way else (x, y)

    def _shortest_path(self) -> int:
        """Steps to the goal, by breadth-first search."""
        steps, ahead = {self.state: 0}, deque([self.state])
        while self._place(here := ahead.popleft()) != self.goal:
            for there in self._legal(here).values():
                if there not in steps:
                    steps[there] = steps[here] + 1
                    ahead.append(there)
        return steps[here]

    def _seen(self) -> dict[str, np.ndarray]:
        """The colour of the place all around; white where one can go on, the nearer the wider."""
        place, picture = self._place(self.state), np.empty((32, 32, 3), np.uint8)
        picture[:] = self.colours[place]
        wide = 4 if len(self.state) == 2 else 2 * self.state[3]
        middle, edge = slice(16 - wide, 16 + wide), (slice(0, 4), slice(28, 32))
        for direction in self._legal(self.state):
            at = (edge[direction == 2], middle) if direction in (0, 2) else (middle, edge[direction == 1])
            picture[at] = 255
        achieved, desired = (self.colours[each].astype(np.float32) / 255 for each in (place, self.goal))
        return {"observation": picture, "achieved_goal": achieved, "desired_goal": desired}

    def _info(self) -> dict[str, Any]:
        legal = self._legal(self.state)
        return {"action_mask": np.array([direction in legal for direction in range(4)], np.int8)}


gymnasium.register("Corridors-v0", f"{__name__}:Corridors")
