"""One call for every planner."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planners.interface import ModelFunctions, Plan, State
from planners.shooting import ShootingConfig, plan_shooting
from planners.tree import TreeConfig, plan_tree

PlanConfig = TreeConfig | ShootingConfig


def plan(
    functions: ModelFunctions,
    state: State,
    goal_feature: Float[Tensor, "b d"],
    root_mask: Bool[Tensor, "b a"],
    config: PlanConfig,
    generator: torch.Generator,
) -> Plan:
    """Decide for a batch of episodes with the planner that `config` belongs to (see `plan_tree`, `plan_shooting`)."""
    if isinstance(config, TreeConfig):
        return plan_tree(functions, state, goal_feature, root_mask, config)
    return plan_shooting(functions, state, goal_feature, root_mask, config, generator)
