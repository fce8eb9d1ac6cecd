"""Navigation: an agent acts in a batch of episodes at once.

The episode with seed s is that of `JumpyMaze.reset(seed=s)`: the same start, goal and camera jitter for every agent.
"""

import time
from collections.abc import Sequence

import numpy as np
from gymnasium.utils.seeding import np_random
from jaxtyping import Shaped

from agent.acting.agents import Agent
from envs.camera import Camera
from envs.episodes import Episodes
from envs.layout import Layout


def navigate(
    agent: Agent,
    layout: Layout,
    seeds: Sequence[int],
    camera: Camera | None = None,
    batch: int = 100,
    record: bool = False,
) -> dict[str, Shaped[np.ndarray, "e ..."]]:
    """Run an agent over the episodes of some seeds (at least one), `batch` of them in parallel.

    Returns:
        An array per name, one entry per episode: ``seed``; ``steps`` taken; ``reward``; ``success``; ``shortest_path``
        from the start, in steps; ``decisions`` (steps with more than one legal action); model ``transitions`` spent on
        them; ``planning_seconds``, the wall time of the agent's decisions, where a step's time is shared equally by the
        episodes that decide in it. If recorded also ``pose`` (E, life steps + 1, 4), padded with
        the last, and ``goal`` (E, 2).
    """
    if not len(seeds):
        raise ValueError("navigation needs at least one episode seed, got none")
    batches = [np.asarray(seeds[first : first + batch], np.int64) for first in range(0, len(seeds), batch)]
    parts = [_navigate_batch(agent, layout, part, camera or Camera(), record) for part in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _navigate_batch(
    agent: Agent, layout: Layout, seeds: np.ndarray, camera: Camera, record: bool
) -> dict[str, np.ndarray]:
    """`navigate` for parallel episodes; those that have ended wait for the last one."""
    number = len(seeds)
    episodes = Episodes(number, layout, "raycast", camera, max_steps=None)
    for row, seed in enumerate(seeds.tolist()):
        episodes.begin(row, np_random(seed)[0], seed)
    agent.reset(seeds)
    reward, seconds = np.zeros(number), np.zeros(number)
    decisions, transitions = np.zeros(number, np.int64), np.zeros(number, np.int64)
    shortest_path = episodes.info()["shortest_path"]
    running = np.ones(number, bool)
    poses = [episodes.pose]
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
        poses.append(episodes.pose)
    result = {"seed": seeds, "steps": episodes.t, "reward": reward, "success": episodes.success}
    result |= {"shortest_path": shortest_path, "decisions": decisions, "transitions": transitions}
    result["planning_seconds"] = seconds
    if record:
        poses += [episodes.pose] * (episodes.max_steps + 1 - len(poses))
        result |= {"pose": np.stack(poses, axis=1), "goal": episodes.goal}
    return result
