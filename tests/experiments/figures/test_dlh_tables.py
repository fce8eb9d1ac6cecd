"""Tables 1, 2, 3 and 5 of Zakharov et al. 2022: measurements, the paper's numbers, rendering, invalid input."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import cli
from experiments.figures.artefact import Sources
from experiments.figures.commands import TableConfig, table
from experiments.video.metric_files import videos_table
from experiments.video.predict import PredictConfig, predict
from experiments.video.published import CHANCES, LEVELS
from tests.support.video_runs import run_of, videos

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


def tabled(config: TableConfig) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The rows of a table's JSON by data set, model and metric."""
    rows = json.loads(table(config)[0].with_suffix(".json").read_text())["rows"]
    for row in rows:
        assert [key for key in row if key != "published_deviation"] == KEYS
    found = {(row["dataset"], row["model"], row["metric"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_tables_2_and_5_of_runs_with_more_and_more_levels(world, tmp_path):
    runs, data = (str(world / "three"), str(world / "two")), (world / "chance", world / "data")
    sources = Sources(runs=runs, data=data, sequences=2, device="cpu")
    config = TableConfig("dlh-2", True, numbers=tmp_path, sources=sources)
    second, fifth = tabled(config), tabled(replace(config, name="dlh-5"))
    for levels in (2, 3):
        place = "moving-ball", f"dlh, {levels} levels"
        kl = [fifth[*place, f"kl_{n}"] for n in range(1, levels + 1)]
        assert second[*place, "kl"]["value"] == pytest.approx(sum(each["value"] for each in kl))
        assert [each["published"] for each in kl] == [LEVELS[levels][f"kl_{n}"].value for n in range(1, levels + 1)]
        assert second[*place, "levels_used"]["published"] == LEVELS[levels]["levels_used"].value
        assert (second[*place, "f1"]["trained_minutes"], second[*place, "f1"]["published"]) == (2.0, None)
        low, high = second[*place, "kl"]["ci95"]
        assert low <= second[*place, "kl"]["value"] <= high
    assert "| moving-ball | dlh, 2 levels | " in (tmp_path / "dlh-2.md").read_text()
    assert "41.9 ± 0.3 |" in (tmp_path / "dlh-2.md").read_text()


def test_table_3_of_runs_with_more_and_more_chance(world, tmp_path):
    runs, data = (str(world / "stochastic"), str(world / "two")), (world / "data", world / "chance")
    sources = Sources(runs=runs, data=data, device="cpu")
    rows = tabled(TableConfig("dlh-3", True, numbers=tmp_path, sources=sources))
    for dataset, recolour in (("moving-ball", 0.0), ("moving-ball, λ = 0.3", 0.3)):
        place = dataset, "dlh, 2 levels"
        assert rows[*place, "generator_static"]["value"] == pytest.approx(recolour)
        for metric, known in CHANCES[recolour].items():
            row = rows[*place, metric]
            assert (row["published"], row["published_deviation"]) == (known.value, known.deviation)


def test_table_1_shows_predictions_with_the_papers_numbers(world, tmp_path):
    kinds: Any = (("dlh", "two"), ("cwvae", "cwvae"))
    for kind, run in kinds:
        some: Any = {"context": 6, "samples": 1, "sequences": 1, "device": "cpu"}
        predict(PredictConfig(world / "data", tmp_path / kind, str(world / run), **some))
    both = Sources(predictions=(tmp_path / "dlh", tmp_path / "cwvae"))
    rows = tabled(TableConfig("dlh-1", True, numbers=tmp_path / "results", sources=both))
    for kind in ("dlh", "cwvae"):
        measured = json.loads((tmp_path / kind / "row.json").read_text())["rows"]
        assert [rows["moving-ball", kind, row["metric"]] for row in measured] == measured
    assert rows["moving-mnist", "lmc-memory", "psnr"]["published"] == 13.73
    assert rows["moving-mnist", "lmc-memory", "psnr"]["value"] is None
    table_text = (tmp_path / "results" / "dlh-1.md").read_text()
    assert "| moving-mnist | dlh | – | 7.0M | – | 0.78 ± <5% | – | – | 15.7 ± <5% | – | – |" in table_text
    (tmp_path / "again").symlink_to(tmp_path / "dlh")
    twice = Sources(predictions=(tmp_path / "dlh", tmp_path / "again"))
    with pytest.raises(ValueError, match="both of dlh on moving-ball"):
        table(TableConfig("dlh-1", True, numbers=tmp_path, sources=twice))


def test_models_are_compared_video_by_video(tmp_path):
    """All of dlh's videos are better by 0.1: no interval around that, however much the videos differ."""
    ssim = np.array([0.1, 0.5, 0.9])
    folders = []
    for kind, values, minutes in (("dlh", ssim + 0.1, 20.0), ("cwvae", np.append(ssim, 0.0), 22.5)):
        (out := tmp_path / kind).mkdir()
        (out / "videos.csv").write_text(videos_table({"ssim": values}))
        (out / "curves.csv").write_text("step,ssim\n" + "".join(f"{step},{1 / step}\n" for step in range(1, 41)))
        rows = [
            {**dict.fromkeys(KEYS), "model": kind, "dataset": "mazes", "metric": "ssim", "trained_minutes": minutes}
        ]
        origin = {"command": "", "commit": "", "context": 1, "samples": 1, "sequences": len(values), "runs": []}
        (out / "row.json").write_text(json.dumps(origin | {"rows": rows}))
        folders.append(out)
    config = TableConfig("dlh-1", True, tmp_path / "results", sources=Sources(predictions=tuple(folders)))
    found = tabled(config)
    row = found["mazes", "dlh − cwvae", "ssim"]
    assert [row["value"], *row["ci95"]] == pytest.approx([0.1, 0.1, 0.1])
    assert row["trained_minutes"] == -2.5
    assert found["mazes", "dlh", "ssim_early"]["value"] == pytest.approx(sum(1 / step for step in range(1, 31)) / 30)
    table_text = (tmp_path / "results" / "dlh-1.md").read_text()
    assert "| mazes | dlh − cwvae | – | – | 0.100 [0.100, 0.100] | – | – | – | – | -2.5 min |" in table_text
    (folders[0] / "videos.csv").write_text(videos_table({"ssim": ssim[:2]}))
    with pytest.raises(ValueError, match=r"videos\.csv has 2 of 3 videos"):
        tabled(replace(config, overwrite=True))


def test_levels_of_table_5_sum_up_to_table_2():
    for levels, known in LEVELS.items():
        assert sum(known[f"kl_{n}"].value for n in range(1, levels + 1)) == pytest.approx(known["kl"].value)


# ------------------------------------------------------------------------ invalid input

BAD = [
    ("dlh-2", r"dlh-2.json is missing.*'jumpy table dlh-2 --measure --runs RUN… --data DIR…'"),
    ("dlh-2 --runs two", "--runs.*--measure"),
    ("dlh-2 --measure --runs two", "--data needs DIR…, got 0"),
    ("dlh-1 --measure --runs two", "dlh-1.*--runs"),
    ("dlh-1 --measure --predictions data", "data.*no finished prediction"),
    ("dlh-2 --measure --runs two again --data data", "two and again.*levels 2"),
    ("dlh-3 --measure --runs two again --data data", "two and again.*λ 0"),
    ("dlh-3 --measure --runs three --data data", "three has 3 levels.*2 levels"),
    ("dlh-2 --measure --runs cwvae --data data", "run of cwvae.*--runs of dlh"),
    ("dlh-2 --measure --runs two --data chance", "chance.*recolour 0.3.*two was trained on"),
    ("dlh-2 --measure --runs nowhere --data data", "no run nowhere"),
    ("dlh-2 --sequences 0", "--sequences.*got 0"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(world, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(world)
    before = {path: path.stat().st_mtime_ns for path in world.rglob("*")}
    assert cli.main(["table", *arguments.split(), "--numbers", "results"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(f"jumpy: error: .*{message}.*\n", error)
    assert {path: path.stat().st_mtime_ns for path in world.rglob("*")} == before
