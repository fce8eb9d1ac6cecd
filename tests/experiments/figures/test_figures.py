"""Figures: redrawn from their numbers alone, and numbers measured from runs and benchmarks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from agent.data.collect import CollectConfig, collect
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.train import train
from envs.dynamics import Dynamics
from envs.layout import Layout
from experiments.figures.curves import median
from experiments.figures.generation import PASSAGES, follow, futures
from experiments.figures.numbers import Numbers, Sources, read, write
from experiments.figures.registry import FIGURES, FigureConfig, figure
from experiments.figures.rewards import histogram, read_benchmarks, reward
from experiments.navigation.episode_files import EpisodeFile
from experiments.navigation.jump_accuracy import arrivals
from experiments.navigation.summary import summarise

PAPER = Layout.paper()
SEEDS = range(100_000, 100_006)


# ---------------------------------------------------------------- numbers by hand


def benchmarks(folder: Path) -> Path:
    """What `jumpy navigation` writes of two training seeds with two budgets; one episode ends with its last step."""
    steps = {"random": [100, 100, 100, 30, 40, 100], "shortest-path": [20, 25, 30, 10, 20, 40]}
    solved = {"random": [0, 0, 1, 1, 1, 0], "shortest-path": [1] * 6}
    for seed in (0, 1):
        for model in ("hrssm", "rssm"):
            own = folder / "ours-quick" / f"seed-{seed}" / f"{model}"
            (own / "episodes").mkdir(parents=True)
            names = {f"{model}@{budget}": {"model": model, "budget": budget} for budget in (3, 12)}
            facts: dict[str, dict[str, Any]] = {name: {"trained": False} for name in steps}
            known: dict[str, Any] = {
                "trained": True,
                "training_seed": seed,
                "variant": "ours",
                "preset": "quick",
                "planner": {},
                "run": "run",
                "checkpoint": "",
                "label": model,
            }
            facts |= {name: one | known | {"trained_steps": 1} for name, one in names.items()}
            episodes = {}
            for name, fact in facts.items():
                taken = np.array(steps.get(name, [50 + seed, 60, 70, 20, 100, 100]))
                success = np.array(solved.get(name, [1, 1, 1, 1, 1, 0]))
                spent = np.full(6, fact.get("budget", 0))
                episodes[name] = {
                    "seed": np.array(SEEDS),
                    "steps": taken,
                    "reward": np.where(success, 100 - taken, 0),
                    "success": success,
                    "shortest_path": np.array(steps["shortest-path"]),
                    "decisions": np.ones(6, int),
                    "transitions": spent,
                    "planning_seconds": np.zeros(6),
                }
                EpisodeFile(own / "episodes" / f"{name}.csv", name, SEEDS, 6).append(episodes[name])
            summary = {"episodes": 6, "layout": "paper", "first_seed": SEEDS[0]} | summarise(episodes, facts)
            (own / "summary.json").write_text(json.dumps(summary, default=float))
    return folder


def rows_of_navigation(path: Path, value: float) -> Path:
    """What `jumpy navigation --json` writes, with one row."""
    row = {"value": value, "mean": value, "ci95": [value - 0.1, value + 0.1], "seeds": [value, value]}
    path.write_text(json.dumps({"ours": {"quick": {"reward_over_ceiling": row}}, "about": {"ours": {"quick": {}}}}))
    return path


def curves(*names: str) -> list[dict[str, Any]]:
    """Rows of two labels and two training seeds."""
    return [
        {"model": label, "label": label, "seed": seed, "step": step} | {name: 1 + seed + 1 / step for name in names}
        for label in ("hrssm", "rssm")
        for seed in (0, 1)
        for step in (1, 2, 3 + seed)
    ]


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A folder with numbers of all figures but those of frames."""
    folder = tmp_path / "numbers"
    learning = curves("negative_elbo", "kl", "reconstruction")
    write(folder, "vta-4", Numbers({}, learning), Sources())
    shares = curves("boundary_share", "boundary_f1", "boundary_f1_exact", "true_share")
    profiles = [{"label": label, "profile": {"-1": 0.2, "0": 0.8, "1": None}} for label in ("hrssm", "rssm")]
    write(folder, "structure-prior", Numbers({"runs": profiles}, shares), Sources())
    found = Sources(benchmarks=(benchmarks(tmp_path / "navigation"),))
    files = [rows_of_navigation(tmp_path / f"{name}.json", value) for name, value in (("all", 0.9), ("less", 0.5))]
    compared = Sources(compare=(f"ours={files[0]}", f"without it={files[1]}"))
    for name, sources in (("vta-8", found), ("budget", found), ("options", compared)):
        figure(FigureConfig(name, measure=True, numbers=folder, out=tmp_path, sources=sources))
    lines = [f"{layout},{minute},{0.1 * minute},0,1" for layout in ("random-1", "random-2") for minute in (1, 2, 9)]
    (folder / "unseen.csv").write_text("\n".join(["layout,minutes,reward_over_ceiling,low,high", *lines]) + "\n")
    return folder


