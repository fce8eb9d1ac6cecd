"""Changes of a variant's options on the command line: reading, checking, recording."""

import math
from dataclasses import asdict, replace
from typing import Any, get_args, get_type_hints

import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from agent.training.trainer import Trainer
from world_models import rssm
from world_models.hrssm import options as hrssm_options
from world_models.options import domains, label, override, split_label
from world_models.registry import MODELS, build_model, variant_label


def test_values_are_read_as_their_fields_types():
    changes = [
        "n_max=20",
        "sigma=0.5",
        "dequantise=False",
        "action_weight=None",
        "legal_weight=2",
        "lookahead=0",
    ]
    options = override(hrssm_options.OURS, changes)
    expected: dict[str, Any] = {
        "n_max": 20,
        "sigma": 0.5,
        "dequantise": False,
        "action_weight": None,
        "legal_weight": 2.0,
        "lookahead": 0,
    }
    assert options == replace(hrssm_options.OURS, **expected)
    assert isinstance(options.legal_weight, float)
    assert override(hrssm_options.OURS, []) == hrssm_options.OURS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("n_max", "NAME=VALUE.*got 'n_max'.*n_max=20"),
        ("telepathy=1", "'telepathy'.*context, window, .*n_max, l_max"),
        ("n_max=many", "n_max.*whole number.*'many'"),
        ("n_max=2.5", "n_max.*whole number.*'2.5'"),
        ("n_max=none", "n_max.*whole number.*'none'"),
        ("n_max=0", "n_max.*1 or more.*got 0"),
        ("lookahead=-1", "lookahead.*0 or more.*got -1"),
        ("sigma=nan", "sigma.*number.*'nan'"),
        ("sigma=-1", "sigma.*0.0001 or more.*got -1"),
        ("sigma=0", "sigma.*0.0001 or more.*got 0"),
        ("sigma=1e-200", "sigma.*0.0001 or more.*got 1e-200"),
        ("temperature_steps=0", "temperature_steps.*0.0001 or more.*got 0"),
        ("temperature_decay=1.5", "temperature_decay.*at most 1, got 1.5"),
        ("boundary_rate=2", "boundary_rate.*at most 1, got 2"),
        ("n_max=1" + 30 * "0", "n_max.*at most 1e.09, got 1e.30"),
        ("explore_steps=-1", "explore_steps.*0 or more.*got -1"),
        ("samples_from=-1", "samples_from.*0 or more.*got -1"),
        ("dequantise=1", "dequantise.*true or false.*'1'"),
        ("legal_weight=much", "legal_weight.*number or none.*'much'"),
        ("l_max=3", "l_max.*twice.*'l_max=3'"),
        ("jump_action=none", "jump_action.*before, first, decision.*'none'"),
    ],
)
def test_wrong_changes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        override(hrssm_options.VTA, ["l_max=20", change])


@pytest.mark.parametrize("model", MODELS)
def test_options_outside_their_domain_are_refused_however_they_are_made(model):
    standard = next(iter(MODELS[model].variants.values()))
    limits = domains(type(standard))
    numbers = {name for name, value in asdict(standard).items() if type(value) in (int, float)}
    assert numbers <= {*limits}
    hints = get_type_hints(type(standard))
    for name, domain in limits.items():
        whole = int in (hints[name], *get_args(hints[name]))
        for value in (domain.low - 1, 2 * domain.high) if whole else (domain.low - 1.0, 2.0 * domain.high, math.nan):
            with pytest.raises(ValueError, match=f"option {name} must be .*, got "):
                replace(standard, **{name: value})


def test_words_are_read_and_have_to_suit_others():
    assert override(hrssm_options.VTA, ["jump_action=decision"]).jump_action == "decision"
    with pytest.raises(ValueError, match=r"jump_action.*before.*imagination_weight.*got first"):
        replace(hrssm_options.OURS, jump_action="first")


def test_a_label_names_the_changes_and_reads_back():
    changes = ["legal_weight=none", "n_max=20", "l_max=8", "rate_weight=1e20"]  # l_max is 8 already
    options = override(hrssm_options.OURS, changes)
    named = label("ours", hrssm_options.OURS, options)
    assert named == "ours+n_max=20+rate_weight=1e20+legal_weight=none"
    name, again = split_label(named)
    assert (name, override(hrssm_options.OURS, again)) == ("ours", options)
    assert variant_label("hrssm", "vta", hrssm_options.VTA) == "vta"
    assert variant_label("rssm", "vta", override(rssm.VTA, ["sigma=2"])) == "vta+sigma=2.0"


def test_a_run_is_built_recorded_resumed_and_loaded_with_its_options(tmp_path):
    collect(CollectConfig(tmp_path / "data", steps=1000))
    options: dict[str, Any] = {"variant": "vta", "steps": 2, "batch_size": 2, "device": "cpu"}
    config = TrainConfig(tmp_path / "data", tmp_path / "run", options=("n_max=20", "l_max=21"), **options)
    train(replace(config, pause_after=1))
    model, meta = load_model(config.out)
    assert meta["run"]["variant"] == "vta+n_max=20+l_max=21"
    assert (model.config.options.n_max, model.config.options.l_max) == (20, 21)
    with pytest.raises(ValueError, match=r"options\.n_max 20.*5"):
        train(replace(config, options=(), resume=True))
    train(replace(config, resume=True))
    assert read_checkpoint(config.out / CHECKPOINT)[1]["step"] == 2


def test_a_run_from_before_an_option_resumes(tmp_path):
    """An option that a checkpoint lacks has its default, the paper's, when resuming as when loading."""
    replay = collect(CollectConfig(tmp_path / "data", steps=1000))
    config = TrainConfig(tmp_path / "data", tmp_path / "run", variant="vta", device="cpu")
    trainer = Trainer(config, replay, torch.device("cpu"))
    trainer.restore()
    trainer.save()
    tensors, meta = read_checkpoint(config.out / CHECKPOINT)
    del meta["run"]["config"]["options"]["l_min"]
    write_checkpoint(config.out / CHECKPOINT, tensors, meta)
    Trainer(replace(config, resume=True), Replay.open(config.data), torch.device("cpu")).restore()
    meta["run"]["config"]["options"]["l_min"] = 3
    write_checkpoint(config.out / CHECKPOINT, tensors, meta)
    with pytest.raises(ValueError, match=r"options.l_min 3.*1"):
        Trainer(replace(config, resume=True), Replay.open(config.data), torch.device("cpu")).restore()


def test_no_change_builds_the_variant():
    model = build_model("hrssm", "quick", "ours", 32)
    assert asdict(model.config)["options"] == asdict(hrssm_options.OURS)  # type: ignore[call-overload]
