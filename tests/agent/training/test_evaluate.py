"""What evaluation during training leaves as it was."""

from dataclasses import replace
from typing import Any

import torch

from agent.data.replay import Replay
from agent.training.evaluate import EvaluationConfig, evaluate
from world_models.registry import build_model

CPU = torch.device("cpu")


def test_evaluation_leaves_mode_and_random_state_as_they_were(data):
    replay, config = Replay.open(data), EvaluationConfig(batches=1, batch_size=2, episodes=2)
    model: Any = build_model("hrssm", "quick", "vta", 32)
    results = []
    for seed, training in ((1, True), (2, False)):
        torch.manual_seed(seed)
        model.train(training)
        state = torch.get_rng_state()
        results.append(evaluate(model, replay, 5, CPU, config))
        assert torch.equal(torch.get_rng_state(), state)
        assert model.training == training
        assert all(parameter.grad is None for parameter in model.parameters())
    assert results[0] == results[1]  # the same batches and noise at every evaluation
    other = evaluate(model, replay, 5, CPU, replace(config, seed=1))
    assert other["image"] != results[0]["image"]
    rssm: Any = build_model("rssm", "quick", "vta", 32)
    assert "boundary_f1" not in evaluate(rssm, replay, 5, CPU, config)