def test_all_draws_what_was_measured_and_names_the_rest(
    numbers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pictures"
    figure(FigureConfig("all", numbers=numbers, out=out))
    have = {"vta-4", "vta-8", "budget", "structure-prior", "unseen"}
    assert {path.name for path in out.iterdir()} == {f"{name}.png" for name in have} | {"options.md", "options.csv"}
    rest = ", ".join(name for name in FIGURES if name not in have | {"options"})
    assert f"not measured: {rest}; " in capsys.readouterr().out
    for name in rest.split(", "):
        with pytest.raises(ValueError, match=f"{name}.json is missing: make it with 'jumpy figure {name} --measure"):
            figure(FigureConfig(name, numbers=numbers, out=out))


def test_all_names_what_is_damaged_after_drawing_the_others(numbers: Path, tmp_path: Path) -> None:
    (numbers / "vta-4.csv").unlink()
    with pytest.raises(ValueError, match=r"vta-4.csv is missing: make it with 'jumpy figure vta-4 --measure"):
        figure(FigureConfig("all", numbers=numbers, out=tmp_path / "pictures"))
    assert (tmp_path / "pictures" / "vta-8.png").exists()
    with pytest.raises(ValueError, match="nowhere holds no numbers of any figure"):
        figure(FigureConfig("all", numbers=tmp_path / "nowhere"))


def test_numbers_alone_are_drawn(numbers: Path, tmp_path: Path, drawn: dict[str, Figure]) -> None:
    for name in ("vta-4", "budget", "vta-8"):
        figure(FigureConfig(name, numbers=numbers))
    bound = drawn["vta-4"].axes[0]
    mean = next(line for line in bound.lines if line.get_label() == "HRSSM")
    # Both training seeds were measured at the steps 1 and 2: the means of (2, 3) and of (1.5, 2.5).
    assert np.asarray(mean.get_xydata()).tolist() == [[1, 2.5], [2, 2]]
    lines = {line.get_label(): line for line in drawn["budget"].axes[0].lines}
    # Rewards (50 or 49, 40, 30, 80, 0, 0) of six episodes; 3 and 12 transitions per decision.
    assert np.asarray(lines["HRSSM"].get_xydata()) == pytest.approx(np.array([[3, 199.5 / 6], [12, 199.5 / 6]]))
    assert np.asarray(lines["ceiling"].get_ydata())[0] == pytest.approx(455 / 6)
    bars = [patch.get_height() for patch in drawn["vta-8"].axes[1].patches]  # type: ignore[attr-defined]
    assert bars == pytest.approx([1 / 6] * 4 + [0.5, 0])


def test_every_episode_is_kept_though_rewards_are_equal(numbers: Path) -> None:
    kept = read(numbers, "vta-8", ("json", "csv"), "")
    column = [row["hrssm budget=3 seed=1"] for row in kept.rows]
    assert column == ["51", "60", "70", "20", "100", ""]  # the last two earn 0, one of them is solved
    assert [row["episode"] for row in kept.rows] == [str(seed) for seed in SEEDS]
    steps = np.array([float(value or "nan") for value in column])
    assert reward(steps).tolist() == [49, 40, 30, 80, 0, 0]
    counts, _ = histogram(steps)
    assert counts.sum() == 5


def test_table_of_options(numbers: Path) -> None:
    figure(FigureConfig("options", numbers=numbers))
    lines = (numbers / "options.md").read_text().splitlines()
    assert lines[2].startswith("| ours | – |")
    assert lines[3].endswith("| 0.50 [0.40, 0.60] |")
    assert (numbers / "options.csv").read_text().splitlines()[1] == "ours,,,,,0.9,0.8,1.0,2"


def test_median_of_curves_by_hand() -> None:
    one, other = (np.array([0.0, 4.0]), np.array([0.0, 4.0])), (np.array([1.0, 3.0]), np.array([3.0, 5.0]))
    x, y = median([one, other, one])
    assert x.tolist() == [1, 3]  # where all have begun and none has ended
    assert y.tolist() == [1, 3]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FigureConfig("vta-9"), "unknown figure 'vta-9': use one of vta-"),
        (FigureConfig("vta-5"), r"vta-5\.json is missing: make it with 'jumpy figure vta-5 --measure --hrssm RUN'"),
        (FigureConfig("unseen"), r"unseen\.csv is missing: .*layout,minutes,reward_over_ceiling,low,high"),
        (FigureConfig("vta-5", sources=Sources(hrssm=("run",))), "--hrssm is what numbers are measured from: add"),
        (FigureConfig("all", measure=True), "the numbers of one figure: name one of vta-"),
        (FigureConfig("unseen", measure=True), "not measured by this command"),
        (FigureConfig("vta-5", measure=True), "--hrssm needs RUN, got 0: make it with"),
        (FigureConfig("vta-5", measure=True, sources=Sources(hrssm=("one", "two"))), "--hrssm needs RUN, got 2"),
        (FigureConfig("vta-8", measure=True, sources=Sources(hrssm=("run",))), "vta-8 is not measured from --hrssm"),
        (FigureConfig("vta-5", measure=True, sources=Sources(hrssm=("nowhere",))), "there is no run nowhere: train"),
        (FigureConfig("options", measure=True, sources=Sources(compare=("file",))), "LABEL=PATH, got 'file': put"),
        (FigureConfig("options", measure=True, sources=Sources(compare=("a=b",))), "b does not hold the rows of one"),
        (FigureConfig("budget", measure=True, sources=Sources(benchmarks=(Path("no"),))), "no finished benchmark"),
    ],
)
def test_refusals_write_nothing(config: FigureConfig, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        figure(replace(config, numbers=tmp_path / "numbers", out=tmp_path / "out"))
    assert not list(tmp_path.rglob("*.*"))


def test_numbers_are_replaced_only_when_asked(numbers: Path, tmp_path: Path) -> None:
    config = FigureConfig("budget", True, numbers, tmp_path, sources=Sources(benchmarks=(tmp_path / "navigation",)))
    with pytest.raises(ValueError, match=r"budget\.json is already there: choose another --numbers, or --overwrite"):
        figure(config)
    (numbers / "budget.json").write_text("{")
    with pytest.raises(ValueError, match=r"budget\.json is damaged .*: make it with 'jumpy figure budget"):
        figure(replace(config, measure=False, sources=Sources()))
    figure(replace(config, overwrite=True))


def test_two_measurements_of_one_agent_are_refused(tmp_path: Path) -> None:
    folder = benchmarks(tmp_path)
    own = folder / "ours-quick" / "seed-0"
    shutil.copytree(own / "rssm", own / "rssm-again")
    with pytest.raises(ValueError, match="both measured rssm at budget 3: give --benchmarks only"):
        read_benchmarks([folder])


def test_of_benchmarks_of_different_lengths_the_common_episodes_count(tmp_path: Path) -> None:
    folder = benchmarks(tmp_path)
    own = folder / "ours-quick" / "seed-1" / "rssm"
    for file in (own / "episodes").iterdir():
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
    (own / "summary.json").write_text((own / "summary.json").read_text().replace('"episodes": 6', '"episodes": 4', 1))
    found = read_benchmarks([folder])
    assert found.facts["episodes"] == 4
    for episodes in (found.floor, found.ceiling, *(entry.episodes for entry in found.entries)):
        assert episodes["seed"].tolist() == [*SEEDS][:4]


# ---------------------------------------------------------------- measured from runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two steps, an evaluation after each."""
    folder = tmp_path_factory.mktemp("runs")
    collect(CollectConfig(folder / "data", steps=1000))
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=1)
    config = TrainConfig(data=folder / "data", out=folder, steps=2, batch_size=2, evaluate_every=1, device="cpu")
    config = replace(config, evaluation=evaluation)
    train(replace(config, out=folder / "hrssm", model="hrssm"))
    train(replace(config, out=folder / "rssm", model="rssm"))
    return folder


