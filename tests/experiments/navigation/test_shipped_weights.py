"""The weights that this package ships still reach their goals."""

import pytest

from agent.acting.agents import ShortestPathAgent, WorldModelAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from planners.tree import TreeSearch
from world_models.interface import Plannable

PLANNER = TreeSearch(depth=5)
DEVELOPMENT = range(100_000, 100_020)


@pytest.mark.parametrize("name", ["hrssm-ours", "dlh-ours"])
def test_shipped_weights_earn_nine_tenths_of_the_shortest_paths_reward(name):
    layout = Layout.paper()
    model = load_trained(f"pretrained/{name}").able(Plannable)
    found, best = (
        navigate(agent, layout, DEVELOPMENT)["reward"].mean()
        for agent in (WorldModelAgent(model, PLANNER), ShortestPathAgent(layout))
    )
    assert found > 0.9 * best
