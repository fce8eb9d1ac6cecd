"""stable-worldmodel: its World, its solvers, its data sets and its loader, with what we hand them as it is."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from agent.acting.agents import WorldModelAgent
from agent.acting.navigate import navigate
from agent.acting.policy import WorldModelPolicy
from envs.layout import Layout
from experiments.cli import main
from experiments.common.trained_runs import load_trained
from planners.cost import GoalCost
from planners.tree import TreeSearch

with warnings.catch_warnings(action="ignore"):  # of environments that it lacks packages for
    swm = pytest.importorskip("stable_worldmodel")
SEEDS = range(100_000, 100_020)


@pytest.fixture(scope="module")
def model():
    return load_trained("pretrained/hrssm-ours").model


@pytest.fixture
def world():
    made = swm.World("JumpyMazePassages-v0", num_envs=len(SEEDS), image_shape=(32, 32))
    yield made
    made.close()


def rewards(world, decide):
    """The total rewards of the first episode of each seed."""
    world.reset(seed=SEEDS.start)
    running, total = np.ones(len(SEEDS), bool), np.zeros(len(SEEDS))
    while running.any():
        _, reward, terminated, truncated, _ = world.envs.step(decide(world.infos), mask=running)
        total += reward
        running &= ~(terminated | truncated)
    return total


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # it writes NaN as an action before the first
def test_our_policy_earns_in_its_world_what_navigate_earns(world, model):
    planner = TreeSearch(depth=4)
    policy = WorldModelPolicy(model, planner)
    world.set_policy(policy)
    expected = navigate(WorldModelAgent(model, planner), Layout.paper(), SEEDS)["reward"]
    assert (rewards(world, policy.get_action) == expected).all()
    assert world.evaluate(episodes=3, seed=SEEDS.start)["success_rate"] > 60


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["cem", "pgd"])
def test_its_solvers_plan_with_our_cost(method, world, model):
    cost = GoalCost(model)
    if method == "cem":
        solver = swm.solver.CategoricalCEMSolver(cost, batch_size=20, num_samples=24, n_steps=2, topk=6)
    else:
        solver = swm.solver.PGDSolver(cost, n_steps=4, num_samples=4)
    solver.configure(action_space=Discrete(3), n_envs=len(SEEDS), config=swm.PlanConfig(4, 1))

    def decide(info):
        shown = {name: torch.as_tensor(value) for name, value in info.items() if isinstance(value, np.ndarray)}
        return solver.solve(shown)["actions"][:, 0].reshape(-1).numpy()

    assert rewards(world, decide).mean() > 45  # random: 26


def test_its_loader_reads_our_data_sets_in_place_and_as_hdf5(data, tmp_path):
    import agent.data.exchange.stable_worldmodel  # noqa: F401  registers the format

    file = tmp_path / "data.h5"
    assert main(["export", str(data.folder), "--to", "hdf5", "--out", str(file)]) == 0
    assert main(["export", str(data.folder), "--to", "hdf5", "--out", str(file)]) == 2
    ours, theirs = (
        swm.data.utils.load_dataset(str(path), num_steps=4, frameskip=2) for path in (data.folder.resolve(), file)
    )
    assert len(ours) == len(theirs) == 5 * (100 - 8 + 1) and set(ours.column_names) == set(theirs.column_names)
    for index in (0, 92, 93, 464):
        one, other = ours[index], theirs[index]
        assert one["pixels"].shape == (4, 3, 32, 32)
        assert all(torch.equal(one[name], other[name]) for name in ours.column_names)
    assert (ours.get_col_data("action") == theirs.get_col_data("action")).all()
    assert (ours.get_row_data([7, 120])["pose"] == theirs.get_row_data([7, 120])["pose"]).all()
    assert ours.get_dim("achieved_goal") == 27


def test_its_loader_builds_an_exported_model(model, tmp_path):
    folder = tmp_path / "model"
    assert main(["export", "pretrained/hrssm-ours", "--to", "stable-worldmodel", "--out", str(folder)]) == 0
    loaded = swm.wm.utils.load_pretrained(str(folder))
    passages = gymnasium.make_vec("JumpyMazePassages-v0", num_envs=2)
    observation, info = passages.reset(seed=0)
    candidates = torch.eye(3)[None, :, None].expand(2, 3, 2, 3)
    expected = GoalCost(model).get_cost(info | observation, candidates)
    assert torch.equal(loaded.get_cost(info | observation, candidates), expected)
