"""The weights that this package ships still reach their goals."""

from agent.acting.agents import ShortestPathAgent, WorldModelAgent
from agent.acting.navigate import navigate
from envs.layout import Layout
from experiments.common.trained_runs import load_trained
from planners.tree import TreeSearch
from world_models.interface import Plannable

PLANNER = TreeSearch(depth=5)
DEVELOPMENT = range(100_000, 100_020)


def test_shipped_hrssm_earns_nine_tenths_of_the_shortest_paths_reward():
    layout = Layout.paper()
    model = load_trained("pretrained/hrssm-ours").able(Plannable)
    found, best = (
        navigate(agent, layout, DEVELOPMENT)["reward"].mean()
        for agent in (WorldModelAgent(model, PLANNER), ShortestPathAgent(layout))
    )
    assert found > 0.9 * best
