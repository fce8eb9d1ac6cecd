"""The maze as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Integer, UInt8

from envs.camera import Camera
from envs.dynamics import ACTIONS, FORWARD, LEFT, RIGHT
from envs.episodes import RENDER_MODES, Episodes, check_render_mode
from envs.layout import Layout
from envs.top_view import draw_top_view

ROW = np.ones(1, dtype=bool)


class JumpyMaze(gymnasium.Env[dict[str, Any], np.int64]):
    """Goal navigation in a maze of coloured hallways, seen through a camera on the agent.

    ## Description
    The paper's maze has 26 × 18 cells: straight hallways, one cell wide and 4 to 6 cells long, meet in junctions. The
    walls of each hallway have a unique colour, junctions are grey, and a few hallways end in a dead end. Other layouts
    have up to 702 hallways; from the 73rd on their walls have two colours, which alternate from cell to cell and make a
    unique pair. The agent stands in the centre of a cell and heads east, south, west or north. Each episode samples a
    start and a goal cell; the agent sees the goal's surroundings on the map and has to go there.

    Most steps are forced, because a hallway leads only ahead. The choices are made at junctions (and, without
    consequence, in dead ends): one such action, a *passage*, decides the next hallway and thus the next 5 to 10 steps.
    A model that jumps from passage to passage can therefore plan far ahead with few transitions.

    The maze follows "3D Maze" in section 5.2 of Kim, Ahn and Bengio, "Variational Temporal Abstraction", NeurIPS 2019.
    Differs from the paper: the agent never turns around near a junction, so that one passage is one action.

    ## Action space
    `Discrete(3)`:

    | action | meaning |
    |---|---|
    | 0 | move forward by one cell |
    | 1 | turn left by 90° in place |
    | 2 | turn right by 90° in place |

    Which actions are legal depends on the cell and on whether the agent has just arrived or has turned in it:

    | where | legal actions |
    |---|---|
    | in a hallway | forward |
    | in a junction, arrived | forward, left, right: each only if that side is open |
    | in a junction, turned | forward |
    | in a dead end facing its wall | left and right; then the same turn again; then forward |

    `info["action_mask"]` marks the legal actions: `env.action_space.sample(info["action_mask"])` samples one. An
    illegal action uses up a step without changing the pose and sets `info["illegal_action"]`.

    ## Observation space
    A goal dictionary, all uint8:

    | key | shape | meaning |
    |---|---|---|
    | `observation` | (32, 32, 3) | what the camera sees: rows from the top, columns from the left, RGB |
    | `achieved_goal` | (3, 3, 3) | the 3 × 3 crop of the map picture around the agent: y, x, RGB, north up |
    | `desired_goal` | (3, 3, 3) | the same around the goal |

    The map picture has one pixel per cell: hallways in their colour, junctions grey, walls and everything outside black
    (the cells of a two-tone hallway alternate as its walls do). A crop identifies the hallway, or the junction by the
    colours of its arms, but neither the heading nor the position within a hallway, so equal crops do not mean success.

    The camera is at half the wall height with a field of view of 90°. It is jittered in every frame, with a standard
    deviation of 3° in yaw and of 4 % of a cell in position, as a function of (seed, episode, step).

    ## Rewards
    Entering the goal cell with the k-th action gives 100 − k, whatever the heading; every other step gives 0. The 100
    are the layout's life steps: 100 in the paper's maze and those of its size, more where the shortest path needs more
    to reach every goal, or to earn more than half of them on average.

    ## Starting state
    Start and goal are two distinct free cells, sampled uniformly. In a hallway the agent heads in either direction
    along it, in a junction away from an open side, as if it had just arrived. `reset(options={"start": (x, y, heading),
    "goal": (x, y)})` chooses one or both.

    ## Episode end
    * Termination: the agent enters the goal cell (also with action 100, for a reward of 0).
    * Truncation: the agent has taken 100 actions without entering the goal cell.

    ## Information
    `reset` and `step` return a dictionary:

    | key | type | meaning |
    |---|---|---|
    | `action_mask` | int8 (3,) | 1 for each legal action |
    | `pose` | int16 (4,) | x (to the right), y (downwards), heading (0 E, 1 S, 2 W, 3 N), mode (0 arrived, 1 turned) |
    | `goal_cell` | int16 (2,) | x, y of the goal cell |
    | `goal` | uint8 (32, 32, 3) | with `goal_frame` only: what is seen in the goal cell, without jitter |
    | `shortest_path` | int | fewest actions that enter the goal cell from this pose |
    | `success` | bool | the goal was entered |
    | `illegal_action` | bool | the last action was illegal |

    Pose, goal and shortest path are for evaluation only; an agent must not read them.

    ## Arguments
    ```python
    import envs  # registers the ids
    gymnasium.make("JumpyMaze-v0", render_mode="rgb_array")
    gymnasium.make("JumpyMazeRandom-v0", layout_seed=7)
    ```

    Args:
        layout: `"paper"`, `"random-<seed>"`, `"large-<seed>"` (about 70 hallways), `"huge-<seed>"` (150 or more), the
            text file of a map, a `Layout`, or a mapping of its name and rows.
        view: `"raycast"` (needs no OpenGL) or `"miniworld"` (the reference; needs the extra `miniworld` and OpenGL).
        camera: frame size, field of view and jitter: a `Camera` or a mapping of its fields.
        max_steps: life steps, the 100 in the rewards and ends above; None for the layout's.
        goal_frame: whether `info["goal"]` is the frame seen in the goal cell.
        render_mode: `"rgb_array"` to let `render()` return a frame of 512 × 512 pixels, or None.

    Raises:
        ValueError: for an unknown layout, view or render mode, or `max_steps` below 1.

    ## Version history
    * v0: first version
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": 8}  # noqa: RUF012  as Gymnasium declares it
    episodes: ClassVar[type[Episodes]] = Episodes
    """the rules of an episode"""

    def __init__(
        self,
        layout: str | Layout | Mapping[str, Any] = "paper",
        view: str = "raycast",
        camera: Camera | Mapping[str, Any] = Camera(),  # noqa: B008  frozen
        max_steps: int | None = None,
        render_mode: str | None = None,
        goal_frame: bool = False,
    ) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self._episodes = self.episodes(1, layout, view, camera, max_steps, goal_frame)
        self.action_space = spaces.Discrete(ACTIONS)
        self.observation_space = self._episodes.observation_space
        self._trail: list[np.ndarray] = []
        self._over = True

    @property
    def layout(self) -> Layout:
        """The map."""
        return self._episodes.layout

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: of the episodes from here on; None continues the random stream.
            options: `start` (x, y, heading) and `goal` (x, y), where they are not to be sampled.

        Raises:
            ValueError: if a start or a goal is impossible, or an option unknown, before anything changes.
        """
        start, goal = self._episodes.chosen(options)
        first = self._np_random is None
        super().reset(seed=seed)
        fresh = first or seed is not None
        self._episodes.begin(0, self.np_random, self.np_random_seed if fresh else None, start, goal)
        self._trail = [self._episodes.pose[0].copy()]
        self._over = False
        return self._observation(), self._info()

    def step(self, action: object) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take one action: 0, 1 or 2, also in an array of shape () or (1,).

        Raises:
            ValueError: for anything else, before the episode changes.
            gymnasium.error.ResetNeeded: if the episode is over.
        """
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode is over or has not begun: call reset() before step()")
        reward, terminated, truncated = self._episodes.act(action, ROW)
        self._trail.append(self._episodes.pose[0].copy())
        self._over = bool(terminated[0] or truncated[0])
        return self._observation(), float(reward[0]), bool(terminated[0]), bool(truncated[0]), self._info()

    def action_masks(self) -> Bool[np.ndarray, " 3"]:
        """Which actions are legal now, under the name that action masking in Stable-Baselines3 looks for."""
        return self._episodes.action_masks()[0]

    def get_keys_to_action(self) -> dict[str, int]:
        """Keys of `gymnasium.utils.play`: w forward, a left, d right."""
        return {"w": FORWARD, "a": LEFT, "d": RIGHT}

    def render(self) -> UInt8[np.ndarray, "512 512 3"] | None:
        """The current frame with 512 × 512 pixels, RGB; None without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() renders nothing: make the environment with render_mode='rgb_array'")
            return None
        return self._episodes.large_frames()[0]

    def render_top_view(self, path: Integer[np.ndarray, "t k"] | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """The map from above with the agent, the goal and a path (x, y, …), by default that of this episode; RGB."""
        trail = np.stack(self._trail) if path is None else path
        return draw_top_view(self.layout, pose=self._episodes.pose[0], goal=self._episodes.goal[0], path=trail)

    def close(self) -> None:
        """Release the views' resources."""
        self._episodes.close()

    def _observation(self) -> dict[str, Any]:
        """The observation of the only row."""
        return {name: batch[0] for name, batch in self._episodes.observation().items()}

    def _info(self) -> dict[str, Any]:
        """The information of the only row."""
        row = {name: batch[0] for name, batch in self._episodes.info().items()}
        return {name: value if isinstance(value, np.ndarray) else value.item() for name, value in row.items()}


class JumpyMazeRandom(JumpyMaze):
    """`JumpyMaze` on a random map of the paper's family.

    Args:
        layout_seed: determines the map, which a reset does not change.
        **options: the arguments of `JumpyMaze` except `layout`.
    """

    def __init__(self, layout_seed: int = 0, **options: Any) -> None:
        super().__init__(layout=Layout.random(layout_seed), **options)
