"""Weights as package data: shipped into a temporary package folder, found again, refused when they are not right."""

import hashlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.manifest import read_manifest as read_data_manifest
from agent.training.checkpoint import read_checkpoint, write_checkpoint
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import CHECKPOINT, load_model
from agent.training.train import train
from envs.camera import Camera
from envs.layout import Layout
from experiments import cli
from experiments.common import pretrained
from experiments.common import publish_weights as module
from experiments.common.pretrained import find_run, read_manifest
from experiments.common.publish_weights import LARGEST, ShipConfig, ship
from experiments.navigation.agents import load_agents, load_runs
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.planning import Standard
from experiments.navigation.tasks import MazeTask

PACKAGE = Path(pretrained.__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSSM, trained for two steps: finished."""
    folder = tmp_path_factory.mktemp("run")
    collect(CollectConfig(folder / "data", steps=1000, seed=3))
    evaluation = EvaluationConfig(batches=1, episodes=1)
    config = TrainConfig(folder / "data", folder / "rssm", "rssm", steps=2, batch_size=2, device="cpu", seed=1)
    train(replace(config, evaluation=evaluation))
    return folder / "rssm"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of package data, and an empty working folder."""
    folder, here = tmp_path / "package", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    (folder / "manifest.json").write_text("{}")
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    monkeypatch.chdir(here)
    return folder


def told(run: Path, name: str = "rssm-ours") -> ShipConfig:
    return ShipConfig(run, name, frames=1000, minutes=0.5, device="one core", commit="abc")


def test_a_folder_for_the_hub_holds_weights_configuration_and_what_was_measured(run: Path, package: Path) -> None:
    hub = ship(replace(told(run), hub=Path("hub")))
    assert sorted(path.name for path in hub.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    loaded, ours = load_model(hub / "model.safetensors")[0], load_model(run)[0]
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in loaded.state_dict().items())
    card = (hub / "README.md").read_text()
    assert "library_name: jumpy-imagination" in card and "RSSM" in card and "Not measured." in card
    assert read_manifest() == {}  # nothing is shipped
    done = Path("benchmark")
    benchmark(BenchmarkConfig(done, (f"rssm={run}",), episodes=2, first_seed=100_000, device="cpu"))
    ship(replace(told(run), hub=hub, benchmark=done))
    assert "| rssm |" in (hub / "README.md").read_text() and "| shortest-path |" in (hub / "README.md").read_text()
    (hub / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"other files \(notes\.txt"):
        ship(replace(told(run), hub=hub))
    with pytest.raises(ValueError, match="--benchmark is for"):
        replace(told(run), benchmark=done)


def test_a_card_says_how_the_data_of_another_environment_are_made_again(package: Path) -> None:
    made = [
        "collect",
        "--env",
        "examples.own_environment:Corridors-v0",
        "--steps",
        "400",
        "--length",
        "20",
        "--seed",
        "4",
    ]
    assert cli.main([*made, "--out", "data"]) == 0
    tiny = "--steps 1 --batch-size 2 --options window=6 horizon=12 --evaluation.batches 1 --evaluation.episodes 1"
    assert (
        cli.main(["train", "--data", "data", "--out", "run", "--model", "rssm", "--device", "cpu", *tiny.split()]) == 0
    )
    name = load_model(Path("run"))[1]["run"]["variant"]
    ship(replace(told(Path("run"), f"rssm-{name}"), hub=Path("hub"), frames=400))
    (command,) = re.findall(r"jumpy (collect .*) && jumpy train", (Path("hub") / "README.md").read_text())
    assert cli.main(shlex.split(command.replace("DATA", "again"))) == 0
    made_of, again = (read_data_manifest(Path(each)).digest for each in ("data", "again"))
    assert made_of == again


@pytest.fixture
def shipped(run: Path, package: Path) -> Path:
    return ship(told(run))


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ------------------------------------------------------------------------ shipping


def test_weights_alone_are_shipped_and_equal(run, shipped):
    tensors, meta = read_checkpoint(shipped)
    assert all(name.startswith("model.") for name in tensors)
    trained, trained_meta = read_checkpoint(run / CHECKPOINT)
    assert meta == trained_meta
    assert set(tensors) == {name for name in trained if name.startswith("model.")}
    assert all(torch.equal(tensors[name], trained[name]) for name in tensors)
    model, _ = load_model(find_run("pretrained/rssm-ours")[0])
    assert all(torch.equal(value, trained[f"model.{name}"]) for name, value in model.state_dict().items())


def test_manifest_says_how_they_came_about(shipped):
    entry = read_manifest()["rssm-ours"]
    meta = read_checkpoint(shipped)[1]
    assert entry["sha256"] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert entry["bytes"] == shipped.stat().st_size
    assert entry["config"] == meta["run"]["config"]
    assert entry["versions"] == meta["versions"]
    names = ("frames", "minutes", "device", "commit", "data_seed", "seed", "steps", "layout")
    assert [entry[name] for name in names] == [1000, 0.5, "one core", "abc", 3, 1, 2, "paper"]


def test_default_command_is_one_that_the_parsers_take(shipped, monkeypatch, tmp_path):
    taken: dict[str, Any] = {}
    monkeypatch.setattr("agent.data.collect.collect", lambda config: taken.update(collect=config))
    monkeypatch.setattr("agent.training.train.train", lambda config: taken.update(train=config))
    for command in read_manifest()["rssm-ours"]["command"].split(" && "):
        assert cli.main(command.split()[1:]) == 0
    assert taken["collect"] == CollectConfig(Path("DATA"), steps=1000, seed=3, layout="paper")
    expected = TrainConfig(Path("DATA"), Path("RUN"), "rssm", variant="ours", seed=1, steps=2, batch_size=2)
    assert taken["train"].recipe == expected.recipe
    assert (taken["train"].model, taken["train"].variant, taken["train"].seed) == ("rssm", "ours", 1)


def test_commit_is_read_from_the_checkout(run, package, monkeypatch):
    monkeypatch.setattr(module, "commit", lambda: None)
    with pytest.raises(ValueError, match=r"git checkout.*--commit"):
        ship(replace(told(run), commit=None))
    monkeypatch.setattr(module, "commit", lambda: "f00-dirty")
    ship(replace(told(run), commit=None))
    assert read_manifest()["rssm-ours"]["commit"] == "f00-dirty"


def test_an_existing_name_needs_overwrite(run, shipped, package):
    before = state(package)
    with pytest.raises(ValueError, match=r"rssm-ours.*--overwrite"):
        ship(told(run))
    assert state(package) == before
    ship(replace(told(run), overwrite=True, minutes=9.0))
    assert read_manifest()["rssm-ours"]["minutes"] == 9


def test_refuses_and_changes_nothing(run, package, tmp_path, monkeypatch):
    def part(name: str, step: int, drop: str = "") -> Path:
        tensors, meta = read_checkpoint(run / CHECKPOINT)
        meta["run"].pop(drop, None)
        write_checkpoint(tmp_path / name, tensors, meta | {"step": step})
        return tmp_path / name

    before = state(package)
    with pytest.raises(ValueError, match=r"step 1 of 2.*--resume"):
        ship(told(part("unfinished", 1)))
    with pytest.raises(ValueError, match=r"unknown .*data_seed"):
        ship(told(part("unknown", 2, "data_seed")))
    with pytest.raises(ValueError, match="model and variant, rssm-ours, got hrssm-ours"):
        ship(told(run, "hrssm-ours"))
    monkeypatch.setattr(module, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"have 1\.\d MB, must be smaller than 0\.001 MB"):
        ship(told(run))
    assert state(package) == before


def test_command_line(run, package, capsys):
    options = ["--frames", "1000", "--minutes", "1", "--device", "a core", "--commit", "abc"]
    assert cli.main(["ship", str(run), "rssm-ours", *options]) == 0
    assert capsys.readouterr().out.startswith(f"{run} is shipped as pretrained/rssm-ours: {package}/rssm-ours.safe")


# ------------------------------------------------------------------------ finding


def test_a_path_is_a_path():
    assert find_run("runs/hrssm/") == (Path("runs/hrssm"), "runs/hrssm")
    assert find_run("pretrained-mine")[1] == "pretrained-mine"


def test_alone_it_is_the_model_that_the_agent_is_called_by(shipped):
    assert find_run("pretrained", "rssm") == (shipped, "pretrained/rssm-ours")
    with pytest.raises(ValueError, match=r"hrssm or rssm.*got 'mine'.*pretrained/MODEL-VARIANT"):
        find_run("pretrained", "mine")
    with pytest.raises(ValueError, match="no weights pretrained/hrssm-ours are shipped, only: pretrained/rssm-ours;"):
        find_run("pretrained", "hrssm")


@pytest.mark.parametrize("name", ["", "rssm", "rssm-vta", "../rssm-ours", "rssm-ours.safetensors"])
def test_unknown_name_lists_what_is_shipped(shipped, name):
    with pytest.raises(ValueError, match=f"no weights pretrained/{name} are shipped, only: pretrained/rssm-ours;"):
        find_run(f"pretrained/{name}")


def test_nothing_shipped_yet(package):
    with pytest.raises(ValueError, match="only: none;"):
        find_run("pretrained/rssm-ours")


def test_altered_missing_and_without_manifest(shipped, package):
    content = bytearray(shipped.read_bytes())
    content[-1] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(ValueError, match=r"were altered, SHA-256 .*: install this package again"):
        find_run("pretrained/rssm-ours")
    shipped.unlink()
    with pytest.raises(ValueError, match=r"rssm-ours\.safetensors are missing: install"):
        find_run("pretrained/rssm-ours")
    (package / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged.*install"):
        find_run("pretrained/rssm-ours")


def test_a_folder_of_that_name_is_told_apart(shipped, capsys):
    Path("pretrained/rssm-ours").mkdir(parents=True)
    assert find_run("pretrained/rssm-ours") == (shipped, "pretrained/rssm-ours")
    assert "./pretrained/rssm-ours\n" in capsys.readouterr().err
    assert find_run("./pretrained/rssm-ours") == (Path("pretrained/rssm-ours"), "./pretrained/rssm-ours")
    assert capsys.readouterr().err == ""


def test_agents_by_shipped_weights(run, shipped):
    sources = ("rssm=pretrained", "other=pretrained/rssm-ours", f"own={run}")
    agents = load_agents(load_runs(sources, torch.device("cpu")), Standard(), (), MazeTask(Layout.paper(), Camera()))
    facts = {agent.name: agent.facts for agent in agents}
    for name in ("rssm", "other"):
        assert facts[name]["run"] == "pretrained/rssm-ours"
        assert facts[name]["checkpoint"] == read_manifest()["rssm-ours"]["sha256"]
    assert facts["own"]["run"] == str(run)


# ------------------------------------------------------------------------ the real package


@pytest.fixture
def files() -> Iterator[list[Path]]:
    yield [path for path in (PACKAGE / "pretrained").iterdir() if not path.name.startswith(".")]


def test_shipped_files_are_those_of_the_manifest(files):
    manifest = read_manifest()
    assert {path.stem for path in files} == {"manifest", *manifest}
    for name in manifest:
        path = find_run(f"pretrained/{name}")[0]
        assert path.stat().st_size < LARGEST
        run = load_model(path)[1]["run"]
        assert f"{run['model']}-{run['variant']}" == name
