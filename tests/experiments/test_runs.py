"""`jumpy runs`: pieces of a list of trainings, what is left of it, a second start, a kill, and bad input."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.data.manifest import EPISODE_LENGTH
from agent.training.checkpoint import read_checkpoint
from agent.training.runs import CHECKPOINT
from agent.training.trainer import Trainer
from experiments import cli
from experiments.runs import RunsConfig, read_list, runs
from tests.support.holder import held
from tests.support.processes import Marked, linux
from tests.support.video_runs import videos
from world_models.registry import build_model

CONFIGS = Path(__file__).parents[2] / "experiments/configs"
ARGUMENTS = "--data data --model rssm --variant vta --batch-size 2 --device cpu --options context=6 window=6"
SHORT = "--evaluation.batches 1 --evaluation.batch-size 2 --evaluate-every 1000 --checkpoint-every 2"
HEAD = "[data]\ndata = 'jumpy videos moving-ball --out data'\n"


def entry(name: str, steps: int, more: str = "") -> str:
    return f"[[run]]\nhours = 0.5\ntrain = '''--out {name} {ARGUMENTS} {SHORT} --steps {steps} {more}'''\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and a list of two runs, as the current folder."""
    monkeypatch.chdir(tmp_path)
    videos(Path("data"))
    Path("list.toml").write_text(HEAD + entry("one", 5) + entry("two", 4))
    return tmp_path


def step(name: str) -> int:
    return read_checkpoint(Path(name, CHECKPOINT))[1]["step"]


def test_pieces_go_through_the_list_and_equal_whole_trainings(world, capsys):
    assert cli.main(shlex.split("runs list.toml --pause-after 2")) == 0
    assert step("one") == 2
    assert not Path("two").exists()
    assert cli.main(shlex.split("runs list.toml --pause-after 4")) == 0
    assert (step("one"), step("two")) == (5, 1)
    capsys.readouterr()
    assert cli.main(shlex.split("runs list.toml")) == 0
    rows = {row.split()[0]: row.split() for row in capsys.readouterr().out.splitlines()}
    assert rows["one"][1:3] == ["5", "5"]
    assert rows["one"][-2:] == ["0.0", "finished"]
    assert rows["two"][1:3] == ["4", "4"]
    whole = f"train --out whole {ARGUMENTS} {SHORT} --steps 4"
    assert cli.main(shlex.split(whole)) == 0
    tensors, _ = read_checkpoint(Path("two", CHECKPOINT))
    expected, _ = read_checkpoint(Path("whole", CHECKPOINT))
    assert [name for name in expected if not torch.equal(tensors[name], expected[name])] == []


def test_status_says_what_is_done_and_left_and_trains_nothing(world, capsys):
    runs(RunsConfig(Path("list.toml"), pause_after=1, only="two"))
    capsys.readouterr()
    with held(Path("two")) as process:
        runs(RunsConfig(Path("list.toml"), status=True))
    one, two, all_of_it = [row.split() for row in capsys.readouterr().out.splitlines()[1:]]
    assert one == ["one", "0", "5", "0.00", "0.5"]
    assert two[:3] == ["two", "1", "4"]
    assert " ".join(two[5:]) == f"in training by process {process}"
    assert all_of_it[:2] == ["in", "all"]
    assert not Path("one").exists()
    Path("two/.lock").write_text("12345")  # as a process that was killed leaves it
    runs(RunsConfig(Path("list.toml"), status=True))
    assert "process" not in capsys.readouterr().out


def test_minutes_of_training_end_a_piece(world, monkeypatch):
    seconds = iter(range(0, 10**6, 10))  # three looks at the clock a step
    monkeypatch.setattr(Trainer, "_clock", lambda self: float(next(seconds)))
    runs(RunsConfig(Path("list.toml"), minutes=1.2))
    assert step("one") == 3
    assert not Path("two").exists()


def test_a_second_start_is_refused(world, capsys):
    with held(Path("one")) as process:
        assert cli.main(["runs", "list.toml"]) == 2
    assert f"one is in use by process {process}" in capsys.readouterr().err
    assert not Path("two").exists()


@linux
def test_a_killed_piece_goes_on_from_its_last_checkpoint(world):
    Path("list.toml").write_text(HEAD + entry("one", 100_000))
    process = Marked("-m", "experiments.cli", "runs", "list.toml", folder=world)
    process.wait_for(Path("one", CHECKPOINT).exists)
    process.end()
    assert process.left() == []
    before = step("one")
    assert before >= 2
    runs(RunsConfig(Path("list.toml"), pause_after=1))
    assert step("one") == before + 1


BAD_INPUT = {
    "missing.toml": ("missing.toml", "path"),
    "broken.toml": ("broken.toml", "not a list of runs"),
    "hours.toml": ("hours.toml", "not a list of runs", "hours"),
    "typo.toml": ("--stepz",),
    "resume.toml": ("leave out", "--resume"),
    "twice.toml": ("twice", "--out"),
    "elsewhere.toml": ("other", "[data]"),
    "gone.toml": ("one needs data", "jumpy videos moving-ball"),
    "list.toml --only three": ("three", "one, two"),
    "list.toml --minutes 0": ("--minutes", "more than 0"),
}
LISTS = {
    "broken": "[[run]",
    "hours": HEAD + "[[run]]\ntrain = ''",
    "typo": HEAD + entry("one", 1, "--stepz 3"),
    "resume": HEAD + entry("one", 1, "--resume"),
    "twice": HEAD + entry("one", 1) + entry("one", 2),
    "elsewhere": HEAD + entry("one", 1).replace("--data data", "--data other"),
    "gone": HEAD + entry("one", 1),
    "list": HEAD + entry("one", 1) + entry("two", 1),
}


@pytest.mark.parametrize("arguments", BAD_INPUT)
def test_bad_input_is_one_line_and_starts_nothing(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    for name, content in LISTS.items():
        Path(f"{name}.toml").write_text(content)
    assert cli.main(["runs", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert [word for word in BAD_INPUT[arguments] if word not in line] == []
    assert not Path("one").exists()


@pytest.mark.parametrize("name", ["video.toml", "video_gpu.toml"])
def test_the_committed_list_can_be_trained_as_it_is(name):
    found = read_list(CONFIGS / name)
    for run in found:
        c = run.config
        model: Any = build_model(c.model, c.preset, c.chosen_variant, 64, c.options, actions=0)
        assert model.window_length <= 200  # frames of the shortest videos
        assert c.precision == "bf16"
        assert c.recipe.decay == 0.5
    assert [run.name.removeprefix("gpu-") for run in found[:3]] == ["mnist-dlh", "mnist-cwvae", "mnist-lmc"]


def test_the_list_of_large_mazes_can_be_trained_as_it_is():
    for run in read_list(CONFIGS / "far.toml"):
        c = run.config
        model: Any = build_model(c.model, c.preset, c.chosen_variant, 32, c.options, actions=3)
        assert model.window_length <= EPISODE_LENGTH
