"""`jumpy import`: the data set on disk, whichever reader it comes from, and models that train on it."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from agent.data.import_videos import ImportConfig, import_videos
from agent.data.readers import RECORDED, Kth
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import load_model
from agent.training.train import train
from experiments import cli
from tests.support.files import content
from tests.support.kth_files import RANGES, file, write_avi, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "kth")


def test_a_call_that_was_cut_off_goes_on_to_the_same_bytes(source, tmp_path):
    write_avi(file(source, "person02_boxing_d1"), frames=80)
    (source / "00sequences.txt").write_text(RANGES.replace("1-40\nperson13", "1-80\nperson13"))
    config = ImportConfig(Kth(source, length=2), tmp_path / "whole")
    manifest = import_videos(config).manifest  # 110 clips
    assert manifest.shards == 2
    cut = ImportConfig(Kth(source, length=2), tmp_path / "cut")
    import_videos(cut)
    (cut.out / "shard-00001" / "observation.npy").write_bytes(b"half")
    manifest.__class__(**{**vars(manifest), "checksums": manifest.checksums[:1]}).write(cut.out)
    import_videos(cut)
    assert content(cut.out) == content(config.out)


def test_other_files_are_not_mixed_into_a_data_set(source, tmp_path):
    import_videos(ImportConfig(Kth(source, length=40), tmp_path / "data"))
    write_avi(file(source, "person02_boxing_d1"), frames=41)
    with pytest.raises(ValueError, match=r"files of SHA-256.*--overwrite"):
        import_videos(ImportConfig(Kth(source, length=40), tmp_path / "data"))
    with pytest.raises(ValueError, match=r"--persons svg.*schuldt"):
        import_videos(ImportConfig(Kth(source, length=40, persons="schuldt"), tmp_path / "data"))


def test_a_model_with_boundaries_trains_on_it_though_the_true_ones_are_not_known(source, tmp_path):
    data = import_videos(ImportConfig(Kth(source, length=36), tmp_path / "data")).folder
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=2)
    config = TrainConfig(data, tmp_path / "run", model="hrssm", variant="vta", steps=1, batch_size=2)
    train(replace(config, device="cpu", evaluation=evaluation))
    _, meta = load_model(config.out)
    assert (meta["run"]["dataset"], meta["run"]["video"]["persons"]) == ("kth", "svg")
    replay = Replay.open(data)
    with pytest.raises(ValueError, match=r"kth.*boundaries"):
        replay.manifest.subsequence_ends(replay.slices(np.array([0]), np.array([0]), 36))


@pytest.mark.parametrize("name", RECORDED)
def test_help_explains_every_option(capsys, name):
    assert cli.main(["import", name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{option.name}" in shown for option in fields(RECORDED[name]))
    assert "--out" in shown


@pytest.mark.parametrize("arguments", ["import", "import ucf", "import ucf --out new"])
def test_a_name_is_needed(capsys, arguments):
    assert cli.main(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(name in line for name in RECORDED)
