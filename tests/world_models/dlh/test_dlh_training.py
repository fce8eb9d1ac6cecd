"""How a DLH is built, trained, evaluated and loaded; which options are refused."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.batch import to_batch
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_scores
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig, evaluate
from agent.training.runs import load_model
from agent.training.train import train
from envs.videos import MovingBall
from tests.support.dlh_models import PATCH, build
from tests.support.tiny import FRAME, Oracle
from world_models.blocks.images import to_float
from world_models.dlh.options import PAPER, DLHOptions
from world_models.interface import ModelConfig
from world_models.options import override
from world_models.registry import MODELS, build_model, rebuild_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("levels=1", "levels.*2 or more.*got 1"),
        ("hold=1.5", "hold.*at most 1, got 1.5"),
        ("jump_level=4", "jump_level.*3 levels.*got 4"),
        ("window=20", "context.*window of 20 frames.*got 30"),
    ],
)
def test_wrong_options_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        override(DLHOptions(), change.split())


def test_built_by_its_name():
    model: Any = build_model("dlh", "paper", "paper", 64, actions=0)
    assert model.config == ModelConfig(PAPER, DLHOptions(), 64, 0)
    assert not hasattr(model, "goals")
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(7e6, rel=0.05)  # as the paper says
    with pytest.raises(ValueError, match=r"'vta' of dlh.*paper, ours"):
        build_model("dlh", "quick", "vta", 32)
    recipe = MODELS["dlh"].recipes["paper", "paper"]
    assert (recipe.batch_size, recipe.learning_rate, recipe.epsilon, recipe.amsgrad) == (100, 5e-4, 1e-4, False)


def test_checkpoints_from_before_an_option_was_retired_are_built_where_they_did_not_use_it():
    config = asdict(ModelConfig(PATCH, DLHOptions(), FRAME, 0))
    config["options"]["vade"] = False
    model: Any = rebuild_model("dlh", config)
    assert model.config.options == DLHOptions()
    config["options"]["vade"] = True
    with pytest.raises(ValueError, match=r"dlh.*vade"):
        rebuild_model("dlh", config)


def test_trains_on_moving_ball_evaluates_resumes_and_loads(tmp_path):
    make_videos(VideosConfig(tmp_path / "data", MovingBall(), sequences=20, length=20))
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=4)
    config = TrainConfig(
        tmp_path / "data",
        tmp_path / "run",
        "dlh",
        options=("window=10", "context=4", "levels=2"),
        steps=2,
        batch_size=2,
        device="cpu",
        evaluation=evaluation,
    )
    train(replace(config, pause_after=1))
    train(replace(config, resume=True))
    model, meta = load_model(config.out)
    assert (meta["step"], meta["run"]["variant"]) == (2, "ours+window=10+context=4")
    assert meta["run"]["recipe"]["epsilon"] == 1e-4
    replay = Replay.open(config.data)
    scores = evaluate(model, replay, 2, CPU, evaluation)
    assert {"image", "kl_s", "kl_e", "kl_s_1", "kl_s_2", "levels", "boundary_f1"} <= set(scores)


def test_boundary_scores_are_those_of_the_second_levels_changes(tmp_path):
    replay = make_videos(VideosConfig(tmp_path, MovingBall(), sequences=20, length=20))
    test = np.array(replay.split("test"))
    batch = to_batch(replay.slices(test, np.zeros_like(test), 20), CPU)
    assert batch.action_mask.shape[-1] == 0
    model = build(levels=2, actions=0).eval()
    changes = model.infer(to_float(batch.observation), batch.action).q[..., 1].detach().numpy()
    assert 0 < changes[:, 1:].mean() < 1
    ends = np.roll(changes, -1, axis=1)
    assert boundary_scores(model, replay, CPU, 4) == boundary_scores(Oracle(ends), replay, CPU, 4)
