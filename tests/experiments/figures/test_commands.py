"""The commands figure, table and plot: rendering from numbers, measuring, and invalid input."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from experiments import cli
from experiments.common.numbers import Numbers, read_numbers, write_numbers
from experiments.figures.artefact import Sources
from experiments.figures.commands import FigureConfig, PlotConfig, TableConfig, figure, plot, table
from experiments.figures.registry import FIGURES, TABLES
from tests.support.benchmark_folders import of_two_seeds, trained, walked
from tests.support.curves import curve_rows

RESULTS = Path(__file__).parents[3] / "experiments" / "results"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A folder with the numbers of some figures."""
    folder = tmp_path / "numbers"
    write_numbers(folder, "vta-4", Numbers({}, curve_rows("negative_elbo", "kl", "reconstruction")), "")
    benchmarks = Sources(benchmarks=(of_two_seeds(tmp_path / "navigation"),))
    for name in ("vta-8", "budget"):
        figure(FigureConfig(name, measure=True, numbers=folder, out=tmp_path, sources=benchmarks))
    return folder


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize(
    ("show", "config", "artefacts"),
    [(figure, FigureConfig("all"), FIGURES), (table, TableConfig("all"), TABLES)],
    ids=["figures", "tables"],
)
def test_all_committed_numbers_are_rendered(show: Any, config: Any, artefacts: Any, tmp_path: Path) -> None:
    folder = RESULTS / config.numbers.name
    written = show(replace(config, numbers=folder, out=tmp_path))
    assert {path.stem for path in written} == set(artefacts)
    assert {path.name for path in written} <= {path.name for path in folder.iterdir()}
    for path in written:
        if path.suffix in (".md", ".csv"):
            assert path.read_bytes() == (folder / path.name).read_bytes()


def test_all_lists_what_is_not_measured(numbers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pictures"
    figure(FigureConfig("all", numbers=numbers, out=out))
    have = {"vta-4", "vta-8", "budget"}
    assert {path.name for path in out.iterdir()} == {f"{name}.png" for name in have}
    rest = [name for name in FIGURES if name not in have]
    assert f"not measured: {', '.join(rest)}; " in capsys.readouterr().out
    for name in rest:
        with pytest.raises(ValueError, match=f"{name}.json is missing.*'jumpy "):
            figure(FigureConfig(name, numbers=numbers, out=out))


def test_all_reports_damaged_numbers_after_rendering_the_others(numbers: Path, tmp_path: Path) -> None:
    (numbers / "vta-4.csv").unlink()
    (numbers / "budget.json").write_text("{}")
    with pytest.raises(ValueError, match=r"vta-4.csv is missing.*vta-4 --measure.*budget.*damaged.*budget --measure"):
        figure(FigureConfig("all", numbers=numbers, out=tmp_path / "pictures"))
    assert (tmp_path / "pictures" / "vta-8.png").exists()
    with pytest.raises(ValueError, match=r"nowhere.*no numbers"):
        figure(FigureConfig("all", numbers=tmp_path / "nowhere"))


# ---------------------------------------------------------------- measuring


def test_numbers_say_how_they_were_made(numbers: Path, tmp_path: Path) -> None:
    facts = read_numbers(numbers, "budget", ("json",)).facts
    command = f"jumpy figure budget --measure --benchmarks {tmp_path}/navigation"
    assert (facts["command"], facts["episodes"]) == (command, 6)
    assert facts["versions"]["torch"]


def test_numbers_are_replaced_only_when_asked(numbers: Path, tmp_path: Path) -> None:
    config = FigureConfig("budget", True, numbers, tmp_path, sources=Sources(benchmarks=(tmp_path / "navigation",)))
    with pytest.raises(ValueError, match=r"budget\.json is already there.*--overwrite"):
        figure(config)
    (numbers / "budget.json").write_text("{")
    with pytest.raises(ValueError, match=r"budget\.json is damaged .*jumpy figure budget"):
        figure(replace(config, measure=False, sources=Sources()))
    figure(replace(config, overwrite=True))


BAD: list[tuple[FigureConfig, str]] = [
    (FigureConfig("vta-9"), "'vta-9'.*vta-3"),
    (TableConfig("dlh-4"), "'dlh-4'.*dlh-1, dlh-2"),
    (FigureConfig("vta-5"), r"vta-5\.json is missing.*vta-5 --measure --runs RUN.*hrssm"),
    (FigureConfig("unseen"), r"unseen\.json is missing: .*jumpy unseen"),
    (FigureConfig("vta-5", sources=Sources(runs=("run",))), "--runs .* add --measure"),
    (FigureConfig("all", measure=True), "one figure: name one of vta-"),
    (FigureConfig("unseen", measure=True), "not measured by this command"),
    (FigureConfig("vta-5", measure=True), "--runs needs RUN, got 0: make it with"),
    (FigureConfig("vta-5", measure=True, sources=Sources(runs=("one", "two"))), "--runs needs RUN, got 2"),
    (FigureConfig("vta-8", measure=True, sources=Sources(runs=("run",))), "vta-8.*--runs"),
    (FigureConfig("vta-8", measure=True, sources=Sources(seed=1)), "vta-8.*--seed"),
    (FigureConfig("vta-5", measure=True, sources=Sources(runs=("nowhere",))), "no run nowhere"),
    (FigureConfig("budget", measure=True, sources=Sources(benchmarks=(Path("no"),))), "no finished benchmark"),
]


@pytest.mark.parametrize(("config", "message"), BAD)
def test_bad_input_writes_nothing(config: FigureConfig, message: str, tmp_path: Path) -> None:
    show = table if isinstance(config, TableConfig) else figure
    with pytest.raises(ValueError, match=message):
        show(replace(config, numbers=tmp_path / "numbers", out=tmp_path / "out"))  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.*"))


def test_runs_of_another_model_raise(maze_runs: Path, tmp_path: Path) -> None:
    arguments = ["--measure", "--runs", f"mine={maze_runs / 'rssm'}", "--numbers", str(tmp_path)]
    with pytest.raises(ValueError, match=r"run of rssm.*--runs of hrssm"):
        figure(FigureConfig("vta-5", True, tmp_path, sources=Sources(runs=(arguments[2],))))
    assert cli.main(["figure", "vta-5", *arguments]) == 2
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- a benchmark's plots


def test_one_budget_makes_two_plots(tmp_path: Path) -> None:
    pictures = plot(PlotConfig(walked(tmp_path, {"hrssm": trained("hrssm", 2)})))
    assert [path.name for path in pictures] == ["rewards.png", "routes.png"]
    for path in pictures:
        height, width, _ = imread(path).shape
        assert width == 1200
        assert height > 400


def test_budgets_make_a_third_plot(tmp_path: Path, figures: dict[str, Figure]) -> None:
    plot(PlotConfig(walked(tmp_path, {f"h@{depth}": trained("h", depth) for depth in (1, 3)})))
    assert list(figures) == ["rewards", "budget", "routes"]


def test_a_folder_without_a_summary_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no finished benchmark.*jumpy benchmark --out"):
        plot(PlotConfig(tmp_path))
    (tmp_path / "summary.json").write_text('{"agents"')  # half written
    with pytest.raises(ValueError, match="no finished benchmark"):
        plot(PlotConfig(tmp_path))


def test_json_of_numpy_values_is_plain(tmp_path: Path) -> None:
    write_numbers(tmp_path, "x", Numbers({"a": np.arange(2), "b": np.float64(0.5)}), "jumpy")
    assert json.loads((tmp_path / "x.json").read_text())["a"] == [0, 1]
