import dataclasses
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from agent.system.signals import Interrupted
from experiments import cli


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, so that the tables below can use short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with one of each: data sets, a trained run, a benchmark, and things that are none of these."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("file").write_text("content")
        Path("others").mkdir()
        Path("others/notes.txt").write_text("content")
        for arguments in (
            "collect --out data --steps 1000",
            "collect --out small --steps 1000 --camera.size 8",
            "train --data data --out run --steps 1 --batch-size 2 --evaluation.batches 1 --evaluation.episodes 1",
            "benchmark --out bench --episodes 2",
        ):
            assert cli.main(arguments.split()) == 0
        shutil.copytree("data", "torn")
        Path("torn/shard-00000/action.npy").write_bytes(b"")
        shutil.copytree("run", "half")
        checkpoint = Path("half/checkpoint.safetensors")
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
        shutil.copytree("bench", "unfinished")
        Path("unfinished/summary.json").unlink()
    return folder


def state(folder: Path) -> dict[str, int]:
    """Every file with the time of its last change, and every folder, whose time a lock that comes and goes changes."""
    return {str(path.relative_to(folder)): path.is_file() and path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_help_lists_every_command_and_imports_nothing_heavy():
    told = fresh_process("main(['--help']); print('torch' in sys.modules)")
    assert all(f"jumpy {name} " in told for name in cli.COMMANDS)
    assert told.endswith("False\n")


@pytest.mark.parametrize("option", ["-h", "--help", "help"])
def test_help_has_an_alias(capsys, option):
    assert cli.main([option]) == 0
    assert "jumpy train " in capsys.readouterr().out


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_that_of_the_package(capsys, option):
    assert cli.main([option]) == 0
    assert capsys.readouterr().out == f"jumpy {importlib.metadata.version('jumpy-imagination')}\n"


def test_openmp_waits_passively_before_torch_is_there():
    told = fresh_process("print('OMP_WAIT_POLICY' in os.environ); main(['--help']); print(*map(os.environ.get, NAMES))")
    assert told.startswith("False\n")  # no import sets them
    assert told.endswith("passive 0\n")


def fresh_process(statements: str) -> str:
    """What statements print that run after the command line's import, without the Makefile's variables."""
    names = "NAMES = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')"
    program = f"import os, sys; from experiments.cli import main; {names}; {statements}"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=plain).stdout


