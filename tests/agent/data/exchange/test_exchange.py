"""Data sets for other tools, as far as that needs none: fields, specifications, and what is said without them."""

import gymnasium
import numpy as np
import pytest

from agent.data.collect import CollectConfig, collect
from agent.data.exchange.episodes import episodes, specification
from agent.data.manifest import EnvironmentManifest, read_manifest
from agent.data.shards import write_data
from envs.camera import Camera
from experiments.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    config = CollectConfig(tmp_path_factory.mktemp("exchange") / "data", 300, "random-3", camera=Camera(size=16))
    return collect(config)


def test_the_specification_makes_the_environment_of_the_data(data):
    spec = specification(data)
    assert spec is not None
    maze = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert maze.get_wrapper_attr("layout") == data.layout
    assert maze.reset(seed=0)[0]["observation"].shape == (16, 16, 3)


def test_episodes_are_those_of_the_data_set(data):
    found = list(episodes(data))
    expected = data.slices(np.arange(3), np.zeros(3, np.int64), 100)
    assert len(found) == 3
    for row, fields in enumerate(found):
        assert all((fields[name] == expected[name][row]).all() for name in expected)


def test_a_data_set_of_any_environment_opens_as_it_was_written(tmp_path):
    wanted = EnvironmentManifest({"minari": "a-v0"}, 5, 8, (4,), "float32", 10, 0, 3, {})
    rng = np.random.default_rng(0)

    def make(shard, number):
        return {
            name: rng.integers(0, 5, (number, 10, *shape)).astype(kind) for name, (kind, shape) in wanted.fields.items()
        }

    write_data(tmp_path / "data", wanted, False, make, "test")
    found = read_manifest(tmp_path / "data")
    assert found == wanted.with_shard(found.checksums[0]) and found.actions == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "minari", "--id", "maze/random-v0"], "[minari]"),
        (["--to", "hdf5", "--out", "OUT/x.h5"], "[swm]"),
        (["--to", "minari", "--out", "OUT"], "needs --id"),
        (["--to", "hdf5", "--out", "OUT/x.h5", "--id", "maze/random-v0"], "takes no --id"),
    ],
)
def test_a_missing_extra_or_option_is_one_line(arguments, message, data, tmp_path, capsys, monkeypatch):
    for module in ("minari", "h5py"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    given = [word.replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main(["export", str(data.folder), *given]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error
    assert not (tmp_path / "out").exists()


def test_videos_have_no_actions_to_export(tmp_path, capsys):
    assert main(["videos", "moving-ball", "--out", str(tmp_path / "balls"), "--sequences", "2", "--length", "3"]) == 0
    assert main(["export", str(tmp_path / "balls"), "--to", "hdf5", "--out", str(tmp_path / "x.h5")]) == 2
    assert "videos without actions" in capsys.readouterr().err


def test_a_model_without_actions_is_no_cost(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none"), "--to", "stable-worldmodel", "--out", str(tmp_path / "model")]) == 2
    assert "there is no run" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
