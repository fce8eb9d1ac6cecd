"""Configurations that run elsewhere, and what of their results must not depend on it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.system.pieces import Workers
from experiments.navigation.benchmark import BenchmarkConfig
from planners.tree import TreeSearch

EPISODES = int(os.environ.get("JUMPY_EPISODES", "100"))


def changed(config: Any, where: Workers, out: Path) -> Any:
    """The same work by other workers into another folder."""
    return replace(config, out=out, **where.workers)


def in_batches(out: Path) -> BenchmarkConfig:
    """A benchmark of ten pieces in this process."""
    agents = ("hrssm=pretrained",)
    return BenchmarkConfig(
        out, agents, EPISODES, TreeSearch(depth=3), first_seed=100_000, batch=EPISODES // 10, device="cpu", processes=1
    )


def rows(config: BenchmarkConfig) -> dict[str, list[str]]:
    """Every byte of the episodes but for the time that planning took."""
    files = sorted((config.out / "episodes").iterdir())
    return {path.name: [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()] for path in files}
