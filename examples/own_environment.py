r"""A Gymnasium environment of one's own: collect, train, and navigate to goals that are pictures.

    python examples/own_environment.py minigrid:MiniGrid-FourRooms-v0 runs/own \
        --wrappers minigrid.wrappers:RGBImgObsWrapper minigrid.wrappers:ImgObsWrapper --actions 0 1 2

The first two steps are `jumpy collect --env` and `jumpy train`; the goals are those of `GoalImage`.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import gymnasium
import numpy as np
import tyro

from agent.acting.policy import WorldModelPolicy
from agent.data.collect import CollectConfig, collect
from agent.data.walk import Walk
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from envs.goal_image import GoalImage
from envs.passages import Passages
from planners.shooting import Shooting


def main(
    env: Annotated[str, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    wrappers: tuple[str, ...] = (),
    env_options: str = "{}",
    actions: tuple[int, ...] = (),
    models: tuple[str, ...] = ("rssm", "hrssm"),
    frames: int = 60_000,
    length: int = 100,
    steps: int | None = None,
    episodes: int = 100,
) -> dict[str, Any]:
    """Collect, train, and compare with a random agent on the same episodes; returns and prints the numbers."""
    config = CollectConfig(out / "data", frames, env=env, env_options=env_options, wrappers=wrappers, actions=actions)
    data = collect(replace(config, length=length))
    walk = Walk(env, env_options, wrappers, actions, config.camera.size, length)
    found = {"random": navigate(walk, episodes, random_policy())}
    for name in models:
        if not (out / name / CHECKPOINT).exists():
            train(TrainConfig(data.folder, out / name, name, steps=steps))
        policy = WorldModelPolicy(load_model(out / name)[0], PLANNERS[name])
        found[name] = navigate(walk, episodes, policy.get_action)
    print(json.dumps(found, indent=2))
    return found


PLANNERS = {"rssm": Shooting(horizon=30, transitions=900), "hrssm": Shooting(horizon=8, transitions=900)}


def random_policy() -> Callable[[dict[str, Any]], np.ndarray]:
    """Uniform over the legal actions."""
    rng = np.random.default_rng(0)
    return lambda info: np.array([rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])


def navigate(walk: Walk, episodes: int, policy: Callable[[dict[str, Any]], np.ndarray]) -> dict[str, float]:
    """Mean reward and share of reached goals, in the episodes of `GoalImage` with seeds from 100 000 up."""
    inner = [*walk.wrapped, lambda env: Passages(GoalImage(env, walk.size, actions=walk.actions))]
    vector = gymnasium.make_vec(
        walk.env, num_envs=episodes, vectorization_mode="sync", wrappers=inner, **json.loads(walk.options)
    )
    observation, info = vector.reset(seed=100_000)
    total, success, running = np.zeros(episodes), np.zeros(episodes, bool), np.ones(episodes, bool)
    while running.any():
        observation, reward, terminated, truncated, info = vector.step(policy(info | observation))
        total, success = total + reward * running, success | (info["success"] & running)
        running &= ~(terminated | truncated)
    vector.close()
    return {"mean_reward": float(total.mean()), "success": float(success.mean())}


if __name__ == "__main__":
    tyro.cli(main)