NAMED = ("videos", "import")  # a name follows, and each has help of its own: tests/agent/data


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in NAMED])
def test_every_command_explains_every_option(capsys, name):
    assert cli.main([*name.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert f"usage: jumpy {name}" in told
    command = cli.COMMANDS[name]
    module = import_module(command.module)
    assert callable(getattr(module, command.function))
    for option in dataclasses.fields(getattr(module, command.config)):
        grouped = option.default_factory is not dataclasses.MISSING or dataclasses.is_dataclass(option.default)
        shown = f"--{option.name.replace('_', '-')}" in told or "Positional" in str(option.type)
        assert grouped or shown, option.name


def test_collects_and_refuses_to_replace(folder, capsys):
    collect = ["collect", "--out", "data", "--camera.size", "8", "--steps"]
    assert cli.main([*collect, "100"]) == 0
    assert cli.main([*collect, "100"]) == 0  # complete already
    capsys.readouterr()
    assert cli.main([*collect, "200"]) == 2
    assert capsys.readouterr().err == (
        "jumpy: error: data was collected with --steps 100, asked for is 200: choose another --out, or --overwrite\n"
    )
    assert cli.main([*collect, "200", "--overwrite"]) == 0


BAD_INPUT = [
    ("", "no command was given: use one of collect, videos, import, train,"),
    ("fly", "unknown command 'fly': use one of collect, videos, import, train,"),
    ("speed light", "unknown command 'speed light': use one of collect, videos, import, train,"),
    ("view --port 70000", "--port must be from 0 (a free one) to 65535, got 70000"),
    ("view --agents hrssm=pretrained --layout random-7", "use --layout paper"),
    ("view --agents hrssm=pretrained --camera.size 8", "use --camera.size 32"),
    ("view --agents mine=nowhere", "there is no run nowhere"),
    ("collect", "Missing from jumpy collect: --out PATH"),
    ("collect --out new --steps many", "'many'"),
    ("collect --out new --steps 0", "--steps must be a positive multiple of 100 (whole episodes), got 0"),
    ("collect --out new --seed -1", "--seed must be 0 or more, got -1"),
    (
        "collect --out new --layout labyrinth",
        "unknown layout 'labyrinth': use 'paper', 'random-<seed>', 'large-<seed>', 'huge-<seed>'",
    ),
    ("collect --out new --camera.size 0", "got 0"),
    ("collect --out new --colour red", "Unrecognized options: --colour, red: see jumpy collect --help"),
    ("collect --out file", "cannot use file (File exists)"),
    ("collect --out file/below", "cannot use file/below (Not a directory)"),
    ("collect --out /proc/nowhere", "cannot use /proc/nowhere (No such file or directory)"),
    ("collect --out others", "others holds other files (notes.txt, …): choose an empty folder for --out"),
    ("collect --out others --overwrite", "others holds other files (notes.txt, …): choose an empty folder for --out"),
    (
        "collect --out data --steps 2000",
        "data was collected with --steps 1000, asked for is 2000: choose another --out",
    ),
    ("collect --out torn --steps 1000", "shard torn/shard-00000 is damaged"),
    ("train --data data --out new --model transformer", "unknown model 'transformer'"),
    ("train --data data --out new --preset huge", "unknown preset 'huge' of hrssm"),
    ("train --data data --out new --variant mine", "unknown variant 'mine' of hrssm"),
    ("train --data data --out new --steps 0", "--steps must be more than 0, got 0"),
    ("train --data data --out new --learning-rate inf", "--learning-rate must be at most 1e+12, got inf"),
    ("train --data data --out new --options sigma=0", "option sigma must be 0.0001 or more, got 0"),
    ("collect --out new --camera.size 100000", "the frame size must be from 1 to 4096 pixels, got 100000"),
    ("videos moving-ball --out new --size 1000000", "GB are free: use at most "),
    ("train --data data --out new --device abacus", "unknown device 'abacus': choose auto, cpu or cuda"),
    ("train --data nowhere --out new", "nowhere is not a data set, it has no manifest.json: make one with"),
    ("train --data torn --out new", "shard torn/shard-00000 is damaged"),
    ("train --data small --out new", "frames of 8 pixels cannot be encoded"),
    ("train --data data --out run", "run already holds a run: --resume continues it"),
    ("train --data data --out run --resume --model rssm", "was trained with model hrssm, asked for is rssm"),
    ("train --data data --out half --resume", "checkpoint half/checkpoint.safetensors is damaged"),
    ("train --data data --out file/run", "cannot use file/run (Not a directory)"),
    ("benchmark --out new --agents alien", "unknown agent 'alien': use 'random', 'shortest-path' or LABEL=RUN"),
    ("benchmark --out new --episodes 0", "--episodes must be at least 1, got 0"),
    ("benchmark --out new tree --depth 0", "--depth of at least 1, got 0"),
    ("benchmark --out new --budgets 3 0", "--budgets must be different numbers from 1 up, got [3, 0]"),
    (
        "benchmark --out new beam",
        "Available subcommands: standard, tree, shooting, mcts, cem, merging: see jumpy benchmark --help",
    ),
    (
        "benchmark --out new --layout labyrinth",
        "unknown layout 'labyrinth': use 'paper', 'random-<seed>', 'large-<seed>', 'huge-<seed>'",
    ),
    ("benchmark --out new --agents h=nowhere", "there is no run nowhere: train one with"),
    ("benchmark --out new --agents h=half", "checkpoint half/checkpoint.safetensors is damaged"),
    ("benchmark --out new --agents h=file", "checkpoint file is damaged"),
    ("benchmark --out new --agents h=data", "there is no checkpoint data/checkpoint.safetensors"),
    (
        "benchmark --out new --agents h=pretrained",
        "got 'h': use pretrained/",
    ),
    ("benchmark --out new --agents h=pretrained/me", "no weights pretrained/me are shipped, only: "),
    ("benchmark --out others", "others holds other files"),
    ("benchmark --out file/bench", "Not a directory"),
    ("benchmark --out bench --episodes 3", "bench holds a benchmark with --episodes 2, asked for is 3"),
    ("plot nowhere", "nowhere holds no finished benchmark"),
    ("plot unfinished", "unfinished holds no finished benchmark"),
    ("ship run", "required"),
    ("ship nowhere hrssm-mine --frames 9 --minutes 1 --device cpu", "there is no run nowhere: train one with"),
    ("ship run hrssm-mine --frames 9 --minutes 1 --device cpu", "model and variant, hrssm-ours, got hrssm-mine: use"),
    ("ship run hrssm-mine --frames 0 --minutes 1 --device cpu", "--frames must be more than 0, got 0"),
    ("speed env --frames 0", "--frames must be a positive multiple of 100, got 0"),
    (
        "speed env --layout labyrinth",
        "unknown layout 'labyrinth': use 'paper', 'random-<seed>', 'large-<seed>', 'huge-<seed>'",
    ),
    ("speed plan --model alien", "unknown model 'alien': choose one of"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[arguments for arguments, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_status_2_and_changes_nothing(world, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(world)
    before = state(world)
    assert cli.main(arguments.split()) == 2
    told = capsys.readouterr()
    assert told.err.startswith("jumpy: error: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert state(world) == before


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyboardInterrupt(), 130, "jumpy: interrupted\n"),
        (Interrupted(signal.SIGTERM), 143, "jumpy: interrupted\n"),
        (Interrupted(signal.SIGHUP), 129, "jumpy: interrupted\n"),
        (FloatingPointError("step 7: kl_z is not finite"), 1, "jumpy: error: step 7: kl_z is not finite\n"),
        (ValueError("one\n  two"), 2, "jumpy: error: one two\n"),
    ],
)
def test_every_end_is_one_line_with_its_status(folder, capsys, monkeypatch, error, status, told):
    def fail(config: object) -> None:
        raise error

    monkeypatch.setattr("agent.data.collect.collect", fail)
    assert cli.main(["collect", "--out", "data"]) == status
    assert capsys.readouterr().err == told


def test_output_fits_any_encoding_any_reader_and_no_colour(tmp_path):
    def shell(line: str) -> subprocess.CompletedProcess:
        call = line.replace("jumpy", f"{sys.executable} -m experiments.cli")
        return subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)

    said = shell(f"PYTHONIOENCODING=ascii jumpy speed --out {tmp_path}")
    assert "?" in said.stdout and not said.stderr
    assert "×" in (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert not shell("jumpy --help | head -1").stderr


def test_no_memory_is_one_line(folder, capsys, monkeypatch):
    def fail(config: object) -> None:
        raise MemoryError("Unable to allocate 27 TiB")

    monkeypatch.setattr("agent.data.collect.collect", fail)
    assert cli.main(["collect", "--out", "data"]) == 2
    assert "not enough memory (Unable to allocate 27 TiB): " in capsys.readouterr().err
