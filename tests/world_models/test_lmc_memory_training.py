"""LMC-Memory trained by command: an update of two steps, pieces, an interrupted step, and bad input."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import CHECKPOINT, load_run
from agent.training.train import train
from agent.training.trainer import Trainer
from envs.videos import MovingBall, MovingMNIST
from experiments import cli
from world_models.lmc_memory import LMCMemory

CPU = torch.device("cpu")
OPTIONS = tuple(["context=9", "predicted=4", "long=11", "first_steps=2", "first_predicted=2"])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten grey videos of 20 frames of 32 pixels."""
    folder = tmp_path_factory.mktemp("videos") / "digits"
    make_videos(VideosConfig(folder, MovingMNIST(slow=2.0, fast=3.0, size=32), sequences=10, length=20))
    return folder


def config(data: Path, out: Path, **changes: Any) -> TrainConfig:
    evaluation = EvaluationConfig(batches=1, batch_size=2)
    options: dict[str, Any] = {"model": "lmc-memory", "options": OPTIONS, "steps": 4, "batch_size": 2, "device": "cpu"}
    return TrainConfig(data=data, out=out, evaluation=evaluation, **options | changes)


def test_an_update_is_two_steps_of_adam_on_one_batch(digits, tmp_path):
    """The second phase is computed with the weights of the first, and changes neither slots nor the long encoder."""
    trainer, other = (Trainer(config(digits, tmp_path), Replay.open(digits), CPU) for _ in range(2))
    trainer.update()
    assert trainer.step == 1
    counts = {name: trainer.optimiser.state[value]["step"].item() for name, value in trainer.model.named_parameters()}
    once = {name for name, count in counts.items() if count == 1}
    assert once == {name for name in counts if name.split(".")[0] in ("slots", "motion", "long_motion")}
    assert {count for name, count in counts.items() if name not in once} == {2}
    model: Any = other.model
    phases = model.phases

    def first_only(batch, step):
        yield next(phases(batch, step))

    model.phases = first_only
    other.update()
    for name in ("slots", "long_motion.layers.0.weight"):
        assert torch.equal(trainer.model.get_parameter(name), other.model.get_parameter(name))
    assert not torch.equal(trainer.model.get_parameter("decoder.0.weight"), model.get_parameter("decoder.0.weight"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pieces_equal_the_whole_to_the_bit(digits, tmp_path, precision):
    """Weights of convolutions lie channels last, those in files do not: Adam's moments must follow the weights."""
    whole = config(digits, tmp_path / "whole", precision=precision)
    train(whole)
    pieces = replace(whole, out=tmp_path / "pieces")
    train(replace(pieces, pause_after=1))
    train(replace(pieces, resume=True, pause_after=2))
    train(replace(pieces, resume=True))
    ends = []
    for each in (whole, pieces):
        trainer = Trainer(replace(each, resume=True), Replay.open(digits), CPU)
        load_run(each.out / CHECKPOINT, trainer.model, trainer.optimiser, trainer.meta, CPU)
        moments = [value for state in trainer.optimiser.state.values() for value in state.values()]
        ends.append([*trainer.model.state_dict().values(), *moments])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_too_large_a_batch_within_a_step_keeps_the_last_checkpoint(digits, tmp_path, monkeypatch):
    """After the first phase the weights are of no step: saving them would not resume to the bit."""
    train(config(digits, tmp_path, pause_after=2))
    before = (tmp_path / CHECKPOINT).read_bytes()

    def half(self, batch, step):
        yield self.loss(batch, step)
        torch.empty(2**60)

    monkeypatch.setattr(LMCMemory, "phases", half)
    with pytest.raises(ValueError, match=r"batch of 2 .*memory"):
        train(config(digits, tmp_path, resume=True))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


BAD_INPUT = {
    "train --data digits --out new --options context=8": ("context", "9 or more", "8"),
    "train --data digits --out new --options long=60": ("long", "40"),
    "train --data digits --out new --options channels=2": ("channels", "1 (grey) or 3"),
    "train --data digits --out new": ("20 frames", "40"),
    "train --data balls --out new": ("colours", "grey", "channels=3"),
    "predict --data digits --run run --out new --context 8": ("at least 9 frames", "--context 8"),
}


@pytest.fixture(scope="module")
def world(digits: Path) -> Path:
    make_videos(VideosConfig(digits.parent / "balls", MovingBall(), sequences=5, length=40))
    train(config(digits, digits.parent / "run", pause_after=1))
    return digits.parent


@pytest.mark.parametrize("arguments", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(world, capsys, monkeypatch, arguments):
    monkeypatch.chdir(world)
    model = ["--model", "lmc-memory"] if arguments.startswith("train") else []
    assert cli.main([*arguments.split(), *model]) == 2
    (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert [word for word in BAD_INPUT[arguments] if word not in line] == []
    assert not (world / "new").exists()


def test_colours_can_be_learned_when_asked(world, tmp_path):
    train(config(world / "balls", tmp_path, options=(*OPTIONS, "channels=3"), pause_after=1))
    assert (tmp_path / CHECKPOINT).exists()
