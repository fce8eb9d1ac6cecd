import pytest

from agent.data.collect import CollectConfig, collect
from experiments import cli
from experiments.inspect import InspectConfig, inspect
from tests.support.benchmark_folders import trained, walked
from tests.support.navigation_runs import untrained


def test_a_data_set_says_what_it_holds_and_whether_it_is_whole(tmp_path, capsys):
    data = tmp_path / "data"
    collect(CollectConfig(data, steps=1000))
    told = inspect(InspectConfig(str(data)))
    assert told["what"] == "data set (maze)"
    assert told["frames"].startswith("1,000 ")
    assert "train 8" in told["episodes"]
    assert "complete" in told["health"]
    assert capsys.readouterr().out.count("\n") == len(told) <= 10


def test_a_run_and_its_checkpoint_say_the_same(tmp_path):
    run = untrained(tmp_path / "run", "rssm")
    told = inspect(InspectConfig(str(run)))
    assert told == inspect(InspectConfig(str(run / "checkpoint.safetensors")))
    assert told["model"] == "rssm, quick, ours, seed 0"
    assert told["data"].startswith("layout paper,")
    assert "finite" in told["health"]


def test_a_benchmark_says_its_agents(tmp_path):
    folder = walked(tmp_path / "bench", {"hrssm": trained("hrssm", 2)}, episodes=4)
    told = inspect(InspectConfig(str(folder)))
    assert told["episodes"].startswith("4, seeds 100000 to 100003")
    assert {"random", "hrssm", "shortest-path"} <= set(told)


def test_shipped_weights_are_listed_and_told():
    told = inspect(InspectConfig("pretrained"))
    assert "pretrained/hrssm-ours" in told
    assert "shipped" in inspect(InspectConfig("pretrained/hrssm-ours"))["what"]


@pytest.mark.parametrize("damage", ["nowhere", "strange", "torn data", "torn run"])
def test_what_is_missing_strange_or_damaged_is_one_line(tmp_path, capsys, damage):
    path = tmp_path / "it"
    if damage == "strange":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif damage == "torn data":
        collect(CollectConfig(path, steps=1000))
        (path / "shard-00000/action.npy").write_bytes(b"")
    elif damage == "torn run":
        untrained(path, "rssm")
        file = path / "checkpoint.safetensors"
        file.write_bytes(file.read_bytes()[:-1])
    capsys.readouterr()
    assert cli.main(["inspect", str(path)]) == 2
    told = capsys.readouterr()
    assert str(path) in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
