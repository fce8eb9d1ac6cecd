"""Random walks in any Gymnasium environment with discrete actions and pictures, for `jumpy collect --env`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import Shaped

from agent.data.manifest import EnvironmentManifest
from agent.system.versions import versions
from envs.named import NamedEnvironment

TOGETHER = 10
"""copies of the environment that are walked at once"""
PATIENCE = 20
"""steps per frame that is wanted, after which episodes are held to be too short"""


@dataclass(frozen=True)
class Walk:
    """Which environment is walked, and what is kept of it."""

    environment: NamedEnvironment
    length: int
    """frames per episode of the data set"""

    def manifest(self, seed: int, episodes: int) -> EnvironmentManifest:
        """The manifest of a data set of such walks; raises as `NamedEnvironment.make`."""
        where = self.environment
        vector = where.make_vector(TOGETHER)
        goal = where.achieved(vector.reset(seed=seed)[0])[0]
        number = int(vector.single_action_space.n)  # type: ignore[attr-defined]
        vector.close()
        return EnvironmentManifest(
            where.settings, number, where.size, goal.shape, goal.dtype.name, self.length, seed, episodes, versions()
        )

    def shard(
        self, seed: int, wanted: EnvironmentManifest, shard: int, number: int
    ) -> dict[str, Shaped[np.ndarray, "e t ..."]]:
        """The `number` episodes of a shard, which depend only on (seed, shard): pieces of one episode each.

        Raises:
            ValueError: if nearly all episodes end before they have so many frames.
        """
        vector, rng = self.environment.make_vector(TOGETHER), np.random.default_rng((seed, shard))
        pieces: list[dict[str, np.ndarray]] = []
        walks: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(TOGETHER)]
        for step, (seen, over) in enumerate(self._steps(vector, rng)):
            for row, walk in enumerate(walks):
                walk.append(tuple(array[row] for array in seen))
                if len(walk) == self.length:
                    arrays = [np.stack(parts) for parts in zip(*walk, strict=True)]
                    pieces.append(dict(zip(wanted.fields, arrays, strict=True)))
                    walk.clear()
                if over[row]:
                    walk.clear()
            if len(pieces) >= number:
                break
            if step * TOGETHER > PATIENCE * number * self.length:
                raise ValueError(
                    f"episodes of {self.environment.env} rarely have {self.length} frames ({len(pieces)} of {number} "
                    f"found in {step * TOGETHER} steps): choose a shorter --length"
                )
        vector.close()
        fields = wanted.fields
        return {name: np.stack([piece[name] for piece in pieces[:number]]).astype(fields[name][0]) for name in fields}

    def _steps(
        self, vector: VectorEnv, rng: np.random.Generator
    ) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """Frames, actions, masks and goals of all copies at each step, and where what follows is another episode."""
        where = self.environment
        n, number = vector.num_envs, int(vector.single_action_space.n)  # type: ignore[attr-defined]
        observation, info = vector.reset(seed=int(rng.integers(2**31)))
        over = np.zeros(n, bool)
        while True:
            mask = np.asarray(info.get("action_mask", np.ones((n, number)))).astype(np.int8)
            legal = mask.cumsum(axis=1)
            if not legal[~over, -1].all():
                raise ValueError(f"a place of {where.env} allows none of its actions: give others with --actions")
            action = (legal > (rng.random(n) * legal[:, -1]).astype(np.int64)[:, None]).argmax(axis=1)
            seen = (where.frames(observation), action, mask, where.achieved(observation))
            observation, _, terminated, truncated, info = vector.step(action)
            ended = terminated | truncated
            # The frame that ends an episode comes without an action of its own: the step that follows it resets.
            yield seen, over | ended
            over = ended
