"""Single episodes looked at closely: where the agent is after some actions, what it sees, and what it imagines there.

Nothing here has a memory: an episode and the actions so far say everything, as the page, the report and films need it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from jaxtyping import Float, Int16, Int64, UInt8
from torch import Tensor

from envs.camera import Camera, camera_jitter
from envs.dynamics import ACTIONS, Dynamics
from envs.layout import Layout
from envs.raycast import Raycaster
from experiments.navigation.jump_accuracy import hallway_features
from planners.interface import ModelFunctions, Plan, Planner
from planners.recording import Imagined, plan_recorded, rows_of
from world_models.blocks.images import to_float, to_uint8
from world_models.interface import Decoding, Generative, Plannable, State

ACTION_NAMES = ("forward", "left", "right")


@dataclass(frozen=True)
class Episode:
    """A start and a goal in a maze; the seed decides the camera's jitter."""

    seed: int
    start: tuple[int, int, int, int]
    """pose: x, y, heading, mode"""
    goal: tuple[int, int]
    """x, y"""

    @classmethod
    def of(cls, layout: Layout, seed: int) -> Episode:
        """The benchmark's episode with this seed."""
        start, goal = Dynamics.of(layout).start_and_goal(np_random(seed)[0])
        return cls(seed, tuple(start.tolist()), tuple(goal.tolist()))

    @classmethod
    def placed(cls, layout: Layout, seed: int, cell: tuple[int, int], goal: tuple[int, int]) -> Episode:
        """An episode that starts in a cell, with the first heading with which one can arrive there.

        Raises:
            ValueError: if the cell is a wall.
        """
        poses = Dynamics.of(layout).poses
        here = poses[(poses[:, 0] == cell[0]) & (poses[:, 1] == cell[1]) & (poses[:, 3] == 0)]
        if not len(here):
            raise ValueError(f"the agent can be placed in free cells, got the wall x={cell[0]}, y={cell[1]}")
        return cls(seed, tuple(here[0].tolist()), goal)

    def check(self, layout: Layout) -> None:
        """Check that the episode can take place.

        Raises:
            ValueError: if the start cannot occur, or the goal is not another free cell.
        """
        height, width = layout.shape
        x, y = self.goal
        if not (0 <= x < width and 0 <= y < height and layout.free[y, x]):
            raise ValueError(f"a goal must be a free cell of the maze, got x={x}, y={y}: choose one that is no wall")
        if self.start not in set(map(tuple, Dynamics.of(layout).poses.tolist())):
            raise ValueError(f"the start must be a pose of the maze (x, y, heading, mode), got {list(self.start)}")
        if self.start[:2] == self.goal:
            raise ValueError(f"the goal must be another cell than the start, got both at x={x}, y={y}")

    def poses(self, layout: Layout, actions: Sequence[int]) -> Int16[np.ndarray, "t 4"]:
        """The poses from the start through every action.

        Raises:
            ValueError: if an action is not legal, or follows the end of the episode.
        """
        dynamics, pose = Dynamics.of(layout), np.array([self.start], np.int16)
        poses = [pose[0]]
        for number, action in enumerate(actions):
            if action not in range(ACTIONS) or not dynamics.action_mask(pose)[0, action]:
                raise ValueError(f"action number {number + 1}, {action!r}, is not legal in the pose {pose[0].tolist()}")
            if tuple(pose[0, :2].tolist()) == self.goal or number >= dynamics.life_steps:
                raise ValueError(f"the episode has ended before action number {number + 1}: begin another one")
            pose, _ = dynamics.step(pose, np.array([action]))
            poses.append(pose[0])
        return np.stack(poses)

    def frames(
        self, view: Raycaster, camera: Camera, poses: Int16[np.ndarray, "t 4"], last: int
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """The last frames of a walk through these poses, as the agent sees them; fewer where the walk is shorter."""
        t = np.arange(len(poses))[-last:]
        seed, episode = np.full_like(t, self.seed), np.zeros_like(t)
        jitter = camera_jitter(seed, episode, t, camera.yaw_degrees, camera.position)
        return view.render(poses[-last:], jitter)


@dataclass(frozen=True)
class Imagination:
    """One decision, with everything that was imagined for it."""

    plan: Plan
    tree: Imagined
    trajectory: list[int]
    """nodes of the tree that lead to the chosen arrival"""
    hallway: Int64[np.ndarray, " n"]
    """where each node leads in the model's own opinion: the hallway whose goal feature is nearest to its own"""
    sure: Float[np.ndarray, " n"]
    """cosine with that"""
    seconds: float
    """wall time to observe and plan"""
    pictures: UInt8[np.ndarray, "k s s 3"] | None
    """the beliefs of the trajectory, decoded; None of a model that cannot"""

    @property
    def action(self) -> int:
        """What was chosen."""
        return int(self.plan.action[0])


class Imaginer:
    """A model in a maze, with what it knows of the maze's hallways."""

    def __init__(self, model: Plannable, layout: Layout) -> None:
        """The model is in evaluation mode, on any device."""
        self.model, self.layout = model, layout
        self._functions = ModelFunctions.of(model)
        self._device = next(model.parameters()).device

    @cached_property
    def hallways(self) -> Float[Tensor, "h d"]:
        """The goal feature of each hallway."""
        return hallway_features(self.model, self.layout, self._device)

    @torch.inference_mode()
    def imagine(
        self,
        planner: Planner,
        frames: UInt8[np.ndarray, "t s s 3"],
        actions: Sequence[int],
        goal: tuple[int, int],
        legal: Sequence[int],
        seed: int = 0,
    ) -> Imagination:
        """Decide, and tell what was imagined.

        Args:
            planner: how to search.
            frames: what was seen so far, at least one.
            actions: all actions so far; those between the frames are the last.
            goal: x, y of the goal cell, whose crop the model sees.
            legal: 1 for each legal action.
            seed: of a planner that samples.
        """
        began = time.perf_counter()
        state = self._observed(frames, actions)
        crop = torch.from_numpy(self.layout.crops[goal[1], goal[0]].copy())[None].to(self._device)
        feature, mask = self.model.goal_feature(to_float(crop)), torch.tensor([legal], device=self._device) == 1
        generator = torch.Generator().manual_seed(seed)
        plan, tree = plan_recorded(planner, self._functions, state, feature, mask, generator)
        seconds = time.perf_counter() - began
        sure, hallway = (tree.feature @ self.hallways.T).max(1)
        trajectory = tree.trajectory(plan)
        pictures = self._decoded(rows_of(tree, trajectory))
        return Imagination(plan, tree, trajectory, hallway.cpu().numpy(), sure.cpu().numpy(), seconds, pictures)

    @torch.inference_mode()
    def expected(
        self, frames: UInt8[np.ndarray, "t s s 3"], actions: Sequence[int], legal: Sequence[int]
    ) -> UInt8[np.ndarray, "k s s 3"] | None:
        """The model's picture after one transition for each legal action, in order; None of a model that cannot."""
        state = self._observed(frames, actions)
        choices = torch.tensor(legal, device=self._device).nonzero()[:, 0]
        return self._decoded(self._functions.branch(state, torch.zeros_like(choices), choices))

    @torch.inference_mode()
    def foreseen(
        self, frames: UInt8[np.ndarray, "t s s 3"], actions: Sequence[int], taken: Sequence[int], seed: int = 0
    ) -> UInt8[np.ndarray, "k s s 3"] | None:
        """One sample of the frames that follow the actions taken after these frames; None of a model that cannot."""
        if not isinstance(self.model, Generative):
            return None
        x, a, length = self._shown(frames, actions)
        after = torch.tensor([list(taken)], device=self._device)
        with torch.random.fork_rng([] if self._device.type == "cpu" else None):
            torch.manual_seed(seed)
            sampled, _ = self.model.generate(x, a, length, after, "full")
        return to_uint8(sampled[0, : len(taken)]).cpu().numpy()

    def _observed(self, frames: np.ndarray, actions: Sequence[int]) -> State:
        return self.model.observe(*self._shown(frames, actions))

    def _shown(self, frames: np.ndarray, actions: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """The last frames, left-padded, the actions between them, and their number, as models observe them."""
        longest = self.model.context
        length = min(len(frames), longest)
        x = np.zeros((longest, *frames.shape[1:]), np.uint8)
        x[longest - length :] = frames[len(frames) - length :]
        between = np.zeros(longest - 1, np.int64)
        if length > 1:
            between[longest - length :] = list(actions)[len(actions) - length + 1 :]
        shown = (torch.from_numpy(x)[None], torch.from_numpy(between)[None], torch.tensor([length]))
        x_, a, number = (tensor.to(self._device) for tensor in shown)
        return to_float(x_), a, number

    def _decoded(self, state: State) -> UInt8[np.ndarray, "k s s 3"] | None:
        if not isinstance(self.model, Decoding):
            return None
        return to_uint8(self.model.decode(state)).cpu().numpy()


def actions_between(dynamics: Dynamics, poses: Int16[np.ndarray, "t 4"]) -> list[int]:
    """The actions that lead from each pose to the next."""
    before, after = poses[:-1], poses[1:]
    same = [
        (dynamics.step(before, np.full(len(before), action))[0] == after).all(1)
        & (dynamics.action_mask(before)[:, action] == 1)
        for action in range(3)
    ]
    return np.stack(same, 1).argmax(1).tolist()
