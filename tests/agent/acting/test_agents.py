"""Agents: what they decide on, what their models see, what their random numbers depend on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from agent.acting.agents import Context, RandomAgent
from agent.acting.navigate import navigate
from envs import dynamics
from envs.dynamics import Dynamics
from planners.interface import ModelFunctions, Plan
from planners.merging import Merging
from planners.tree import TreeSearch
from tests.support.perfect import PAPER, PerfectModel, Revealing, perfect_agent
from world_models import interface


def test_models_and_mazes_have_the_same_actions() -> None:
    assert interface.ACTIONS == dynamics.ACTIONS


def test_plans_only_where_there_is_a_choice() -> None:
    planned: list[np.ndarray] = []

    class Recording(TreeSearch):
        def plan(
            self,
            functions: ModelFunctions,
            state: object,
            goal_feature: torch.Tensor,
            root_mask: torch.Tensor,
            generator: torch.Generator,
        ) -> Plan:
            planned.append(root_mask.numpy())
            return super().plan(functions, state, goal_feature, root_mask, generator)

    result = navigate(Revealing(PerfectModel(), Recording(depth=40)), PAPER, range(10))
    roots = np.concatenate(planned)
    assert (roots.sum(axis=1) > 1).all()
    assert len(roots) == result["decisions"].sum() > 0


def test_a_planner_is_given_what_it_kept_of_the_same_episode() -> None:
    class Counting(Merging):
        """Keeps how many decisions an episode has had, and which; acts as a tree does."""

        def plan_on(
            self,
            functions: ModelFunctions,
            state: object,
            goal_feature: torch.Tensor,
            root_mask: torch.Tensor,
            generator: torch.Generator,
            past: Sequence[Any],
        ) -> tuple[Plan, list[Any]]:
            plan = TreeSearch(depth=40).plan(functions, state, goal_feature, root_mask, generator)
            goals = goal_feature.argmax(1).tolist()
            assert all(kept is None or kept[1] == goal for kept, goal in zip(past, goals, strict=True))
            counts = [1 if kept is None else kept[0] + 1 for kept in past]
            most.append(max(counts))
            return plan, list(zip(counts, goals, strict=True))

    most: list[int] = []
    agent = Revealing(PerfectModel(), Counting())
    result = navigate(agent, PAPER, range(8))
    assert max(most) == result["decisions"].max() > 2
    most.clear()
    navigate(agent, PAPER, range(8, 10))
    assert most[0] == 1  # other episodes begin with nothing


def test_context_grows_to_five_frames() -> None:
    context = Context(2, 5)
    for t in range(7):
        context.see(np.full((2, 1, 1, 3), t + 1, np.uint8))
        frames, actions, length = context.tensors(np.array([1]))
        seen = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7][t : t + 5]  # left-padded with zeros
        assert frames[0, :, 0, 0, 0].tolist() == seen
        assert length.tolist() == [min(t + 1, 5)]
        assert actions[0].tolist() == [0 if frame == 0 else 10 + frame for frame in seen[:-1]]
        context.took(np.array([0, 11 + t]))  # after frame t + 1


def test_model_is_given_a_short_context_at_the_start_of_an_episode() -> None:
    # An episode that starts where there is a choice decides at once, from a single frame.
    start = navigate(RandomAgent(), PAPER, range(300), record=True)["pose"][:, 0]
    at_once = np.flatnonzero(Dynamics.of(PAPER).action_mask(start).sum(axis=1) > 1)
    assert len(at_once) >= 5
    agent = perfect_agent()
    navigate(agent, PAPER, at_once[:5].tolist())
    lengths, actions = agent.model.lengths, agent.model.actions
    assert lengths[:5] == [1] * 5
    assert set(lengths[5:]) == {5}  # the next junction is at least five steps away
    assert not np.any(actions[:5])


@pytest.mark.parametrize("context", [1, 3, 7])
def test_a_model_is_shown_the_context_of_its_training(context: int) -> None:
    agent = perfect_agent(context)  # the model asserts the number of frames
    assert navigate(agent, PAPER, range(6))["success"].all()
    assert max(agent.model.lengths) == context
