"""Ranks on this machine, as torchrun starts them."""

import subprocess
import sys
from pathlib import Path

from agent.data.collect import CollectConfig, collect
from tests.support.video_runs import videos

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def torchrun(*arguments: object, ranks: int = 2, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a module on several ranks."""
    command = [*TORCHRUN, str(ranks), "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def maze_and_videos(folder: Path) -> Path:
    """A folder with the data of `ranked_steps`."""
    collect(CollectConfig(folder / "paper", steps=1000))
    videos(folder / "balls")
    return folder
