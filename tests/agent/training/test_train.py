"""Training: resuming, stopping, refusing, saving, logging."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.system.device import choose_device, choose_precision
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from agent.training.trainer import Trainer, schedule
from envs.camera import Camera
from tests.support.video_runs import videos
from world_models.blocks.images import to_float
from world_models.hrssm.hrssm import HRSSM
from world_models.interface import Losses
from world_models.registry import build_model
from world_models.spec import Recipe

CPU = torch.device("cpu")
STEPS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten episodes."""
    folder = tmp_path_factory.mktemp("data") / "paper"
    collect(CollectConfig(folder, steps=1000))
    return folder


def tiny(data: Path, out: Path, **changes: Any) -> TrainConfig:
    """Forty steps of two sequences."""
    options: dict[str, Any] = {
        "steps": STEPS,
        "batch_size": 2,
        "device": "cpu",
        "log_every": 10,
        "evaluate_every": 1000,
        "evaluation": EvaluationConfig(batches=1, batch_size=2, episodes=2),
    }
    return TrainConfig(data=data, out=out, **options | changes)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 steps in one piece."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(tiny(data, out, evaluate_every=15))
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """The run, to be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def step_of(run: Path) -> int:
    return read_checkpoint(run / CHECKPOINT)[1]["step"]


# ------------------------------------------------------------------------ resuming and stopping


def test_twenty_steps_and_twenty_in_a_new_process_equal_forty(data, tmp_path):
    """Each piece in a process of its own with one thread, as the promise is worded."""

    def piece(out: Path, *options: str) -> None:
        sizes = f"--data {data} --out {out} --steps {STEPS} --batch-size 2 --device cpu --evaluation.batches 1"
        command = [sys.executable, "-m", "experiments.cli", "train", *sizes.split(), *options]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.run(command, env=one_thread, capture_output=True, text=True, timeout=600)
        assert process.returncode == 0, process.stderr

    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    piece(whole)
    piece(pieces, "--pause-after", "20")
    assert step_of(pieces) == 20
    piece(pieces, "--resume")
    tensors, meta = read_checkpoint(pieces / CHECKPOINT)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_stops_and_the_run_goes_on(data, tmp_path, monkeypatch, capsys, number):
    update = Trainer.update

    def signalled(self: Trainer):
        if self.step == 3:
            os.kill(os.getpid(), number)
        return update(self)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", signalled)
        train(tiny(data, tmp_path))
    assert signal.getsignal(number) == before
    assert step_of(tmp_path) == 4  # the step under way was finished
    assert f"stopped at step 4 of 40, saved in {tmp_path}: go on with --resume" in capsys.readouterr().out
    train(tiny(data, tmp_path, resume=True, pause_after=1))
    assert step_of(tmp_path) == 5


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
    terms["image"] = terms["image"] + (model.prior_m.bias * 0).sum().sqrt()  # value 0, slope infinite times 0


@pytest.mark.parametrize(("poison", "what"), [(not_a_number, "kl_s"), (steep, "gradient")])
def test_number_that_is_not_finite_stops_before_the_step(data, tmp_path, monkeypatch, poison, what):
    monkeypatch.setattr(HRSSM, "loss", poisoned(poison))
    with pytest.raises(FloatingPointError, match=rf"step 3: {what} is not finite; the last checkpoint in .* is kept"):
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


# ------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": "rssm"}, "model hrssm, asked for is rssm"),
        ({"variant": "vta"}, "variant ours, asked for is vta"),
        ({"batch_size": 3}, "recipe.batch_size 2, asked for is 3"),
        ({"steps": 50}, "recipe.steps 40, asked for is 50"),
        ({"seed": 1}, "seed 0, asked for is 1"),
    ],
)
def test_resuming_with_another_configuration_names_what_differs(data, whole, change, key):
    before = (whole / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=f"was trained with {key}"):
        train(tiny(data, whole, resume=True, **change))
    assert (whole / CHECKPOINT).read_bytes() == before


def test_resuming_on_other_data_is_refused(whole, tmp_path):
    collect(CollectConfig(tmp_path, steps=200, layout="random-1"))
    with pytest.raises(ValueError, match="layout paper, asked for is random-1"):
        train(tiny(tmp_path, whole, resume=True))


def test_run_is_replaced_only_when_asked_to(data, copy):
    before = (copy / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match="already holds a run: add --resume to go on or --overwrite to replace it"):
        train(tiny(data, copy))
    assert (copy / CHECKPOINT).read_bytes() == before
    train(tiny(data, copy, overwrite=True, pause_after=1))
    assert step_of(copy) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps must be more than 0, got 0"),
        ({"batch_size": -2}, "--batch-size must be more than 0, got -2"),
        ({"learning_rate": 0.0}, "--learning-rate must be more than 0, got 0.0"),
        ({"log_every": 0}, "--log-every must be more than 0, got 0"),
        ({"pause_after": 0}, "--pause-after must be more than 0, got 0"),
        ({"seed": -1}, "--seed must be 0 or more, got -1"),
    ],
)
def test_impossible_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(data=tmp_path, out=tmp_path, **options)


def test_frames_that_cannot_be_encoded_are_refused_before_anything_is_written(tmp_path):
    collect(CollectConfig(tmp_path / "data", steps=200, camera=Camera(size=16)))
    with pytest.raises(ValueError, match="frames of 16 pixels cannot be encoded: collect with a size"):
        train(tiny(tmp_path / "data", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="torch sees no CUDA device: use --device cpu"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="unknown device 'tpu': choose auto, cpu or cuda"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"


# ------------------------------------------------------------------------ what is saved


def test_precision_is_recorded_and_has_to_stay(data, tmp_path):
    changes = {"precision": "bf16", "steps": 2, "log_every": 1}
    train(tiny(data, tmp_path, **changes, pause_after=1))
    _, meta = load_model(tmp_path)
    assert meta["run"]["precision"] == "bf16"
    with pytest.raises(ValueError, match="precision bf16, asked for is fp32"):
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
        with pytest.raises(ValueError, match="batch of 2 windows does not fit into memory: use a smaller --batch-size"):
            train(tiny(data, tmp_path, resume=True))
    if not steps:  # nothing is kept that a smaller batch could not go on with
        train(tiny(data, tmp_path, resume=True, batch_size=1, pause_after=1))
    else:
        assert load_model(tmp_path)[1]["step"] == steps


def test_loaded_model_is_the_trained_one(whole):
    model, meta = load_model(whole)
    assert (meta["step"], meta["run"]["model"], meta["run"]["layout"]) == (STEPS, "hrssm", "paper")
    assert not model.training
    tensors, _ = read_checkpoint(whole / CHECKPOINT)
    assert all(torch.equal(value, tensors[f"model.{name}"]) for name, value in model.state_dict().items())
    assert load_model(whole / CHECKPOINT)[1] == meta  # by its file, too


def test_model_keeps_the_options_that_it_was_trained_with(copy):
    tensors, meta = read_checkpoint(copy / CHECKPOINT)
    meta["run"]["config"]["options"]["n_max"] = 11  # as if this version had another default
    write_checkpoint(copy / CHECKPOINT, tensors, meta)
    assert load_model(copy)[0].config.options.n_max == 11


def test_missing_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no run .*nowhere: train one with 'jumpy train --out"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there is no checkpoint .*checkpoint.safetensors: train one"):
        load_model(tmp_path)


def test_truncated_model_is_refused(copy):
    path = copy / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is damaged"):
        load_model(copy)


def test_altered_model_is_refused(copy):
    content = bytearray((copy / CHECKPOINT).read_bytes())
    content[-1] ^= 1
    (copy / CHECKPOINT).write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint.safetensors was altered"):
        load_model(copy)


def test_files_of_other_models_are_refused(copy):
    path = copy / CHECKPOINT
    tensors, meta = read_checkpoint(path)
    rssm = {f"model.{name}": value for name, value in build_model("rssm", "quick", "ours", 32).state_dict().items()}
    write_checkpoint(path, rssm, meta)
    with pytest.raises(ValueError, match=r"holds no model of this kind and version, train it again: .*Missing key"):
        load_model(copy)
    write_checkpoint(path, tensors, meta | {"run": meta["run"] | {"model": "dreamer"}})
    with pytest.raises(ValueError, match=r"unknown model 'dreamer': choose one of rssm, hrssm"):
        load_model(copy)
    options = meta["run"]["config"]["options"] | {"telepathy": True}
    changed = meta["run"]["config"] | {"options": options}
    write_checkpoint(path, tensors, meta | {"run": meta["run"] | {"config": changed}})
    with pytest.raises(ValueError, match=r"no hrssm of this configuration .*telepathy"):
        load_model(copy)
    write_checkpoint(path, tensors, {"step": 3})
    with pytest.raises(ValueError, match="is a checkpoint, but of no training run"):
        load_model(copy)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="is no checkpoint of format 1"):
        load_model(copy)


def test_a_run_that_replaces_another_shows_no_curves_of_it(data, copy):
    train(tiny(data, copy, steps=3, log_every=1, overwrite=True))
    events = EventAccumulator(str(copy / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [1, 2, 3]


def test_a_run_that_goes_on_keeps_the_curves_up_to_the_step_it_stopped_at(data, copy):
    train(tiny(data, copy, evaluate_every=15, resume=True))
    events = EventAccumulator(str(copy / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [10, 20, 30, 40]
    assert [event.step for event in events.Scalars("test/image")] == [15, 30, 40]


def test_tensorboard_shows_terms_speed_boundaries_and_pictures(whole):
    events = EventAccumulator(str(whole / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    for name in ("image", "kl_s", "kl_z", "kl_m", "nelbo", "total", "gradient", "boundaries", "samples_per_s"):
        assert f"train/{name}" in scalars
    for name in ("image", "kl_z", "boundary_f1", "boundary_precision", "boundary_recall", "boundary_share"):
        assert f"test/{name}" in scalars
    assert [event.step for event in events.Scalars("train/total")] == [10, 20, 30, 40]
    assert [event.step for event in events.Scalars("test/image")] == [15, 30, 40]
    assert all(np.isfinite(event.value) for event in events.Scalars("train/total"))
    assert {"reconstruction", "generation/full", "generation/jumpy"} <= set(events.Tags()["images"])


# ------------------------------------------------------------------------ learning rate


def test_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=4000, batch_size=1, learning_rate=1.0, clip=1.0, warmup=100, decay=0.5)
    shares = {0: 0.01, 49: 0.5, 99: 1, 2000: 1, 3000: 0.5, 3999: 0, 2500: (1 + 0.5**0.5) / 2}
    for step, share in shares.items():
        assert schedule(step, recipe) == pytest.approx(share, abs=1e-6)
    constant = Recipe(steps=10, batch_size=1, learning_rate=1.0, clip=1.0)
    assert [schedule(step, constant) for step in range(10)] == [1.0] * 10


def test_a_videos_first_step_draws_its_mean_colour_not_grey(tmp_path):
    """Else the first steps drive a dark video's decoder to where its tanh has no gradient (experiments/LOG.md, 13)."""
    folder = videos(tmp_path / "balls")
    trainer = Trainer(tiny(folder, tmp_path / "run", variant="vta", options=("window=12",)), Replay.open(folder), CPU)
    frames = Replay.open(folder).slices(np.arange(4), np.zeros(4, int), 10)["observation"]
    x = to_float(torch.from_numpy(frames))
    drawn = trainer.model.decoder(torch.zeros(1, 1, trainer.model.config.sizes.state))
    assert (drawn - x).square().mean() < 0.5 * x.square().mean()
