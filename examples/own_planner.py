"""A planner of one's own: beam search, benchmarked with the exhaustive tree on the HRSSM that is shipped.

python examples/own_planner.py
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from planners.interface import ModelFunctions, Plan, check_root, choose, take
from planners.registry import PLANNERS


@dataclass(frozen=True)
class BeamSearch:
    """Go on from the beliefs nearest to the goal, a few at each depth."""

    kind: ClassVar[str] = "beam"
    width: int = 4
    depth: int = 8
    tie_tolerance: float = 0.2

    @property
    def budget(self) -> int:
        """Transitions of all depths, three actions from each belief."""
        return 3 + 3 * self.width * (self.depth - 1)

    def with_budget(self, transitions: int) -> "BeamSearch":
        """The widest beam that the budget allows at this depth."""
        width = (transitions - 3) // (3 * (self.depth - 1))
        if width < 1:
            raise ValueError(f"a beam needs {3 * self.depth} transitions or more, got {transitions}: lower its depth")
        return replace(self, width=width)

    def plan(
        self, functions: ModelFunctions, state: tuple, goal: Tensor, root_mask: Tensor, generator: torch.Generator
    ) -> Plan:
        """See `planners.interface.Planner`."""
        check_root(root_mask)
        (b, actions), goal, legal = root_mask.shape, F.normalize(goal, dim=-1), root_mask
        best = goal.new_full((self.depth, b, actions), -torch.inf)
        spent = torch.zeros(b, dtype=torch.int64, device=goal.device)
        episode = root = torch.arange(b, device=goal.device)
        for depth in range(self.depth):
            parent, action = legal.nonzero(as_tuple=True)
            state, episode = functions.branch(state, parent, action), episode[parent]
            root = root[parent] if depth else action
            score = (F.normalize(functions.feature(state), dim=-1) * goal[episode]).sum(-1)
            best[depth].view(-1).scatter_reduce_(0, episode * actions + root, score, "amax")
            spent += torch.bincount(episode, minlength=b)
            order = score.argsort(descending=True)
            order = order[episode[order].argsort(stable=True)]  # by episode, best first
            rank = torch.arange(len(order), device=goal.device) - torch.searchsorted(episode[order], episode[order])
            kept = order[rank < self.width]
            state, episode, root = take(state, kept), episode[kept], root[kept]
            legal = functions.legal(state)
        return Plan(*choose(best.movedim(0, 1), self.tie_tolerance), spent)


def main(out: Path = Path("runs/own-planner"), episodes: int = 500) -> list[dict]:
    """Benchmark the beam and the tree at their own budgets; return both summaries."""
    PLANNERS["beam"] = BeamSearch  # in the repository: one entry in planners/registry.py
    return [
        benchmark(BenchmarkConfig(out / kind, ("hrssm=pretrained",), episodes, planner(), first_seed=100_000))
        for kind, planner in PLANNERS.items()
        if kind in ("tree", "beam")
    ]


if __name__ == "__main__":
    main()
