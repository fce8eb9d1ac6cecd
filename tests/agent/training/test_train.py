"""Training: resuming, stopping, time, numbers that are not finite, learning rate."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.system.device import choose_precision
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from agent.training.trainer import Trainer, schedule
from tests.support.maze_runs import STEPS, step_of, tiny
from tests.support.video_runs import videos
from world_models.blocks.images import to_float
from world_models.hrssm.hrssm import HRSSM
from world_models.interface import Losses
from world_models.spec import Recipe

CPU = torch.device("cpu")


def test_twenty_steps_and_twenty_in_new_processes_equal_forty(data, whole, tmp_path):
    """Each piece in a process of its own with one thread, as the promise is worded."""

    def piece(*options: str) -> None:
        sizes = f"--data {data} --out {tmp_path} --steps {STEPS} --batch-size 2 --device cpu --evaluation.batches 1"
        command = [sys.executable, "-m", "experiments.cli", "train", *sizes.split(), *options]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.run(command, env=one_thread, capture_output=True, text=True, timeout=600)
        assert process.returncode == 0, process.stderr

    piece("--pause-after", "20")
    assert step_of(tmp_path) == 20
    piece("--resume")
    tensors, meta = read_checkpoint(tmp_path / CHECKPOINT)
    expected, expected_meta = read_checkpoint(whole / CHECKPOINT)
    for each in (meta, expected_meta):
        ((device, seconds),) = each.pop("trained_seconds").items()
        assert device.endswith(", 1 thread, processor time")
        assert seconds > 0
    assert meta == expected_meta
    assert meta["step"] == STEPS
    assert set(tensors) == set(expected)
    assert any(name.startswith("optimiser.") for name in tensors)
    different = [name for name in expected if not torch.equal(tensors[name], expected[name])]
    assert different == []


def test_training_time_leaves_out_what_else_ran_on_the_processor(data, tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: 1e6 * next(clock))  # of a machine that does something else
    train(tiny(data, tmp_path, steps=2))
    (seconds,) = read_checkpoint(tmp_path / CHECKPOINT)[1]["trained_seconds"].values()
    assert 0 < seconds < 600


def test_training_time_stays_unknown_where_its_beginning_was_not_noted(data, tmp_path):
    config = tiny(data, tmp_path, steps=3, pause_after=1)
    train(config)
    tensors, meta = read_checkpoint(tmp_path / CHECKPOINT)
    assert len(meta.pop("trained_seconds")) == 1
    write_checkpoint(tmp_path / CHECKPOINT, tensors, meta)  # as older versions wrote it
    train(replace(config, resume=True))
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["trained_seconds"] is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_saves_and_stops_and_the_run_continues(data, tmp_path, monkeypatch, capsys, number):
    update = Trainer.update

    def signalled(self: Trainer):
        if self.step == 3:
            os.kill(os.getpid(), number)
        return update(self)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", signalled)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(data, tmp_path))
    assert signal.getsignal(number) == before
    assert step_of(tmp_path) == 4  # the step under way was finished
    output = capsys.readouterr().out
    assert all(word in output for word in ("step 4 of 40", str(tmp_path), "--resume"))
    train(tiny(data, tmp_path, resume=True, pause_after=1))
    assert step_of(tmp_path) == 5


def test_interrupted_command_saves_and_fails_with_the_status_of_its_signal(data, tmp_path):
    options = f"train --data {data} --out {tmp_path} --steps 9 --batch-size 2 --device cpu --evaluation.batches 1"
    signalled = """
import os, signal, sys
from agent.training.trainer import Trainer
from experiments.cli import main
update = Trainer.update
def signalled(self):
    os.kill(os.getpid(), signal.SIGTERM)
    return update(self)
