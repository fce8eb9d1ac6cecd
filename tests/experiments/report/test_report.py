"""The report: whole in itself, and true to the benchmark."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from envs.camera import Camera
from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments import cli
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import read_episodes, read_summary
from experiments.report.command import ReportConfig, report
from experiments.report.worst import walk_again, worst
from planners.tree import TreeSearch
from tests.support.benchmark_folders import trained, walked

VOID = {"meta", "img", "br", "path", "rect", "circle", "use"}


class Structure(HTMLParser):
    """Collects what is referred to, and checks that elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.titles = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["title"]:
            self.titles.append(data)


def read(path):
    found = Structure()
    found.feed(path.read_text())
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A benchmark whose agent looks one jump ahead only, so that it goes wrong."""
    out = tmp_path_factory.mktemp("report") / "bench"
    benchmark(BenchmarkConfig(out, ("hrssm=pretrained",), 12, TreeSearch(1), first_seed=100_000))
    return out


def test_a_report_is_whole_in_itself_and_says_what_its_marks_are(folder):
    path = report(ReportConfig((folder,), worst=3))
    found, summary = read(path), read_summary(folder)
    assert all(link.startswith(("#", "data:image/png")) for link in found.links)
    assert not re.search(r"https?://", path.read_text())
    entry = summary["agents"]["hrssm"]
    assert f"{entry['mean_reward']:.1f} [" in path.read_text()
    assert any("transitions per decision" in title for title in found.titles)
    assert any("steps:" in title and "solved" in title for title in found.titles)
    assert any(title.startswith("shortest: ") for title in found.titles)
    assert entry["checkpoint"] in path.read_text()


def test_the_worst_episodes_go_wrong_where_the_report_says(folder):
    summary = read_summary(folder)
    own, ceiling = (read_episodes(folder, name, summary) for name in ("hrssm", "shortest-path"))
    rows, layout = worst(own, ceiling, 3), Layout.paper()
    lost = ceiling["reward"] - own["reward"]
    assert lost[rows].tolist() == sorted(lost, reverse=True)[:3]
    for walk in walk_again(summary["agents"]["hrssm"], layout, Camera(), own, rows):
        assert walk.same
        assert len(walk.shortest) - 1 == own["shortest_path"][own["seed"] == walk.episode.seed][0]
        turn, goal = walk.turn, np.array([walk.episode.goal], np.int16)
        assert turn is not None
        here, after = (walk.poses[t : t + 1] for t in (turn.t, turn.t + 1))
        distance = Dynamics.of(layout).distance
        assert distance(after, goal) > distance(here, goal) - 1
        right, _ = Dynamics.of(layout).step(here, np.array([turn.right]))
        assert distance(right, goal) == distance(here, goal) - 1
        assert turn.found.action == turn.taken


def test_a_run_that_is_not_here_leaves_out_what_it_imagined(tmp_path):
    folder = walked(tmp_path / "bench", {"hrssm": trained("hrssm", 2)}, episodes=8)
    text = report(ReportConfig((folder,))).read_text()
    assert "cannot be walked again" in text
    assert "there is no run run" in text


def test_names_of_agents_and_folders_are_shown_as_they_are(tmp_path):
    facts = trained("hrssm", 2) | {"warning": "<script>alert(1)</script>"}
    folder = walked(tmp_path / "a <b> & c", {"hrssm": facts}, episodes=4)
    path = report(ReportConfig((folder,), worst=0))
    assert "<script>alert" not in path.read_text()
    assert read(path).open == []


def test_several_benchmarks_make_one_report(tmp_path):
    one = walked(tmp_path / "one", {"hrssm": trained("hrssm", 2)}, episodes=6)
    other = walked(tmp_path / "other", {"rssm": trained("rssm", 3, "rssm")}, episodes=6)
    text = report(ReportConfig((one, other), tmp_path / "both.html", worst=0)).read_text()
    assert str(one) in text
    assert str(other) in text
    assert ">HRSSM: mean reward" in text
    assert ">RSSM: mean reward" in text


def test_what_is_no_benchmark_or_no_report_of_ours_is_an_error(tmp_path, capsys):
    folder = walked(tmp_path / "bench", {"hrssm": trained("hrssm", 2)}, episodes=4)
    (tmp_path / "thesis.html").write_text("<html>years of work")
    for arguments, message in (
        ([str(tmp_path / "nowhere")], "no finished benchmark"),
        ([str(folder), "--out", str(tmp_path / "thesis.html")], "no report of ours"),
        ([str(folder), "--worst", "-1"], "--worst"),
        ([], "at least one folder"),
    ):
        assert cli.main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "thesis.html").read_text() == "<html>years of work"
    assert not (folder / "report.html").exists()
