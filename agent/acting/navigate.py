"""Navigation: an agent acts in a batch of episodes at once.

The episode with seed s is that of `JumpyMaze.reset(seed=s)`: the same start, goal and camera jitter for every agent.
Elsewhere it is that of the environment's own reset with this seed.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
from gymnasium.utils.seeding import np_random
from jaxtyping import Shaped

from agent.acting.agents import Agent
from envs.camera import Camera
from envs.episodes import Episodes
from envs.goal_episodes import GoalEpisodes, GoalTask
from envs.layout import Layout

Result = dict[str, Shaped[np.ndarray, "e ..."]]


def navigate(
    agent: Agent,
    layout: Layout,
    seeds: Sequence[int],
    camera: Camera | None = None,
    batch: int = 100,
    record: bool = False,
) -> Result:
    """Run an agent over the episodes of some seeds (at least one), `batch` of them in parallel.

    Returns:
        An array per name, one entry per episode: ``seed``; ``steps`` taken; ``reward``; ``success``; ``shortest_path``
        from the start, in steps; ``decisions`` (steps with more than one legal action); model ``transitions`` spent on
        them; ``planning_seconds``, the wall time of the agent's decisions, where a step's time is shared equally by the
        episodes that decide in it. If recorded also ``pose`` (E, life steps + 1, 4), padded with
        the last, and ``goal`` (E, 2).
    """

    def run(seeds: np.ndarray) -> Result:
        episodes = Episodes(len(seeds), layout, "raycast", camera or Camera(), max_steps=None)
        for row, seed in enumerate(seeds.tolist()):
            episodes.begin(row, np_random(seed)[0], seed)
        shortest_path, poses = episodes.info()["shortest_path"], [episodes.pose]
        result = _run(agent, episodes, seeds, lambda: poses.append(episodes.pose))
        result["shortest_path"] = shortest_path
        if record:
            poses.extend([episodes.pose] * (episodes.max_steps + 1 - len(poses)))
            result |= {"pose": np.stack(poses, axis=1), "goal": episodes.goal}
        return result

    return _in_batches(run, seeds, batch)


def navigate_elsewhere(agent: Agent, task: GoalTask, seeds: Sequence[int], batch: int = 100) -> Result:
    """`navigate` in an environment that is known by its id.

    Returns:
        As `navigate`; ``shortest_path`` is 0 where it is unknown. ``start`` and ``end`` (E, s, s, 3) are the first and
        the last frame of each episode, ``goal`` (E, …) is what was to be reached.
    """

    def run(seeds: np.ndarray) -> Result:
        episodes = GoalEpisodes(task, seeds.tolist())
        first = episodes.observation()
        result = _run(agent, episodes, seeds)
        result |= {"shortest_path": episodes.shortest_path, "start": first["observation"]}
        result |= {"end": episodes.observation()["observation"], "goal": first["desired_goal"]}
        episodes.close()
        return result

    return _in_batches(run, seeds, batch)


def _in_batches(run: Callable[[np.ndarray], Result], seeds: Sequence[int], batch: int) -> Result:
    """The results of all batches, one after the other."""
    if not len(seeds):
        raise ValueError("navigation needs at least one episode seed, got none")
    parts = [run(np.asarray(seeds[first : first + batch], np.int64)) for first in range(0, len(seeds), batch)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _run(
    agent: Agent, episodes: Episodes | GoalEpisodes, seeds: np.ndarray, stepped: Callable[[], object] = lambda: None
) -> Result:
    """Let an agent act to the end of every episode; those that have ended wait for the last one."""
    number = len(seeds)
    agent.reset(seeds)
    reward, seconds = np.zeros(number), np.zeros(number)
    decisions, transitions = np.zeros(number, np.int64), np.zeros(number, np.int64)
    running = np.ones(number, bool)
    while running.any():
        info = episodes.info()
        observation = episodes.observation() if agent.looks else {}
        deciding = running & (info["action_mask"].sum(axis=1) > 1)
        began = time.perf_counter()
        decision = agent.act(observation, info, deciding)
        seconds[deciding] += (time.perf_counter() - began) / max(deciding.sum(), 1)
        decisions += deciding
        transitions += decision.transitions
        earned, terminated, truncated = episodes.act(decision.action, running)
        reward += earned
        running &= ~(terminated | truncated)
        stepped()
    result = {"seed": seeds, "steps": episodes.t, "reward": reward, "success": episodes.success}
    return result | {"decisions": decisions, "transitions": transitions, "planning_seconds": seconds}
