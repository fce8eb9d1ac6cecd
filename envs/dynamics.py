"""How the agent moves: legal actions, transitions, passages and shortest paths, as lookup tables over all poses.

A pose is (x, y, heading, mode), int16. x grows to the right, y downwards. Headings are clockwise: east, south, west,
north; a right turn adds 1 modulo 4. The mode says how the pose was reached: ``ARRIVED`` by a move (or at the start),
``TURNED`` by a turn.

Legal actions (any other pose cannot occur and has no legal action):

1. in a hallway: forward (there is no turning around);
2. in a junction, arrived: forward, left, right, each only if that side is open;
3. in a junction, turned: forward;
4. in a dead end facing its wall: left and right; after that first turn the same turn again; then forward.

The action on arrival in a junction, or the first turn in a dead end, is a *passage*; all others are forced.
An illegal action does not change the pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int16, Int64, Integer

from envs.layout import HALLWAY, JUNCTION, Layout

FORWARD, LEFT, RIGHT = 0, 1, 2
EAST, SOUTH, WEST, NORTH = 0, 1, 2, 3
ARRIVED, TURNED = 0, 1
ACTIONS, HEADINGS, MODES = 3, 4, 2
FEWEST_LIFE_STEPS, LIFE_STEPS_UNIT = 100, 50
MOVES = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (dx, dy) of one step east, south, west, north


class Walk(NamedTuple):
    """E walks of T steps; each action is taken in the pose of the same step."""

    pose: Int16[np.ndarray, "e t 4"]
    action: Int8[np.ndarray, "e t"]
    action_mask: Int8[np.ndarray, "e t 3"]


class Dynamics:
    """The tables of one layout; every method looks up a batch of poses."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        y, x, heading, mode = np.indices((*layout.shape, HEADINGS, MODES), dtype=np.int16)
        self._poses = np.stack((x, y, heading, mode), axis=-1).reshape(-1, 4)  # (S, 4)
        self._mask, self._passage = _rules(layout)  # (S, 3), (S,)
        self._next = _transitions(self._mask, layout)  # (S, 3)
        self._cells = np.argwhere(layout.free)[:, ::-1].astype(np.int16)  # (C, 2): x, y of the free cells
        arrived = self.poses[self.poses[:, 3] == ARRIVED]
        self._arrivals = [arrived[(arrived[:, :2] == cell).all(axis=1)] for cell in self._cells]
        self._rows = _numbered(np.asarray(self._mask.any(axis=1)))  # (S,)
        self._columns = _numbered(layout.free.ravel())  # (H·W,)

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, layout: Layout) -> Dynamics:
        """The tables of a layout, computed once and shared."""
        return cls(layout)

    @property
    def poses(self) -> Int16[np.ndarray, "p 4"]:
        """All poses that can occur."""
        return self._poses[self._mask.any(axis=1)]

    def action_mask(self, pose: Int16[np.ndarray, "n 4"]) -> Int8[np.ndarray, "n 3"]:
        """1 for legal actions, 0 for the others."""
        return self._mask.take(self._state(pose), axis=0)

    def passage(self, pose: Int16[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
        """Whether the action in this pose is a passage: the true boundary, m_t = 1."""
        return self._passage[self._state(pose)]

    def step(
        self, pose: Int16[np.ndarray, "n 4"], action: Integer[np.ndarray, " n"]
    ) -> tuple[Int16[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """The next poses, and which actions were illegal."""
        state = self._state(pose)
        return self._poses.take(self._next[state, action], axis=0), self._mask[state, action] == 0

    def walk(self, start: Int16[np.ndarray, "e 4"], uniform: Float64[np.ndarray, "e t"]) -> Walk:
        """Random walks from the `start` poses, uniform over the legal actions; `uniform` is in [0, 1)."""
        states = np.empty(uniform.shape, dtype=np.intp)
        action = np.empty(uniform.shape, dtype=np.int8)
        legal = self._mask.cumsum(axis=1)  # (S, 3): how many actions up to this one are legal
        state = self._state(start)
        for t in range(uniform.shape[1]):
            states[:, t], so_far = state, legal[state]
            sampled = (uniform[:, t] * so_far[:, -1]).astype(np.int8)  # index among the legal actions
            action[:, t] = (so_far > sampled[:, None]).argmax(axis=1)
            state = self._next[state, action[:, t]]
        return Walk(self._poses[states], action, self._mask[states])

    @cached_property
    def mean_distance(self) -> float:
        """Mean `distance` over the starts and goals of `start_and_goal`, which are weighted as it samples them."""
        cells = len(self._cells)
        rows = [self._row(self._state(arrivals)) for arrivals in self._arrivals]
        total = sum(float(self._distances[row].sum(axis=1).mean()) for row in rows)
        return total / (cells * (cells - 1))  # a start is at distance 0 of its own cell

    @cached_property
    def life_steps(self) -> int:
        """Steps after which an episode ends without success; a success after k steps earns `life_steps` - k.

        100, or as many more, in steps of 50, as let the shortest path reach every goal and leave it more than half of
        them on average.
        """
        enough = max(int(2 * self.mean_distance) + 1, int(self._distances.max()))
        return max(FEWEST_LIFE_STEPS, -(-enough // LIFE_STEPS_UNIT) * LIFE_STEPS_UNIT)

    def distance(self, pose: Int16[np.ndarray, "n 4"], goal: Int16[np.ndarray, "n 2"]) -> Int64[np.ndarray, " n"]:
        """The fewest actions that enter the goal cell (x, y); 0 if the pose is in it.

        Raises:
            ValueError: if a pose cannot occur or a goal is not a free cell.
        """
        row, column = self._row(self._state(pose)), self._column(goal)
        distance = self._distances[row, column].astype(np.int64)
        if (impossible := (row < 0) | (column < 0)).any():
            wrong = int(impossible.argmax())
            raise ValueError(
                f"a path needs a pose that can occur and a free goal cell, got the pose {pose[wrong].tolist()} "
                f"(x, y, heading, mode) and the goal {goal[wrong].tolist()} (x, y)"
            )
        return distance

    def shortest_action(
        self, pose: Int16[np.ndarray, "n 4"], goal: Int16[np.ndarray, "n 2"]
    ) -> Int64[np.ndarray, " n"]:
        """The first action of a shortest path; the lowest-numbered one if there are several."""
        state = self._state(pose)
        row = self._row(self._next[state])
        after = self._distances[row, self._column(goal)[:, None]].astype(np.int64)  # (N, 3)
        return np.where(self._mask[state] == 1, after, np.iinfo(np.int64).max).argmin(axis=1)

    def start(self, rng: np.random.Generator) -> Int16[np.ndarray, " 4"]:
        """Sample a free cell uniformly, then a heading with which the agent could have arrived there.

        In a hallway that is either direction along it, in a junction away from an open side.
        """
        return self._arrival(rng, int(rng.integers(len(self._cells))))

    def start_and_goal(
        self,
        rng: np.random.Generator,
        start: object = None,
        goal: object = None,
        alike: Integer[np.ndarray, "h w"] | None = None,
    ) -> tuple[Int16[np.ndarray, " 4"], Int16[np.ndarray, " 2"]]:
        """Sample a start pose and a goal cell (x, y): two distinct free cells, uniformly.

        Args:
            rng: the source of randomness.
            start: x, y and heading of a given start.
            goal: x, y of a given goal.
            alike: a number for each cell; start and goal have different ones. By default all numbers differ.

        Raises:
            ValueError: if a given start or goal is impossible.
        """
        kind = np.arange(len(self._cells)) if alike is None else alike[self._cells[:, 1], self._cells[:, 0]]
        pose = None if start is None else self._given_start(start)
        first = self._number(pose[:2]) if pose is not None else None
        last = None if goal is None else self._given_goal(goal)
        if first is None:
            others = np.arange(len(kind)) if last is None else np.flatnonzero(kind != kind[last])
            first = int(others[rng.integers(len(others))])
        if last is None:
            others = np.flatnonzero(kind != kind[first])
            last = int(others[rng.integers(len(others))])
        if kind[first] == kind[last]:
            raise ValueError(
                f"start and goal must be different places{'' if alike is None else ' that look different'}, got the "
                f"cells {self._cells[first].tolist()} and {self._cells[last].tolist()} (x, y): choose another goal"
            )
        return self._arrival(rng, first) if pose is None else pose, self._cells[last].copy()

    def arrivals(self, cell: Integer[np.ndarray, " 2"]) -> Int16[np.ndarray, "n 4"]:
        """The poses in which an agent can arrive in a free cell (x, y), by heading."""
        return self._arrivals[self._number(cell)]

    def _given_start(self, start: object) -> np.ndarray:
        """The pose of a start that a caller chose."""
        x, y, heading = _whole_numbers(start, 3, "start", "(x, y, heading)")
        cell = self._given_cell((x, y), "start")
        arrivals = self._arrivals[cell]
        fitting = arrivals[arrivals[:, 2] == heading]
        if not len(fitting):
            raise ValueError(
                f"an agent can start at {x, y} only with a heading among {arrivals[:, 2].tolist()} (0 east, 1 south, "
                f"2 west, 3 north), got {heading}"
            )
        return fitting[0].copy()

    def _given_goal(self, goal: object) -> int:
        """The number of the goal cell that a caller chose."""
        return self._given_cell(_whole_numbers(goal, 2, "goal", "(x, y)"), "goal")

    def _given_cell(self, cell: Sequence[int], what: str) -> int:
        """The number of a free cell that a caller chose."""
        (height, width), (x, y) = self.layout.shape, cell
        if not (0 <= x < width and 0 <= y < height and self.layout.free[y, x]):
            raise ValueError(f"the {what} must be a free cell of layout {self.layout.name}, got x={x}, y={y}")
        return self._number(np.array(cell))

    def _number(self, cell: np.ndarray) -> int:
        """The number of a free cell (x, y) among `_cells`."""
        return int(self._columns[int(cell[1]) * self.layout.shape[1] + int(cell[0])])

    def _arrival(self, rng: np.random.Generator, cell: int) -> np.ndarray:
        """Sample an arrival in the free cell with this number."""
        arrivals = self._arrivals[cell]
        return arrivals[rng.integers(len(arrivals))].copy()

    def _state(self, pose: np.ndarray) -> np.ndarray:
        """The rows of poses (N, 4) in the tables."""
        return self._place(pose) * (HEADINGS * MODES) + pose[:, 2] * MODES + pose[:, 3]

    def _place(self, cell: np.ndarray) -> np.ndarray:
        """The numbers of cells (N, 2 or more: x, y, …) in reading order."""
        return cell[:, 1].astype(np.intp) * self.layout.shape[1] + cell[:, 0]

    def _row(self, state: np.ndarray) -> np.ndarray:
        """The rows of states in the table of distances; -1 for one that cannot occur."""
        return self._rows[state]

    def _column(self, cell: np.ndarray) -> np.ndarray:
        """The columns of cells (N, 2) in the table of distances; -1 for a wall."""
        return self._columns[self._place(cell)]

    @cached_property
    def _distances(self) -> np.ndarray:
        """Distances from every state that can occur to every free cell, (P, C) int16.

        A breadth-first search over poses from all goals at once: each round allows one more action.
        """
        states = np.flatnonzero(self._mask.any(axis=1))
        following = self._rows[self._next[states]]  # (P, 3); an illegal action stays, which never shortens a path
        unknown = np.iinfo(np.int16).max - 1
        here = self._place(self._poses[states])[:, None] == self._place(self._cells)
        distance = np.where(here, 0, unknown).astype(np.int16)
        while True:
            shorter = np.minimum(distance, distance[following].min(axis=1) + 1)
            if (shorter == distance).all():
                return distance
            distance = shorter


def _numbered(chosen: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The number of each chosen element among them, from 0; -1 for the others."""
    return np.where(chosen, np.cumsum(chosen) - 1, -1)


def _whole_numbers(given: object, number: int, what: str, names: str) -> list[int]:
    """The whole numbers of an option; ValueError if it has not so many."""
    try:
        numbers = np.asarray(given)
    except ValueError:  # rows of different lengths
        numbers = np.array(None)
    if numbers.shape != (number,) or numbers.dtype.kind not in "iu":
        raise ValueError(f"options['{what}'] must be {number} whole numbers {names}, got {given!r}")
    return [int(one) for one in numbers]


def _transitions(mask: np.ndarray, layout: Layout) -> np.ndarray:
    """The state after each action, (S, 3); the same state if the action is illegal."""
    state = np.arange(len(mask)).reshape(*layout.shape, HEADINGS, MODES)
    arrived, turned = state[..., ARRIVED], state[..., TURNED]  # (H, W, heading)
    ahead = [np.roll(arrived[..., heading], (-dy, -dx), (0, 1)) for heading, (dx, dy) in enumerate(MOVES)]
    following = np.stack([np.stack(ahead, -1), np.roll(turned, 1, -1), np.roll(turned, -1, -1)], -1)
    return np.where(mask == 1, following.reshape(-1, ACTIONS).repeat(MODES, axis=0), state.reshape(-1, 1))


def _rules(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """The legal actions of all poses (S, 3), and whether the action is a passage (S,).

    The axes below are (y, x, heading, mode); `ahead`, `left`, `right`, `behind` are relative to the heading.
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

    passage = np.zeros_like(possible)
    passage[..., ARRIVED] = possible[..., ARRIVED] & (junction | (dead_end & behind))
    return legal.reshape(-1, ACTIONS).astype(np.int8), passage.ravel()