def test_curves_come_from_the_runs_own_evaluations(runs: Path, tmp_path: Path) -> None:
    sources = Sources(hrssm=(str(runs / "hrssm"),), rssm=(str(runs / "rssm"),))
    figure(FigureConfig("vta-4", measure=True, numbers=tmp_path, sources=sources))
    kept = read(tmp_path, "vta-4", ("json", "csv"), "")
    assert [(row["model"], row["step"]) for row in kept.rows] == [(m, s) for m in ("hrssm", "rssm") for s in "12"]
    for row in kept.rows:
        bound, kl, reconstruction = (float(row[name]) for name in ("negative_elbo", "kl", "reconstruction"))
        assert bound == pytest.approx(kl + reconstruction, rel=1e-4)
    assert kept.facts["command"] == f"jumpy figure vta-4 --measure --hrssm {runs}/hrssm --rssm {runs}/rssm --seed 0"
    assert [run["trained_steps"] for run in kept.facts["runs"]] == [2, 2]
    assert kept.facts["versions"]["torch"]
    assert (tmp_path / "vta-4.png").exists()


def test_boundaries_while_training_and_where_they_fall(runs: Path, tmp_path: Path) -> None:
    config = FigureConfig("structure-prior", measure=True, numbers=tmp_path)
    data = (runs / "data",)
    with pytest.raises(ValueError, match="rssm"):
        figure(replace(config, sources=Sources(compare=(f"with={runs / 'rssm'}",), data=data)))
    figure(replace(config, sources=Sources(compare=(f"with={runs / 'hrssm'}",), data=data)))
    kept = read(tmp_path, "structure-prior", ("json", "csv"), "")
    assert len(kept.rows) == 2
    assert list(kept.facts["runs"][0]["profile"]) == [str(k) for k in range(-3, 4)]


