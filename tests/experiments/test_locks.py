"""Every command that writes a folder refuses one that another process writes, and changes nothing in it."""

from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from agent.data.collect import CollectConfig, collect
from agent.training.runs import CHECKPOINT
from experiments import cli
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from tests.support.files import content
from tests.support.holder import held
from tests.support.navigation_runs import untrained
from tests.support.sweeps import write_list
from tests.support.video_runs import FRAMES, videos

COMMANDS = {
    "collect": "--steps 100 --overwrite",
    "videos moving-ball": f"--length {FRAMES} --sequences 1 --overwrite",
    "train": "--data DATA/maze --overwrite",
    "benchmark": "--episodes 2 --overwrite",
    "navigation": "--hrssm DATA/hrssm --json DATA/navigation.json --episodes 2 --overwrite",
    "predict": "--data DATA/balls --floor black --context 6 --overwrite",
    "sweep": "DATA/list.toml",
    "speed gpu": "--models rssm --device cpu",
    "demo": "--frames 100 --overwrite",
    "export": "DATA/hrssm --to stable-worldmodel --overwrite",
    "report": "",
    "plot": "",
}
ELSEWHERE = {"unseen": "in its own tests", "figure": "waits", "table": "waits", "speed": "waits"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read."""
    folder = tmp_path_factory.mktemp("sources")
    collect(CollectConfig(folder / "maze", steps=200))
    videos(folder / "balls")
    untrained(folder / "hrssm", "hrssm")
    write_list(folder / "list.toml", folder / "maze", "[grid]\nsteps = [3]\n")
    return folder


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder with files of several commands, and the process that holds its lock."""
    folder = tmp_path_factory.mktemp("busy") / "out"
    benchmark(BenchmarkConfig(folder, episodes=2))
    (folder / "tensorboard").mkdir()
    for name in (CHECKPOINT, "demo.json", "tensorboard/events.out.tfevents.1.host.2.0.jumpy", "rewards.png"):
        (folder / name).write_text("hours of work")
    with held(folder) as holder:
        yield folder, holder


def test_every_command_with_a_folder_is_tried() -> None:
    with_out = set()
    for name, command in cli.COMMANDS.items():
        config = getattr(import_module(command.module), command.config)
        one = next(iter(config.values()))[0] if isinstance(config, dict) else config
        if "out" in signature(one).parameters:
            with_out.add(name)
    tried = {name if name in cli.COMMANDS else name.split()[0] for name in COMMANDS if name != "plot"}
    assert with_out == tried | set(ELSEWHERE)


@pytest.mark.parametrize("name", COMMANDS)
def test_folder_of_another_process_is_refused_and_keeps_every_byte(
    name: str, sources: Path, busy: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, holder = busy
    before = content(folder)
    out = [str(folder)] if name in ("plot", "report") else ["--out", str(folder)]
    options = COMMANDS[name].replace("DATA", str(sources)).split()
    assert cli.main([*name.split(), *out, *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{folder} is in use by process {holder}: wait for it" in error
    assert content(folder) == before
