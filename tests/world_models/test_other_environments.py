"""Models learn from data with any number of actions and goals of any shape, and plan with them."""

from typing import Any

import pytest
import torch

from planners.interface import ModelFunctions
from planners.shooting import Shooting
from tests.support.tiny import FRAME, random_frames
from world_models.blocks.images import goal_to_float
from world_models.interface import Batch
from world_models.registry import MODELS, build_model

ACTING = [(name, variant) for name, spec in MODELS.items() if spec.acts for variant in spec.variants]
GOALS = {"picture": (6, 6, 3), "vector": (4,)}


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize(("name", "variant"), ACTING)
def test_a_model_trains_and_plans_with_five_actions(name, variant, goal):
    torch.manual_seed(0)
    shape = GOALS[goal]
    model: Any = build_model(name, "quick", variant, FRAME, actions=5, goal=shape)
    b, t = 2, model.window_length
    goals = torch.randint(256, (b, t, *shape)).to(torch.uint8) if goal == "picture" else torch.randn(b, t, *shape)
    frames = torch.randint(256, (b, t, FRAME, FRAME, 3)).to(torch.uint8)
    batch = Batch(frames, torch.randint(5, (b, t)), torch.rand(b, t, 5) > 0.3, goals)
    losses = model.train().loss(batch, 0)
    losses.total.backward()
    assert torch.isfinite(losses.total)
    model.eval()
    with torch.no_grad():
        x, a = random_frames(b, model.context)
        state = model.observe(x, a[:, 1:] % 5, torch.full((b,), model.context))
        wanted = model.goal_feature(goal_to_float(goals[:, 0]))
        root = torch.tensor([[False, False, False, True, True]]).expand(b, -1)
        plan = Shooting(horizon=3, transitions=30).plan(
            ModelFunctions.of(model), state, wanted, root, torch.Generator().manual_seed(0)
        )
    assert (plan.action >= 3).all()
