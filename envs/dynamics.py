"""How the agent moves: legal actions, transitions, passages and shortest paths, as lookup tables over all poses.

A pose is (x, y, heading, mode), int16. x grows to the right, y downwards. Headings turn clockwise: east, south, west,
north; a right turn adds 1 modulo 4. The mode says how the pose was reached: ``ARRIVED`` by a move (or as a start),
``TURNED`` by a turn.

Legal actions (a pose that none of these rules names cannot occur):

1. in a hallway: forward (there is no turning around);
2. in a junction, arrived: forward, left, right, each only where that side is open;
3. in a junction, turned: forward;
4. in a dead end facing its wall: left and right; after that first turn the same turn once more; then forward.

The action taken on arrival in a junction, or the first turn in a dead end, is a *passage*; all others are forced.
An illegal action leaves the pose as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int16, Int64, Integer

from envs.layout import HALLWAY, JUNCTION, Layout

FORWARD, LEFT, RIGHT = 0, 1, 2
EAST, SOUTH, WEST, NORTH = 0, 1, 2, 3
ARRIVED, TURNED = 0, 1
ACTIONS, HEADINGS, MODES = 3, 4, 2
MOVES = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (dx, dy) of one step east, south, west, north


class Walk(NamedTuple):
    """E walks of T steps; the action is taken in the pose of its step."""

    pose: Int16[np.ndarray, "e t 4"]
    action: Int8[np.ndarray, "e t"]
    action_mask: Int8[np.ndarray, "e t 3"]


class Dynamics:
    """Tables of one layout; every call takes a batch of poses and is a few look-ups.

    Poses that cannot occur (in a wall, across a hallway, …) have no legal action and no path.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._height, self._width = layout.shape
        self._poses = _every_pose(layout)  # (S, 4)
        self._possible, self._mask, self._passage = _rules(layout)  # (S,), (S, 3), (S,)
        self._next = self._transitions()  # (S, 3)
        self._cells = np.argwhere(layout.free)[:, ::-1].astype(np.int16)  # (C, 2): x, y of the free cells
        arrived = self._poses[self._possible & (self._poses[:, 3] == ARRIVED)]
        self._arrivals = [arrived[(arrived[:, :2] == cell).all(axis=1)] for cell in self._cells]
        self._distance: np.ndarray | None = None

    @classmethod
    def of(cls, layout: Layout) -> Dynamics:
        """The tables of a layout, made once and shared."""
        return _dynamics(layout)

    def possible(self, pose: Int16[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
        """Whether a pose can occur."""
        return self._possible[self._state(pose)]

    def action_mask(self, pose: Int16[np.ndarray, "n 4"]) -> Int8[np.ndarray, "n 3"]:
        """1 for each legal action, 0 for the others."""
        return self._mask.take(self._state(pose), axis=0)

    def passage(self, pose: Int16[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
        """Whether the action taken in this pose is a passage: the true boundary, m_t = 1."""
        return self._passage[self._state(pose)]

    def step(
        self, pose: Int16[np.ndarray, "n 4"], action: Integer[np.ndarray, " n"]
    ) -> tuple[Int16[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """The next poses, and which actions were illegal (they leave the pose as it is)."""
        state = self._state(pose)
        return self._poses.take(self._next[state, action], axis=0), self._mask[state, action] == 0

    def walk(self, start: Int16[np.ndarray, "e 4"], uniform: Float64[np.ndarray, "e t"]) -> Walk:
        """Random walks, uniform over the legal actions.

        Args:
            start: their first poses.
            uniform: one number in [0, 1) for each step's action.
        """
        states = np.empty(uniform.shape, dtype=np.intp)
        action = np.empty(uniform.shape, dtype=np.int8)
        legal = self._mask.cumsum(axis=1)  # (S, 3): how many actions up to this one are legal
        state = self._state(start)
        for t in range(uniform.shape[1]):
            states[:, t], sofar = state, legal[state]
            drawn = (uniform[:, t] * sofar[:, -1]).astype(np.int8)  # the number of the action among the legal ones
            action[:, t] = (sofar > drawn[:, None]).argmax(axis=1)
            state = self._next[state, action[:, t]]
        return Walk(self._poses[states], action, self._mask[states])

    def distance(self, pose: Int16[np.ndarray, "n 4"], goal: Int16[np.ndarray, "n 2"]) -> Int64[np.ndarray, " n"]:
        """The smallest number of actions that enters the goal cell (x, y); 0 where the pose is in it.

        Raises:
            ValueError: if a pose cannot occur or a goal is not a free cell.
        """
        distance = self._distances[self._state(pose), self._place(goal)].astype(np.int64)
        if (distance < 0).any():
            wrong = int(np.argmin(distance))
            raise ValueError(
                f"a path needs a pose that can occur and a free goal cell, got the pose {pose[wrong].tolist()} "
                f"(x, y, heading, mode) and the goal {goal[wrong].tolist()} (x, y)"
            )
        return distance

    def shortest_action(
        self, pose: Int16[np.ndarray, "n 4"], goal: Int16[np.ndarray, "n 2"]
    ) -> Int64[np.ndarray, " n"]:
        """The first action of a shortest path; the lowest-numbered one where several are equally good."""
        state = self._state(pose)
        after = self._distances[self._next[state], self._place(goal)[:, None]].astype(np.int64)  # (N, 3)
        return np.where(self._mask[state] == 1, after, np.iinfo(np.int64).max).argmin(axis=1)

    def start(self, rng: np.random.Generator) -> Int16[np.ndarray, " 4"]:
        """A start: a uniform free cell, then a heading that one could have arrived with.

        In a hallway that is either way along it, in a junction away from an open side.
        """
        return self._arrival(rng, int(rng.integers(len(self._cells))))

    def start_and_goal(self, rng: np.random.Generator) -> tuple[Int16[np.ndarray, " 4"], Int16[np.ndarray, " 2"]]:
        """A start pose and a goal cell (x, y): two distinct free cells drawn uniformly."""
        start = int(rng.integers(len(self._cells)))
        goal = int(rng.integers(len(self._cells) - 1))
        return self._arrival(rng, start), self._cells[goal + (goal >= start)].copy()

    def _arrival(self, rng: np.random.Generator, cell: int) -> np.ndarray:
        """A drawn pose of the free cell with this number, mode arrived."""
        arrivals = self._arrivals[cell]
        return arrivals[rng.integers(len(arrivals))].copy()

    def _first_state(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Number of the first state in a cell: the one of east, arrived."""
        return (y.astype(np.intp) * self._width + x) * (HEADINGS * MODES)

    def _state(self, pose: np.ndarray) -> np.ndarray:
        """The rows of poses (N, 4) in the tables."""
        return self._first_state(pose[:, 0], pose[:, 1]) + pose[:, 2] * MODES + pose[:, 3]

    def _place(self, cell: np.ndarray) -> np.ndarray:
        """The columns of cells (N, 2) in the table of distances."""
        return cell[:, 1].astype(np.intp) * self._width + cell[:, 0]

    def _transitions(self) -> np.ndarray:
        """The state after each action, (S, 3); the same state where the action is illegal."""
        moved = self._poses.copy()
        moved[:, :2] += np.array(MOVES, dtype=np.int16)[moved[:, 2]]
        moved[:, 3] = ARRIVED
        following = np.empty((len(self._poses), ACTIONS), dtype=np.intp)
        following[:, FORWARD] = self._state(moved)
        for action, turn in ((LEFT, -1), (RIGHT, 1)):
            turned = self._poses.copy()
            turned[:, 2] = (turned[:, 2] + turn) % HEADINGS
            turned[:, 3] = TURNED
            following[:, action] = self._state(turned)
        return np.where(self._mask == 1, following, np.arange(len(following))[:, None])

    @property
    def _distances(self) -> np.ndarray:
        """Distances from every state to every cell, (S, H·W) int16, made when first asked; -1 where no path is."""
        if self._distance is None:
            self._distance = self._search_backward()
        return self._distance

    def _search_backward(self) -> np.ndarray:
        """Breadth-first search over full poses from all goals at once: one more action for each round."""
        states = np.flatnonzero(self._possible)
        compact = np.zeros(len(self._possible), dtype=np.intp)
        compact[states] = np.arange(len(states))
        following = compact[self._next[states]]  # (P, 3); an illegal action stays, which never shortens a path
        places = self._place(self._cells)
        unknown = np.iinfo(np.int16).max - 1
        distance = np.where(self._place(self._poses[states])[:, None] == places, 0, unknown).astype(np.int16)
        while True:
            shorter = np.minimum(distance, distance[following].min(axis=1) + 1)
            if (shorter == distance).all():
                break
            distance = shorter
        distances = np.full((len(self._possible), self._height * self._width), -1, dtype=np.int16)
        distances[np.ix_(states, places)] = distance
        return distances


@lru_cache(maxsize=32)
def _dynamics(layout: Layout) -> Dynamics:
    """The cache of `Dynamics.of`."""
    return Dynamics(layout)


def _every_pose(layout: Layout) -> np.ndarray:
    """All poses of a map in the order of their state numbers, (S, 4) int16."""
    y, x, heading, mode = np.indices((*layout.shape, HEADINGS, MODES), dtype=np.int16)
    return np.stack((x, y, heading, mode), axis=-1).reshape(-1, 4)


def _rules(layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which poses can occur (S,), their legal actions (S, 3), and where the action is a passage (S,).

    The arrays below have the axes (y, x, heading, mode); `ahead`, `left`, `right`, `behind` are seen from the heading.
    """
    ahead = layout.sides
    behind, left, right = (np.roll(layout.sides, turn, axis=-1) for turn in (2, 1, -1))
    junction = (layout.cells == JUNCTION)[..., None]
    dead_end = layout.dead_end[..., None]
    hallway = (layout.cells == HALLWAY)[..., None] & ~dead_end

    possible = np.zeros((*layout.shape, HEADINGS, MODES), dtype=bool)
    possible[..., ARRIVED] = (hallway & ahead) | (junction & behind) | (dead_end & (ahead | behind))
    possible[..., TURNED] = (junction & ahead) | (dead_end & ~behind)

    legal = np.zeros((*possible.shape, ACTIONS), dtype=bool)
    legal[..., ARRIVED, FORWARD] = ahead
    legal[..., ARRIVED, LEFT] = (junction & left) | (dead_end & behind)
    legal[..., ARRIVED, RIGHT] = (junction & right) | (dead_end & behind)
    legal[..., TURNED, FORWARD] = ahead
    legal[..., TURNED, LEFT] = dead_end & left
    legal[..., TURNED, RIGHT] = dead_end & right
    legal &= possible[..., None]

    passage = possible & (np.stack((junction | (dead_end & behind), np.zeros_like(ahead)), axis=-1))
    return possible.ravel(), legal.reshape(-1, ACTIONS).astype(np.int8), passage.ravel()
