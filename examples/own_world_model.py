"""A world model of one's own: trained, and benchmarked beside the HRSSM that is shipped.

    python examples/own_world_model.py

It is a recurrent network without pictures: a belief h is read from the context, each action moves it one step, and it
learns to name the map crops that were seen on the way (InfoNCE). Everything that the commands need is here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agent.data.collect import CollectConfig, collect
from agent.training.config import TrainConfig
from agent.training.train import train
from experiments.figures.measured import benchmark_and_plot
from experiments.navigation.benchmark import BenchmarkConfig
from world_models.blocks.frames import frame_encoder
from world_models.blocks.goals import GoalSpace
from world_models.blocks.images import to_float
from world_models.blocks.networks import GRU, QUICK, one_hot_actions
from world_models.interface import Batch, Losses, ModelConfig
from world_models.options import Options, Positive
from world_models.registry import MODELS
from world_models.spec import ModelSpec, Recipe


@dataclass(frozen=True)
class OwnOptions(Options):
    """What `--variant` and `--options` choose."""

    context: int = 5
    horizon: int = 30
    temperature: Positive = 0.1


class Belief(NamedTuple):
    """A state is a named tuple of tensors with the batch first."""

    h: Tensor


class Recurrent(nn.Module):
    """h_0 = f(x_1 … x_t), h_k = GRU(a_k, h_{k-1})."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, sizes = config, config.sizes
        self.context, self.window_length = config.options.context, config.options.context + config.options.horizon
        self.encoder = frame_encoder(sizes, config.frame_size)
        self.context_rnn = GRU(sizes.embedding, sizes.belief)
        self.step_rnn = GRU(config.actions, sizes.belief)
        self.goals = GoalSpace(sizes.belief, sizes.belief, sizes.feature, predict_legal=True)

    def observe(self, x: Tensor, a: Tensor, length: Tensor) -> Belief:
        return Belief(self.context_rnn.last(self.encoder(x), length))

    def imagine(self, state: Belief, action: Tensor) -> Belief:
        return Belief(self.step_rnn(one_hot_actions(action), h=state.h))

    def feature(self, state: Belief) -> Tensor:
        return self.goals.feature(state.h)

    def goal_feature(self, goal: Tensor) -> Tensor:
        return self.goals.goal(goal)

    def legal(self, state: Belief) -> Tensor:
        return self.goals.legal(state.h)

    def loss(self, batch: Batch, step: int) -> Losses:
        o, first = self.config.options, self.context - 1
        length = torch.randint(1, o.context + 1, (len(batch.action),), device=batch.action.device)
        state = self.observe(to_float(batch.observation[:, : o.context]), batch.action, length)
        moved = self.step_rnn.scan(one_hot_actions(batch.action[:, first : first + o.horizon]), state.h)
        beliefs = torch.cat([state.h[:, None], moved], 1)
        crops, masks = (field[:, first : first + o.horizon + 1] for field in (batch.achieved_goal, batch.action_mask))
        terms = {
            "contrast": self.goals.contrast(beliefs, crops, frames=12, temperature=o.temperature),
            "legal": self.goals.legal_error(beliefs, torch.ones_like(beliefs[..., 0]), masks),
        }
        return Losses(terms, {"contrast": 1.0, "legal": 1.0})


RECIPES = {("quick", "plain"): Recipe(steps=1500, batch_size=32, learning_rate=2e-3, clip=100.0, warmup=100, decay=0.5)}
SPEC = ModelSpec(Recurrent, {"quick": QUICK}, {"plain": OwnOptions()}, RECIPES, "own", "#e69f00", planner="shooting")


def main(out: Path = Path("runs/own"), frames: int = 200_000, steps: int = 1500, episodes: int = 500) -> dict:
    """Collect, train, benchmark; return the benchmark's summary."""
    MODELS["own"] = SPEC  # in the repository: one line in world_models/registry.py
    collect(CollectConfig(out / "data", steps=frames))
    train(TrainConfig(out / "data", out / "run", model="own", steps=steps))
    agents = (f"own={out / 'run'}", "hrssm=pretrained")
    return benchmark_and_plot(BenchmarkConfig(out / "benchmark", agents, episodes, first_seed=100_000))


if __name__ == "__main__":
    main()
