import subprocess
import sys
from pathlib import Path

import pytest

from experiments import cli


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, so that the tables below can use short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_lists_every_command_and_imports_nothing_heavy():
    program = "import sys; from experiments.cli import main; main(['--help']); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert all(f"jumpy {name} " in told for name in cli.COMMANDS)
    assert told.endswith("False\n")


def test_a_command_explains_every_option(capsys):
    assert cli.main(["collect", "--help"]) == 0
    told = capsys.readouterr().out
    for option in ("--out", "--steps", "--layout", "--seed", "--camera.size", "--overwrite"):
        assert option in told
    assert "Frames to collect" in told


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
    ("", "no command was given: use one of collect, train,"),
    ("fly", "unknown command 'fly': use one of collect, train,"),
    ("speed", "unknown command 'speed': use one of collect, train,"),
    ("speed light", "unknown command 'speed light': use one of collect, train,"),
    ("collect", "Missing from jumpy collect: --out PATH"),
    ("collect --out d --steps many", "'many'"),
    ("collect --out d --steps 0", "--steps must be a positive multiple of 100 (whole episodes), got 0"),
    ("collect --out d --seed -1", "--seed must be 0 or more, got -1"),
    ("collect --out d --layout labyrinth", "unknown layout 'labyrinth': use 'paper' or 'random-<seed>'"),
    ("collect --out d --camera.size 0", "got 0"),
    ("collect --out d --colour red", "Unrecognized options: --colour, red: see jumpy collect --help"),
    ("collect --out file", "cannot use file (File exists)"),
    ("collect --out file/below", "cannot use file/below (Not a directory)"),
    ("collect --out /proc/nowhere", "cannot use /proc/nowhere (No such file or directory)"),
    ("collect --out others", "others holds other files (notes.txt, …): choose an empty folder for --out"),
    ("collect --out others --overwrite", "others holds other files (notes.txt, …): choose an empty folder for --out"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[arguments for arguments, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_status_2(folder, capsys, arguments, message):
    Path("file").write_text("content")
    Path("others").mkdir()
    Path("others/notes.txt").write_text("content")
    assert cli.main(arguments.split()) == 2
    told = capsys.readouterr()
    assert told.err.startswith("jumpy: error: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert sorted(str(path) for path in Path().rglob("*")) == ["file", "others", "others/notes.txt"]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyboardInterrupt(), 130, "jumpy: interrupted\n"),
        (FloatingPointError("step 7: kl_z is not finite"), 1, "jumpy: error: step 7: kl_z is not finite\n"),
        (ValueError("one\n  two"), 2, "jumpy: error: one two\n"),
    ],
)
def test_every_end_is_one_line_with_its_status(folder, capsys, monkeypatch, error, status, told):
    def fail(config: object) -> None:
        raise error

    monkeypatch.setattr("agent.collect.collect", fail)
    assert cli.main(["collect", "--out", "data"]) == status
    assert capsys.readouterr().err == told