Trainer.update = signalled
sys.exit(main())
"""
    ended = subprocess.run([sys.executable, "-c", signalled, *options.split()], capture_output=True, text=True)
    assert ended.returncode == 143, ended.stderr
    assert ended.stderr.endswith("jumpy: interrupted\n")
    assert step_of(tmp_path) == 1


def test_second_ctrl_c_ends_at_once(data, tmp_path, monkeypatch):
    def twice(self: Trainer):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr(Trainer, "update", twice)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(data, tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def poisoned(poison) -> Any:
    """`HRSSM.loss` with a change to the terms at step 3."""
    loss = HRSSM.loss

    def changed(self: HRSSM, batch, step: int) -> Losses:
        losses = loss(self, batch, step)
        if step == 3:
            poison(self, losses.terms)
        return losses

    return changed


def not_a_number(model: HRSSM, terms: dict) -> None:
    terms["kl_s"] = terms["kl_s"] * float("nan")


def steep(model: HRSSM, terms: dict) -> None:
    weight = next(model.prior_m.parameters())
    terms["image"] = terms["image"] + (weight * 0).sum().sqrt()  # value 0, slope infinite times 0


@pytest.mark.parametrize(("poison", "what"), [(not_a_number, "kl_s"), (steep, "gradient")])
def test_number_that_is_not_finite_stops_before_the_step(data, tmp_path, monkeypatch, poison, what):
    monkeypatch.setattr(HRSSM, "loss", poisoned(poison))
    with pytest.raises(FloatingPointError, match=rf"step 3: {what} is not finite.*checkpoint"):
        train(tiny(data, tmp_path, checkpoint_every=2))
    assert step_of(tmp_path) == 2
    trainer = Trainer(tiny(data, tmp_path, resume=True), Replay.open(data), CPU)
    trainer.restore()
    trainer.update()
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(FloatingPointError):
        trainer.update()
    assert trainer.step == 3
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())


@pytest.mark.parametrize("model", ["hrssm", "rssm"])
def test_training_lowers_the_loss(tmp_path, model):
    replay = collect(CollectConfig(tmp_path / "data", steps=200))  # two episodes
    options = {"model": model, "variant": "vta", "learning_rate": 5e-3}  # vta: no warm-up
    trainer = Trainer(tiny(tmp_path / "data", tmp_path / "run", **options), replay, CPU)
    totals = [trainer.update()[0].total.item() for _ in range(30)]
    assert np.mean(totals[-10:]) < 0.8 * np.mean(totals[:10])


def test_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=4000, batch_size=1, learning_rate=1.0, clip=1.0, warmup=100, decay=0.5)
    shares = {0: 0.01, 49: 0.5, 99: 1, 2000: 1, 3000: 0.5, 3999: 0, 2500: (1 + 0.5**0.5) / 2}
    for step, share in shares.items():
        assert schedule(step, recipe) == pytest.approx(share, abs=1e-6)
    constant = Recipe(steps=10, batch_size=1, learning_rate=1.0, clip=1.0)
    assert [schedule(step, constant) for step in range(10)] == [1.0] * 10


def test_a_videos_first_step_decodes_its_mean_colour_not_grey(tmp_path):
    """Else the first steps drive a dark video's decoder to where its tanh has no gradient (experiments/LOG.md, 13)."""
    folder = videos(tmp_path / "balls")
    trainer = Trainer(tiny(folder, tmp_path / "run", variant="vta", options=("window=12",)), Replay.open(folder), CPU)
    frames = Replay.open(folder).slices(np.arange(4), np.zeros(4, int), 10)["observation"]
    x = to_float(torch.from_numpy(frames))
    model: Any = trainer.model
    decoded = model.decoder(torch.zeros(1, 1, model.config.sizes.state))
    assert (decoded - x).square().mean() < 0.5 * x.square().mean()


def test_precision_is_recorded_and_has_to_stay(data, tmp_path):
    changes = {"precision": "bf16", "steps": 2, "log_every": 1}
    train(tiny(data, tmp_path, **changes, pause_after=1))
    _, meta = load_model(tmp_path)
    assert meta["run"]["precision"] == "bf16"
    with pytest.raises(ValueError, match=r"precision bf16.*fp32"):
        train(tiny(data, tmp_path, **changes | {"precision": "fp32"}, resume=True))
    train(tiny(data, tmp_path, **changes, resume=True))


def test_auto_is_bf16_on_a_cpu_that_multiplies_it_only(monkeypatch):
    for able, expected in (("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), ("avx512_f", "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {able: True})
        assert choose_precision("auto", CPU) == expected
        assert choose_precision("auto", torch.device("cuda")) == "fp32"  # not measured
        assert choose_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_batch_that_does_not_fit_names_the_remedy_and_loses_no_step(data, tmp_path, monkeypatch, where, steps):
    def too_large(*_):
        if where == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 TiB")
        torch.empty(2**60)

    if steps:
        train(tiny(data, tmp_path, pause_after=steps))
    with monkeypatch.context() as patch:
        patch.setattr(HRSSM, "loss", too_large)
        with pytest.raises(ValueError, match=r"batch of 2 .*memory.*--batch-size"):
            train(tiny(data, tmp_path, resume=steps > 0))
    if not steps:  # a smaller batch can start from scratch
        train(tiny(data, tmp_path, batch_size=1, pause_after=1))
    else:
        assert load_model(tmp_path)[1]["step"] == steps
