"""Tables of results: what is measured of a hierarchy, the paper's numbers beside ours, redrawing, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agent.data.replay import Replay
from experiments import cli
from experiments.figures.tables import TableConfig, table
from experiments.video import level_metrics as structure
from experiments.video.metric_files import write_scores
from experiments.video.predict import PredictConfig, predict
from experiments.video.published import CHANCES, LEVEL_KL, LEVELS
from experiments.video.runs import VideoRun
from tests.support.video_runs import FRAMES, TESTED, run_of, videos
from world_models.dlh.dlh import Changes
from world_models.interface import Batch, Losses

CPU = torch.device("cpu")
KEYS = ["model", "dataset", "metric", "value", "ci95", "published", "trained_minutes", "device"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data without and with chance, hierarchies of 2 and 3 levels, a baseline."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    videos(folder / "chance", 0.3)
    run_of("dlh", folder / "data", folder / "two")
    run_of("dlh", folder / "data", folder / "again")
    run_of("dlh", folder / "data", folder / "three", levels=3)
    run_of("dlh", folder / "chance", folder / "stochastic")
    run_of("cwvae", folder / "data", folder / "cwvae")
    return folder


# ------------------------------------------------------------------------ what is measured


def test_changes_by_hand():
    true = np.array([[0, 1, 0, 0, 1, 0, 0, 1]], bool)
    second = np.array([[1, 1, 0, 0, 0, 1, 0, 0]], bool)  # exact, a frame late, none
    third = np.array([[1, 1, 0, 0, 0, 0, 0, 0]], bool)
    columns = structure.changing(np.stack([np.ones_like(true), second, third], -1), true)
    assert {name: values.item() for name, values in columns.items()} == {
        "levels_used": pytest.approx((7 + 2 + 1) / 7),
        "change": pytest.approx(3 / 7),
        "found": 2,
        "true": 3,
        "paired": 2,
        "paired_exact": 1,
        "paired_other": 2,  # there is no other
    }
    found = structure.change_numbers(columns)
    assert found["f1"].value == pytest.approx(2 * 2 / (2 + 3))
    assert found["f1_exact"].value == pytest.approx(2 * 1 / (2 + 3))
    assert (found["precision"].value, found["recall"].value) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


def test_by_chance_is_what_another_videos_changes_would_give():
    true = np.array([[0, 1, 0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0]], bool)
    columns = structure.changing(np.stack([true, true], -1), true)
    found = structure.change_numbers(columns)
    assert (found["f1"].value, found["f1_chance"].value) == (1.0, pytest.approx((1 + 1) / (3 + 1)))


def test_chances_leave_out_what_cannot_be_foreseen():
    change = np.array([[True, True, True, False, True, False]])
    p = np.array([[1.0, 1.0, 0.5, 0.25, 0.75, 0.0]])
    columns = structure.chances(change, p, "pn")
    numbers = {name: values.item() for name, values in columns.items()}
    assert numbers == {"p_change": 1.25, "n_change": 2, "p_static": 0.25, "n_static": 2}


@pytest.mark.parametrize("recolour", [0.0, 0.3])
def test_generators_chance_is_how_often_colours_change(recolour, tmp_path):
    """Of all frames that it gives a chance to, that share changes: where a ball bounces all, elsewhere lambda."""
    replay = Replay.open(videos(tmp_path / "data", recolour))
    everything = np.arange(replay.episodes)
    fields = replay.slices(everything, np.zeros_like(everything), FRAMES)
    chance = structure.generator_chance(fields["bounce"] > 0, recolour)[:, 1:]
    change = fields["change"][:, 1:]
    assert set(np.unique(chance).round(6)) == {recolour, 1.0}
    assert (change[chance == 1] == 1).all()
    assert change[chance < 1].mean() == pytest.approx(recolour, abs=0.07)
    two = structure.generator_chance(np.array([[[True, False], [False, False]]]), 0.3)
    np.testing.assert_allclose(two, [[1.0, 1 - 0.7**2]])


class Seer(nn.Module):
    """A hierarchy of three levels whose second changes with the colour and knows the chance of it."""

    def __init__(self, fields: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.change = torch.from_numpy(fields["change"]).float()
        self.bounce = torch.from_numpy(fields["bounce"][..., 0]).float()
        self.config: Any = type("Config", (), {"options": type("Options", (), {"levels": 3})})

    def infer(self, x: Tensor, a: Tensor) -> Changes:
        one = torch.ones_like(self.change)
        return Changes(torch.stack([one, self.change, 0 * one], -1), torch.stack([one, self.bounce, 0 * one], -1))

    def loss(self, batch: Batch, step: int) -> Losses:
        assert batch.observation.shape[0] == 1
        divergences = {"kl_s_1": torch.tensor(6.0), "kl_s_2": torch.tensor(3.0), "kl_s_3": torch.tensor(1.0)}
        return Losses({"kl_e": torch.tensor(0.5)}, {}, divergences)


def test_a_perfect_hierarchy_has_the_generators_numbers(world):
    replay = Replay.open(world / "data")
    test = np.array(replay.split("test"))
    fields = replay.slices(test, np.zeros_like(test), FRAMES)
    run = VideoRun(Path("run"), Seer(fields), {"video": {"recolour": 0.0}}, 0, None)
    columns = structure.measure(run, replay)
    assert {len(values) for values in columns.values()} == {TESTED}
    changes = structure.change_numbers(columns)
    assert {each.value for name, each in changes.items() if name != "f1_chance"} == {1.0}
    assert 0 < changes["f1_chance"].value < 1
    levels, chances = structure.level_numbers(columns), structure.chance_numbers(columns)
    assert levels["levels_used"].value == pytest.approx(levels["one_plus_change"].value)
    assert levels["levels_used"].value == pytest.approx(1 + fields["change"][:, 1:].mean())
    assert (levels["kl"].value, levels["kl_e"].value) == (10.0, 0.5)
    assert (chances["p_change"].value, chances["p_static"].value) == (1.0, 0.0)
    assert (chances["generator_change"].value, chances["generator_static"].value) == (1.0, 0.0)
    assert structure.kl_numbers(columns)["kl_share_above_2"].value == pytest.approx(0.1)


# ------------------------------------------------------------------------ the tables


def tabled(config: TableConfig) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The rows of a table's JSON by data set, model and metric."""
    rows = json.loads(table(config)[0].read_text())["rows"]
    for row in rows:
        assert [key for key in row if key != "published_deviation"] == KEYS
    found = {(row["dataset"], row["model"], row["metric"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_tables_2_and_5_of_runs_with_more_and_more_levels(world, tmp_path):
    runs, data = (world / "three", world / "two"), (world / "chance", world / "data")
    config = TableConfig("dlh-2", True, runs=runs, data=data, sequences=2, device="cpu", results=tmp_path)
    second, fifth = tabled(config), tabled(replace(config, name="dlh-5"))
    for levels in (2, 3):
        place = "moving-ball", f"dlh, {levels} levels"
        kl = [fifth[*place, f"kl_{n}"] for n in range(1, levels + 1)]
        assert second[*place, "kl"]["value"] == pytest.approx(sum(each["value"] for each in kl))
        assert [each["published"] for each in kl] == list(LEVEL_KL[levels])
        assert second[*place, "levels_used"]["published"] == LEVELS[levels]["levels_used"].value
        assert (second[*place, "f1"]["trained_minutes"], second[*place, "f1"]["published"]) == (2.0, None)
        low, high = second[*place, "kl"]["ci95"]
        assert low <= second[*place, "kl"]["value"] <= high
    assert "| moving-ball | dlh, 2 levels | " in (tmp_path / "dlh-table-2.md").read_text()
    assert "41.9 ± 0.3 |" in (tmp_path / "dlh-table-2.md").read_text()


def test_table_3_of_runs_with_more_and_more_chance(world, tmp_path):
    runs, data = (world / "stochastic", world / "two"), (world / "data", world / "chance")
    rows = tabled(TableConfig("dlh-3", True, runs=runs, data=data, device="cpu", results=tmp_path))
    for dataset, recolour in (("moving-ball", 0.0), ("moving-ball, λ = 0.3", 0.3)):
        place = dataset, "dlh, 2 levels"
        assert rows[*place, "generator_static"]["value"] == pytest.approx(recolour)
        for metric, known in CHANCES[recolour].items():
            row = rows[*place, metric]
            assert (row["published"], row["published_deviation"]) == (known.value, known.deviation)


def test_table_1_puts_predictions_beside_the_paper(world, tmp_path):
    kinds: Any = (("dlh", "two"), ("cwvae", "cwvae"))
    for kind, run in kinds:
        predict(PredictConfig(kind, world / "data", tmp_path / kind, world / run, 6, 1, 1, device="cpu"))
    both = (tmp_path / "dlh", tmp_path / "cwvae")
    rows = tabled(TableConfig("dlh-1", True, predictions=both, results=tmp_path / "results"))
    for kind in ("dlh", "cwvae"):
        measured = json.loads((tmp_path / kind / "row.json").read_text())["rows"]
        assert [rows["moving-ball", kind, row["metric"]] for row in measured] == measured
    assert rows["moving-mnist", "lmc-memory", "psnr"]["published"] == 13.73
    assert rows["moving-mnist", "lmc-memory", "psnr"]["value"] is None
    drawn = (tmp_path / "results" / "dlh-table-1.md").read_text()
    assert "| moving-mnist | dlh | – | 7.0M | – | 0.78 ± <5% | – | 15.7 ± <5% | – | – |" in drawn
    with pytest.raises(ValueError, match="are both of dlh on moving-ball: give one --predictions folder for each"):
        table(TableConfig("dlh-1", True, predictions=(both[0], both[0]), results=tmp_path))


def test_models_are_compared_video_by_video(tmp_path):
    """All of dlh's videos are better by 0.1: no interval around that, however much the videos differ."""
    ssim = np.array([0.1, 0.5, 0.9])
    folders = []
    for kind, values, minutes in (("dlh", ssim + 0.1, 20.0), ("cwvae", np.append(ssim, 0.0), 22.5)):
        (out := tmp_path / kind / "sequences").mkdir(parents=True)
        for number, value in enumerate(values):
            write_scores(out / f"{number:05d}.npz", {"ssim": np.full(4, value)})
        rows = [
            {**dict.fromkeys(KEYS), "model": kind, "dataset": "mazes", "metric": "ssim", "trained_minutes": minutes}
        ]
        told = {"command": "", "commit": "", "context": 1, "samples": 1, "sequences": len(values), "runs": []}
        (tmp_path / kind / "row.json").write_text(json.dumps(told | {"rows": rows}))
        folders.append(tmp_path / kind)
    config = TableConfig("dlh-1", True, predictions=tuple(folders), results=tmp_path / "results")
    row = tabled(config)["mazes", "dlh − cwvae", "ssim"]
    assert [row["value"], *row["ci95"]] == pytest.approx([0.1, 0.1, 0.1])
    assert row["trained_minutes"] == -2.5
    drawn = (tmp_path / "results" / "dlh-table-1.md").read_text()
    assert "| mazes | dlh − cwvae | – | – | 0.100 [0.100, 0.100] | – | – | – | -2.5 min |" in drawn
    (folders[0] / "sequences" / "00002.npz").unlink()
    with pytest.raises(ValueError, match="dlh lacks 1 of its 3 videos: make it anew with 'jumpy predict'"):
        tabled(replace(config, overwrite=True))


def test_table_is_redrawn_from_its_json_alone(world, tmp_path):
    config = TableConfig("dlh-5", True, runs=(world / "two",), data=(world / "data",), sequences=1, results=tmp_path)
    path, drawn = table(replace(config, device="cpu"))
    before = path.read_bytes(), drawn.read_bytes()
    drawn.unlink()
    table(TableConfig("dlh-5", results=tmp_path))
    assert (path.read_bytes(), drawn.read_bytes()) == before
    with pytest.raises(ValueError, match="is already there: choose other --results, or --overwrite"):
        table(config)
    path.write_text("[]")
    with pytest.raises(ValueError, match="is damaged"):
        table(TableConfig("dlh-5", results=tmp_path))


@pytest.mark.parametrize("levels", LEVEL_KL)
def test_the_papers_table_5_sums_up_to_its_table_2(levels):
    assert sum(LEVEL_KL[levels]) == pytest.approx(LEVELS[levels]["kl"].value)


# ------------------------------------------------------------------------ what is refused

BAD = [
    ("dlh-4", "unknown table 'dlh-4': use one of dlh-1, dlh-2, dlh-3, dlh-5"),
    ("dlh-2", "dlh-table-2.json is missing: make it with 'jumpy table dlh-2 --measure --runs RUN… --data DIR…'"),
    ("dlh-2 --runs two", "--runs is what numbers are measured from: add --measure"),
    ("dlh-2 --measure --runs two", "--data needs DIR…, got none: make it with 'jumpy table dlh-2 --measure"),
    ("dlh-1 --measure --runs two", "dlh-1 is not measured from --runs: make it with 'jumpy table dlh-1 --measure"),
    ("dlh-1 --measure --predictions data", "data holds no finished prediction: make it with 'jumpy predict'"),
    ("dlh-2 --measure --runs two again --data data", "two and again both have levels 2: give one of --runs for each"),
    ("dlh-3 --measure --runs two again --data data", "two and again both have λ 0: give one of --runs for each"),
    ("dlh-3 --measure --runs three --data data", "three has 3 levels: give --runs of 2 levels, as in the paper"),
    ("dlh-2 --measure --runs cwvae --data data", "cwvae is a run of cwvae, asked for is dlh: give a run of dlh"),
    ("dlh-2 --measure --runs two --data chance", "none of --data has test videos like those of two (moving-ball)"),
    ("dlh-2 --measure --runs nowhere --data data", "there is no run nowhere: train one with"),
    ("dlh-2 --sequences 0", "--sequences must be at least 1, got 0"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(world, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(world)
    before = {path: path.stat().st_mtime_ns for path in world.rglob("*")}
    assert cli.main(["table", *arguments.split(), "--results", "results"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("jumpy: error: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in world.rglob("*")} == before
