"""Run folders: the model that is loaded, and invalid files."""

import pytest
import torch
from safetensors.torch import save_file

from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.runs import CHECKPOINT, load_model
from tests.support.maze_runs import STEPS
from world_models.registry import build_model


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
    with pytest.raises(ValueError, match=r"no run .*nowhere.*'jumpy train --out"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no checkpoint .*checkpoint.safetensors"):
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
    with pytest.raises(ValueError, match=r"no model of this kind.*Missing key"):
        load_model(copy)
    write_checkpoint(path, tensors, meta | {"run": meta["run"] | {"model": "dreamer"}})
    with pytest.raises(ValueError, match=r"unknown model 'dreamer'"):
        load_model(copy)
    options = meta["run"]["config"]["options"] | {"telepathy": True}
    changed = meta["run"]["config"] | {"options": options}
    write_checkpoint(path, tensors, meta | {"run": meta["run"] | {"config": changed}})
    with pytest.raises(ValueError, match=r"hrssm.*telepathy"):
        load_model(copy)
    write_checkpoint(path, tensors, {"step": 3})
    with pytest.raises(ValueError, match="not of a training run"):
        load_model(copy)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="format 1"):
        load_model(copy)
