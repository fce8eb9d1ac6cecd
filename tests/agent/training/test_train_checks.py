"""What a training checks before it changes anything."""

import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.system.device import choose_device
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT
from agent.training.train import train
from envs.camera import Camera
from tests.support.maze_runs import step_of, tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": "rssm"}, "model hrssm.*rssm"),
        ({"variant": "vta"}, "variant ours.*vta"),
        ({"options": ("sigma=2", "l_min=3")}, "options.sigma 1.*2"),
        ({"batch_size": 3}, "recipe.batch_size 2.*3"),
        ({"steps": 50}, "recipe.steps 40.*50"),
        ({"seed": 1}, "seed 0.*1"),
    ],
)
def test_resuming_with_another_configuration_names_what_differs(data, whole, change, key):
    before = (whole / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=key):
        train(tiny(data, whole, resume=True, **change))
    assert (whole / CHECKPOINT).read_bytes() == before


def test_resuming_on_other_data_is_refused(whole, tmp_path):
    collect(CollectConfig(tmp_path, steps=200, layout="random-1"))
    with pytest.raises(ValueError, match=r"layout paper.*random-1"):
        train(tiny(tmp_path, whole, resume=True))


def test_run_is_replaced_only_when_asked_to(data, copy):
    before = (copy / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=r"already holds a run.*--resume.*--overwrite"):
        train(tiny(data, copy))
    assert (copy / CHECKPOINT).read_bytes() == before
    train(tiny(data, copy, overwrite=True, pause_after=1))
    assert step_of(copy) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps.*got 0"),
        ({"batch_size": -2}, "--batch-size.*got -2"),
        ({"learning_rate": 0.0}, "--learning-rate.*got 0"),
        ({"log_every": 0}, "--log-every.*got 0"),
        ({"pause_after": 0}, "--pause-after.*got 0"),
        ({"pause_after_minutes": 0.0}, "--pause-after-minutes.*got 0"),
        ({"decay": 1.5}, "--decay.*0 to 1, got 1.5"),
        ({"seed": -1}, "--seed.*got -1"),
    ],
)
def test_impossible_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(data=tmp_path, out=tmp_path, **options)


def test_frames_that_cannot_be_encoded_are_refused_before_anything_is_written(tmp_path):
    collect(CollectConfig(tmp_path / "data", steps=200, camera=Camera(size=16)))
    with pytest.raises(ValueError, match="16 pixels"):
        train(tiny(tmp_path / "data", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match=r"no CUDA device.*--device cpu"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="'tpu': choose auto, cpu or cuda"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"


def test_resuming_on_other_frames_of_the_same_maze_is_refused(whole, tmp_path):
    before = (whole / CHECKPOINT).read_bytes()
    collect(CollectConfig(tmp_path / "more", steps=1100))
    with pytest.raises(ValueError, match=r"trained with data_sha256 \w+\.{3}, asked for is \w+"):
        train(tiny(tmp_path / "more", whole, resume=True))
    collect(CollectConfig(tmp_path / "straight", steps=1000, camera=Camera(yaw_degrees=0.0)))
    with pytest.raises(ValueError, match=r"camera.yaw_degrees [\d.]+, asked for is 0"):
        train(tiny(tmp_path / "straight", whole, resume=True))
    assert (whole / CHECKPOINT).read_bytes() == before


def test_a_run_that_did_not_note_its_data_resumes_and_notes_them(data, tmp_path):
    train(tiny(data, tmp_path, pause_after=1))
    tensors, meta = read_checkpoint(tmp_path / CHECKPOINT)
    noted = {name: meta["run"].pop(name) for name in ("camera", "data_sha256")}
    write_checkpoint(tmp_path / CHECKPOINT, tensors, meta)  # as older versions wrote it
    train(tiny(data, tmp_path, resume=True, pause_after=1))
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["run"].items() >= noted.items()


def test_a_run_whose_variant_had_other_defaults_resumes_with_the_same_options(data, tmp_path):
    train(tiny(data, tmp_path, pause_after=1))
    tensors, meta = read_checkpoint(tmp_path / CHECKPOINT)
    now = meta["run"]["variant"]
    meta["run"]["variant"] = "ours+sigma=1.0"  # what the same options were called
    write_checkpoint(tmp_path / CHECKPOINT, tensors, meta)
    train(tiny(data, tmp_path, resume=True, pause_after=1))
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["run"]["variant"] == now


def test_resuming_where_there_is_no_run_begins_none(data, tmp_path):
    with pytest.raises(ValueError, match=r"mistyped holds no run that --resume could continue.*--out"):
        train(tiny(data, tmp_path / "mistyped", resume=True))
    assert not (tmp_path / "mistyped").exists()


def test_resuming_and_replacing_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match=r"--resume.*--overwrite.*one of them"):
        tiny(tmp_path, tmp_path, resume=True, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_only_curves_of_trainings_are_ever_removed(data, tmp_path, overwrite):
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    others = [folder / name for name in ("notes.txt", "events.out.tfevents.1.host.2.0")]
    ours = folder / "events.out.tfevents.1.host.2.0.jumpy"
    for path in (*others, ours):
        path.write_bytes(b"")
    train(tiny(data, tmp_path, overwrite=overwrite, pause_after=1))
    assert all(path.exists() for path in others)
    assert ours.exists() != overwrite
