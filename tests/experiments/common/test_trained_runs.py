"""Loading trained runs, and what does not belong together."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.training.runs import CHECKPOINT
from experiments.common.trained_runs import check_agreement, check_same_likelihood, load_trained
from tests.support.video_runs import SECONDS, run_of, videos


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, others with chance, mazes, and runs of two models on the first."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    videos(folder / "chance", 0.3)
    collect(CollectConfig(folder / "maze", steps=1000))
    run_of("dlh", folder / "data", folder / "dlh")
    run_of("cwvae", folder / "data", folder / "cwvae", sigma=0.3)
    return folder


def test_a_folder_a_checkpoint_and_shipped_weights(world: Path) -> None:
    run, file = load_trained(world / "dlh"), load_trained(world / "dlh" / CHECKPOINT, label="mine")
    assert (run.label, file.label, run.step, run.seconds) == ("dlh", "mine", 7, SECONDS)
    assert run.checkpoint == file.checkpoint == run.facts["checkpoint"]
    assert run.facts["dataset"] == "moving-ball"
    shipped = load_trained("pretrained", "hrssm", data="maze")
    assert (shipped.name, shipped.training["variant"]) == ("pretrained/hrssm-ours", "ours")
    assert not shipped.model.training


def test_other_models_and_other_data_are_refused(world: Path) -> None:
    with pytest.raises(ValueError, match="dlh is a run of dlh: give a run of rssm"):
        load_trained(world / "dlh", "rssm")
    with pytest.raises(ValueError, match=r"trained on videos \(moving-ball\): give a run of maze data"):
        load_trained(world / "dlh", data="maze")
    with pytest.raises(ValueError, match="trained on layout paper: give a run of videos"):
        load_trained("pretrained/hrssm-ours", data="videos")


def test_data_of_a_run_is_found_or_refused(world: Path) -> None:
    run = load_trained(world / "dlh")
    chance, own, maze = (Replay.open(world / name) for name in ("chance", "data", "maze"))
    assert run.data_of([chance, own]) is own
    with pytest.raises(ValueError, match=r"chance holds .*recolour 0\.3, .*dlh was trained on .*recolour 0\.0"):
        run.data_of([chance])
    with pytest.raises(ValueError, match=r"maze holds layout paper, .* was trained on moving-ball"):
        run.data_of([maze])
    with pytest.raises(ValueError, match="data holds moving-ball, pretrained/hrssm-ours was trained on layout paper"):
        load_trained("pretrained/hrssm-ours").data_of([own])


def test_runs_that_do_not_make_a_row_are_refused(world: Path) -> None:
    run = load_trained("pretrained/hrssm-ours")
    with pytest.raises(ValueError, match=r"runs of hrssm need different training seeds, got \[(\d), \1\]"):
        check_agreement([run, run])
    other = replace(run, training=run.training | {"preset": "paper", "seed": 1}, name="other")
    with pytest.raises(ValueError, match=r"same preset, got quick .*, paper \(other\)"):
        check_agreement([run, other])
    with pytest.raises(ValueError, match=r"has sigma .* cannot be compared"):
        check_same_likelihood([load_trained(world / name) for name in ("dlh", "cwvae")])