def test_two_generations(runs: Path, tmp_path: Path) -> None:
    config = FigureConfig("vta-5", True, tmp_path / "one", sources=Sources(hrssm=(str(runs / "hrssm"),)))
    figure(config)
    kept = read(tmp_path / "one", "vta-5", ("json", "npz"), "")
    assert {name: array.shape for name, array in kept.arrays.items()} == {
        "context": (5, 32, 32, 3),
        "full": (2, 20, 32, 32, 3),
        "start": (2, 20),
        "jumpy": (2, PASSAGES, 32, 32, 3),
        "maze": (2, PASSAGES, 32, 32, 3),
    }
    assert all(array.dtype == np.uint8 for name, array in kept.arrays.items() if name != "start")
    assert kept.arrays["start"][:, 0].all()
    one, other = kept.facts["generations"]
    assert one["actions"][0] != other["actions"][0]
    assert one["cells"][0] == other["cells"][0] == kept.facts["pose"][:2]
    figure(replace(config, numbers=tmp_path / "two"))
    for name in ("vta-5.npz", "vta-5.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_other_generations(runs: Path, tmp_path: Path) -> None:
    sources = Sources(hrssm=(str(runs / "hrssm"),), seed=1)
    for name in ("vta-6", "vta-7"):
        figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=sources))
    several = read(tmp_path, "vta-6", ("json", "npz"), "").facts["generations"]
    assert len({tuple(one["actions"]) for one in several}) == len(several) == 9
    assert all(len(one[name]) == PASSAGES for one in several for name in ("hallways", "imagined", "shown"))
    same = read(tmp_path, "vta-7", ("json", "npz"), "")
    assert len({tuple(one["actions"]) for one in same.facts["generations"]}) == 1
    assert len({frames.tobytes() for frames in same.arrays["full"]}) == 6  # samples differ


def test_futures_are_legal_and_followed() -> None:
    pose = next(pose for pose in arrivals(PAPER) if Dynamics.of(PAPER).action_mask(pose[None]).sum() == 3)
    found = futures(PAPER, pose, 3)
    assert len({tuple(actions) for actions in found.tolist()}) == len(found)
    assert set(found[:, 0].tolist()) == {0, 1, 2}
    for actions in found:
        way = follow(PAPER, pose, actions)
        steps = np.abs(np.diff(np.array(way.cells), axis=0)).sum(axis=1)
        assert steps.max() == 1  # cell by cell; turns stay
        visited = [int(PAPER.hallway[y, x]) for x, y in way.cells if PAPER.hallway[y, x] >= 0]
        assert [hallway for hallway in way.hallways if hallway not in visited] == []
