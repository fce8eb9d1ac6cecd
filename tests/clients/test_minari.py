"""Minari: record, recover and replay the maze; export and import data sets without a loss."""

import gymnasium
import minari
import numpy as np
import pytest

# Minari records with jax, which garbage collection calls: the parser of a later import does not bear that.
import agent.data.imports  # noqa: F401
import envs  # noqa: F401  registers the ids
import experiments.export  # noqa: F401
from agent.data.exchange.minari import ImportMinariConfig, import_minari
from agent.data.manifest import EnvironmentManifest
from experiments.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_an_episode_is_recorded_recovered_and_replayed():
    recorder = minari.DataCollector(gymnasium.make("JumpyMaze-v0", camera={"size": 16}), jpeg_encoding=False)
    recorder.reset(seed=3)
    for action in (0, 0, 0):
        recorder.step(action)
    held = recorder.create_dataset("maze/recorded-v0")
    episode, maze = held[0], held.recover_environment()
    observation, _ = maze.reset(seed=3)
    for t, action in enumerate(episode.actions):
        assert (episode.observations["observation"][t] == observation["observation"]).all()
        observation, *_ = maze.step(action)


def test_an_exported_data_set_is_equal_to_the_last_bit(data, tmp_path, capsys):
    assert main(["export", str(data.folder), "--to", "minari", "--id", "maze/random-v0"]) == 0
    held = minari.load_dataset("maze/random-v0")
    assert (held.total_episodes, held.total_steps) == (5, 5 * 99)
    for number in range(5):
        ours, episode = data.slices(np.array([number]), np.array([0]), 100), held[number]
        for name in ("observation", "achieved_goal"):
            assert (episode.observations[name] == ours[name][0]).all()
        for name in ("action", "action_mask", "pose"):
            assert (episode.infos[name] == ours[name][0]).all()
        assert (episode.actions == ours["action"][0, :-1]).all() and episode.truncations.tolist()[-2:] == [False, True]
    assert held.recover_environment().unwrapped.layout == data.layout
    assert main(["export", str(data.folder), "--to", "minari", "--id", "maze/random-v0"]) == 2
    assert "already" in capsys.readouterr().err
    assert main(["import", "minari", "maze/random-v0", "--out", str(tmp_path / "back")]) == 0
    back = import_minari(ImportMinariConfig("maze/random-v0", tmp_path / "short", length=40))
    assert isinstance(back.manifest, EnvironmentManifest) and back.episodes == 10
    piece, ours = back.slices(np.array([3]), np.array([0]), 40), data.slices(np.array([1]), np.array([40]), 40)
    for name in back.manifest.fields:
        assert (piece[name] == ours[name]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "DATA", "--to", "minari", "--id", "random"], "NAMESPACE"),
        (["import", "minari", "maze/none-v0", "--out", "OUT"], "no local Minari data set"),
        (["import", "minari", "flat/box-v0", "--out", "OUT"], "square uint8 pictures"),
        (["import", "minari", "maze/short-v0", "--out", "OUT", "--length", "200"], "choose a shorter --length"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(arguments, message, data, tmp_path, capsys):
    for name, made in (("flat/box-v0", "CartPole-v1"), ("maze/short-v0", "JumpyMaze-v0")):
        recorder = minari.DataCollector(gymnasium.make(made))
        recorder.reset(seed=0)
        recorder.step(0)
        recorder.create_dataset(name)
    places = {"DATA": str(data.folder), "OUT": str(tmp_path / "out")}
    assert main([places.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error
    assert not (tmp_path / "out").exists()
