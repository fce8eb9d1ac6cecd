"""The page's server: what it answers, what it refuses, and that it remembers nothing."""

import shutil
import socket

import pytest
import torch
from starlette.testclient import TestClient

from envs.camera import Camera
from experiments.view.agents import show_agents
from experiments.view.command import ViewConfig, _listening
from experiments.view.moment import Scene
from experiments.view.server import application
from tests.support.navigation_runs import untrained

PORT = 4321
HERE = f"http://127.0.0.1:{PORT}"
EPISODE = {"seed": 1, "start": [9, 6, 0, 0], "goal": [1, 1]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("view")


@pytest.fixture(scope="module")
def client(folder):
    run = untrained(folder / "run", "hrssm")
    cpu = torch.device("cpu")
    layout, agents = show_agents(("hrssm=pretrained", f"mine={run}"), None, Camera(), cpu)
    with TestClient(application(Scene(layout, agents, Camera(), cpu), PORT), base_url=HERE) as client:
        yield client


def moment(client, agent="hrssm", actions=(0, 0, 0), **others):
    return client.post("/api/moment", json={"episode": EPISODE, "agent": agent, "actions": list(actions)} | others)


def test_the_page_is_served_whole_and_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("view.css", "view.js", "map.js", "panel.js", "server.js", "icon.svg"):
        found = client.get(f"/page/{name}")
        assert found.status_code == 200
        assert "http" not in found.text.replace("http://www.w3.org", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2fserver.py", "/etc/passwd"]
)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(path).status_code == 404


def test_the_maze_and_the_agents_are_told(client):
    setup = client.get("/api/setup").json()
    assert [agent["name"] for agent in setup["agents"]] == ["hrssm", "mine", "random", "shortest-path"]
    assert setup["agents"][0]["planner"]["kind"] == "tree"
    assert {"tree", "shooting", "mcts", "cem", "merging"} <= set(setup["planners"])


def test_a_decision_is_told_with_its_tree_and_the_planner_may_be_changed(client):
    deep, flat = (
        moment(client, planner={"kind": "tree", "options": {"depth": depth}}).json()["decision"] for depth in (4, 1)
    )
    assert (max(deep["depth"]), max(flat["depth"])) == (4, 1)
    assert len(deep["parent"]) == deep["transitions"]
    assert len(deep["pictures"]) == len(deep["trajectory"]) == deep["arrival"]
    assert deep["cosine"][deep["trajectory"][-1]] == pytest.approx(deep["score"], abs=1e-3)
    assert moment(client, actions=(0, 0)).json()["decision"] == {"action": 0, "choice": False}


def test_the_same_question_has_the_same_answer_whatever_was_asked_before(client):
    def told():
        answer = moment(client).json()
        del answer["decision"]["milliseconds"]
        return answer

    first = told()
    moment(client, agent="random", actions=())
    moment(client, actions=(0,))
    assert told() == first


def test_an_agent_without_a_model_acts_as_in_the_benchmark(client):
    episode = client.post("/api/episode", json={"seed": 100_000}).json()
    actions: list[int] = []
    while True:
        asked = {"episode": episode, "agent": "shortest-path", "actions": actions}
        found = client.post("/api/moment", json=asked).json()
        if found["done"]:
            break
        actions.append(found["decision"]["action"])
    assert len(actions) == episode["shortest"]
    assert found["reward"] == 100 - len(actions)


def test_whoever_drives_is_told_what_the_model_expects(client):
    at_choice = moment(client, "you", model="hrssm").json()
    assert len(at_choice["ahead"]) == sum(at_choice["mask"])
    assert at_choice["expected"] is None  # no choice has been made yet
    after = moment(client, "you", (0, 0, 0, 1, 0), model="hrssm").json()
    assert after["expected"].startswith("data:image/png")
    assert 0 < after["off"] < 0.5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"episode": {"seed": -1}}, "seed"),
        ({"episode": EPISODE | {"goal": [0, 0]}}, "free cell"),
        ({"episode": EPISODE | {"goal": "here"}}, "goal"),
        ({"episode": EPISODE | {"start": [3, 3, 0, 0]}}, "pose"),
        ({"episode": 7}, "episode"),
        ({"actions": [9]}, "not legal"),
        ({"actions": [True]}, "whole numbers"),
        ({"agent": "nobody"}, "unknown agent"),
        ({"agent": ["hrssm"]}, "unknown agent"),
        ({"agent": "you", "model": 3}, "unknown agent"),
        ({"planner": 3}, "planner"),
        ({"planner": {"kind": "oracle", "options": {}}}, "unknown planner"),
        ({"planner": {"kind": ["tree"], "options": {}}}, "unknown planner"),
        ({"planner": {"kind": "tree", "options": {"depth": 0}}}, "depth"),
        ({"planner": {"kind": "tree", "options": {"depth": 1.5}}}, "depth"),
        ({"planner": {"kind": "tree", "options": {"width": 1}}}, "options"),
        ({"planner": {"kind": "tree", "options": {"depth": 40}}}, "smaller"),
    ],
)
def test_a_bad_request_is_answered_with_its_reason(client, asked, message):
    body = {"episode": EPISODE, "agent": "hrssm", "actions": [0, 0, 0]} | asked
    answer = client.post("/api/moment", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"seed": 1, "x": "' + b"x" * 70_000 + b'"}']
)
def test_a_body_that_is_no_small_object_is_refused(client, body):
    answer = client.post("/api/episode", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_other_sites_and_other_types_are_refused(client):
    ask = {"url": "/api/episode", "json": {"seed": 1}}
    assert client.post(**ask, headers={"Origin": HERE}).status_code == 200
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": f"evil.example:{PORT}"}):
        assert client.post(**ask, headers=headers).status_code == 403
        assert client.get("/", headers=headers).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/api/episode", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 400
    assert client.get("/api/episode").status_code == 405


def test_a_run_that_vanishes_is_named_and_found_again(client, folder):
    run = folder / "run"
    assert moment(client, "mine").status_code == 200
    run.rename(folder / "elsewhere")
    gone = moment(client, "mine")
    assert gone.status_code == 410
    assert str(run) in gone.json()["error"]
    assert moment(client, "hrssm").status_code == 200
    shutil.copytree(folder / "elsewhere", run)
    assert moment(client, "mine").status_code == 200


def test_a_run_that_was_trained_further_is_read_again(client, folder):
    before = moment(client, "mine").json()["decision"]["cosine"]
    shutil.rmtree(folder / "run")
    untrained(folder / "run", "hrssm", seed=5)
    assert moment(client, "mine").json()["decision"]["cosine"] != before


def test_a_maze_is_that_of_the_first_run_and_others_are_refused(tmp_path):
    run = untrained(tmp_path / "run", "hrssm", "random-7")
    layout, _ = show_agents((f"mine={run}",), None, Camera(), torch.device("cpu"))
    assert layout.name == "random-7"
    with pytest.raises(ValueError, match=r"random-7.*--layout random-7"):
        show_agents((f"mine={run}",), "paper", Camera(), torch.device("cpu"))


def test_a_taken_port_is_replaced_by_a_free_one(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with _listening(other.getsockname()[1]) as listener:
            assert listener.getsockname()[0] == "127.0.0.1"
    assert "free one" in capsys.readouterr().err


def test_an_impossible_port_is_an_error():
    with pytest.raises(ValueError, match="--port"):
        ViewConfig(port=70_000)
