"""The navigation rows: their file, the worst of the seeds, resuming, refusals."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig, boundary_scores, negative_bounds
from agent.training.runs import CHECKPOINT
from agent.training.trainer import Trainer
from experiments.common.bootstrap import Estimate
from experiments.common.trained_runs import load_trained
from experiments.navigation import benchmark as benchmark_module
from experiments.navigation import navigation as module
from experiments.navigation.episode_files import read_episodes
from experiments.navigation.navigation import NavigationConfig, navigation
from experiments.navigation.targets import Measured, merged, reached, targets_table, worst

CPU = torch.device("cpu")
EVALUATION = EvaluationConfig(batches=2, batch_size=2, episodes=2)


def barely_trained(data: Path, out: Path, model: Any, seed: int, variant: Any = "ours") -> Path:
    """A run of one step."""
    config = TrainConfig(data=data, out=out, model=model, variant=variant, seed=seed, batch_size=2, device="cpu")
    trainer = Trainer(config, Replay.open(data), CPU)
    trainer.restore()
    trainer.update()
    trainer.save()
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, two training seeds of both models, and a faithful run."""
    folder = tmp_path_factory.mktemp("world")
    collect(CollectConfig(folder / "data", steps=1000))
    for seed in (0, 1):
        for model in ("hrssm", "rssm"):
            barely_trained(folder / "data", folder / f"{model}-{seed}", model, seed)
    barely_trained(folder / "data", folder / "faithful", "hrssm", 1, "vta")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures have tests of their own, and so have jumps."""
    monkeypatch.setattr(benchmark_module, "plot", lambda _: None)
    monkeypatch.setattr(module, "jump_accuracy", lambda *_: [0.5, 0.4, 0.3, 0.2, 0.1])


def tiny(world: Path, out: Path, **changes: Any) -> NavigationConfig:
    """Both models, both seeds."""
    config = NavigationConfig(
        hrssm=(world / "hrssm-0", world / "hrssm-1"),
        rssm=(world / "rssm-0", world / "rssm-1"),
        data=world / "data",
        out=out / "runs",
        json=out / "results" / "navigation.json",
        episodes=4,
        first_seed=100_000,
        depth=2,
        depths=(1, 2),
        rssm_horizons=(0, 4),
        evaluation=EVALUATION,
        batch=4,
        device="cpu",
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> NavigationConfig:
    """A measurement, run once for all tests that only look."""
    config = tiny(world, tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_module, "plot", lambda _: None)
        patch.setattr(module, "jump_accuracy", lambda *_: [0.5, 0.4, 0.3, 0.2, 0.1])
        navigation(config)
    return config


def episodes(config: NavigationConfig, folder: str, name: str) -> dict[str, np.ndarray]:
    """What a benchmark behind the rows wrote."""
    return read_episodes(config.out / "ours-quick" / folder / "episodes" / f"{name}.csv")


def test_file_holds_every_row(finished: NavigationConfig) -> None:
    content = json.loads(finished.json.read_text())
    assert list(content) == ["ours", "about"]
    rows, about = content["ours"]["quick"], content["about"]["ours"]["quick"]
    gaps = ["rssm_gap_1", "rssm_gap_2"]
    scores = ["boundary_f1", "boundary_f1_exact", *(f"jump_accuracy_{k}" for k in range(1, 6)), "elbo_gap"]
    assert list(rows) == ["success", "reward_over_ceiling", "solved_in_50", *gaps, *scores]
    for row, numbers in rows.items():
        assert list(numbers) == ["value", "mean", "ci95", "seeds"]
        assert len(numbers["seeds"]) == 2
        assert numbers["value"] == (max if row == "elbo_gap" else min)(numbers["seeds"])
        assert numbers["mean"] == pytest.approx(sum(numbers["seeds"]) / 2)
        if numbers["ci95"] is not None:
            assert numbers["ci95"][0] <= numbers["value"] <= numbers["ci95"][1]
    assert (about["episodes"], about["layout"], about["first_seed"]) == (4, "paper", 100_000)
    assert about["versions"]["torch"] == torch.__version__
    assert [run["seed"] for run in about["hrssm"]] == [0, 1]


def test_rows_are_those_of_the_episodes(finished: NavigationConfig) -> None:
    rows = json.loads(finished.json.read_text())["ours"]["quick"]
    for number in (0, 1):
        agent = episodes(finished, f"seed-{number}/hrssm-tree@2", "hrssm")
        ceiling = episodes(finished, f"seed-{number}/hrssm-tree@2", "shortest-path")
        assert rows["success"]["seeds"][number] == pytest.approx(agent["success"].mean())
        over = agent["reward"].mean() / ceiling["reward"].mean()
        assert rows["reward_over_ceiling"]["seeds"][number] == pytest.approx(over)
        soon = (agent["reward"] >= 50).sum() / (ceiling["reward"] >= 50).sum()  # the reward is 100 minus the steps
        assert rows["solved_in_50"]["seeds"][number] == pytest.approx(soon)
        # RSSM searches exhaustively at depth 1 and shoots over 4 steps with the budget of depth 2.
        ours = {1: episodes(finished, f"seed-{number}/hrssm-tree@1", "hrssm"), 2: agent}
        for depth, planner, most in ((1, "tree", 3), (2, "shooting4", 12)):
            theirs = episodes(finished, f"seed-{number}/rssm-{planner}@{depth}", "rssm")
            gap = (ours[depth]["reward"] - theirs["reward"]).mean()
            assert rows[f"rssm_gap_{depth}"]["seeds"][number] == pytest.approx(gap)
            for model in (ours[depth], theirs):
                assert (model["transitions"] <= most * model["decisions"]).all()


def test_gaps_may_be_measured_on_the_first_episodes_alone(world: Path, tmp_path: Path) -> None:
    config = tiny(world, tmp_path, data=None, depth=2, depths=(2,), rssm_horizons=(4,), episodes=3, gap_episodes=2)
    config = replace(config, hrssm=config.hrssm[:1], rssm=config.rssm[:1])
    rows = navigation(config)
    agent = episodes(config, "seed-0/hrssm-tree@2", "hrssm")
    theirs = episodes(config, "seed-0/rssm-shooting4@2", "rssm")
    assert (len(agent["reward"]), len(theirs["reward"])) == (3, 2)
    assert rows["success"]["value"] == pytest.approx(agent["success"].mean())
    assert rows["rssm_gap_2"]["value"] == pytest.approx((agent["reward"][:2] - theirs["reward"]).mean())
    assert json.loads(config.json.read_text())["about"]["ours"]["quick"]["gap_episodes"] == 2


def test_boundaries_and_bounds_of_the_test_split(finished: NavigationConfig) -> None:
    assert finished.data is not None
    rows, replay = json.loads(finished.json.read_text())["ours"]["quick"], Replay.open(finished.data)
    one, other = load_trained(finished.hrssm[0]), load_trained(finished.rssm[0])
    scores = boundary_scores(one.model, replay, CPU, 2)
    assert rows["boundary_f1"]["seeds"][0] == scores["boundary_f1"]
    assert rows["boundary_f1_exact"]["seeds"][0] == scores["boundary_f1_exact"]
    models = {"hrssm": (one.model, one.step), "rssm": (other.model, other.step)}
    bounds = {name: values.mean() for name, values in negative_bounds(models, replay, EVALUATION).items()}
    assert rows["elbo_gap"]["seeds"][0] == pytest.approx((bounds["hrssm"] - bounds["rssm"]) / bounds["rssm"])


def test_both_models_see_the_same_windows_and_contexts(finished: NavigationConfig, monkeypatch) -> None:
    assert finished.data is not None
    one, other = load_trained(finished.hrssm[0]), load_trained(finished.rssm[0])
    seen: dict[str, list] = {"hrssm": [], "rssm": []}
    for run, calls in ((one, seen["hrssm"]), (other, seen["rssm"])):
        loss = run.model.loss

        def spy(batch, step, loss=loss, calls=calls):
            state = torch.get_rng_state()
            calls.append((batch.observation[:, :25], torch.randint(1, 6, (2,))))
            torch.set_rng_state(state)
            return loss(batch, step)

        monkeypatch.setattr(run.model, "loss", spy)
    models = {"hrssm": (one.model, one.step), "rssm": (other.model, other.step)}
    negative_bounds(models, Replay.open(finished.data), EVALUATION)
    for (frames, context), (its_frames, its_context) in zip(seen["hrssm"], seen["rssm"], strict=True):
        assert torch.equal(frames, its_frames)
        assert torch.equal(context, its_context)


def test_worst_seed_by_hand() -> None:
    seeds = [Estimate(0.9, 0.8, 1.0), Estimate(0.5, 0.4, 0.6), Estimate(0.7, 0.6, 0.8)]
    numbers = {"value": 0.5, "mean": pytest.approx(0.7), "ci95": [0.4, 0.6], "seeds": [0.9, 0.5, 0.7]}
    assert worst("success", seeds) == numbers
    assert worst("elbo_gap", seeds) == numbers | {"value": 0.9, "ci95": [0.8, 1.0]}
    undefined = Estimate(math.nan, math.nan, math.nan)
    for row in ("success", "elbo_gap"):
        numbers = {"value": None, "mean": None, "ci95": None, "seeds": [0.9, None]}
        assert worst(row, [seeds[0], undefined]) == numbers
        assert reached(row, numbers) is False


@pytest.mark.parametrize(
    ("row", "value", "ends", "verdict"),
    [
        ("success", 0.995, [0.99, 1.0], True),
        ("success", 0.994, [0.99, 1.0], False),
        ("elbo_gap", 0.02, [0.0, 0.1], True),
        ("elbo_gap", 0.021, [0.0, 0.1], False),
        ("rssm_gap_3", 1.0, [0.1, 2.0], True),
        ("rssm_gap_3", 1.0, [0.0, 2.0], False),
        ("jump_accuracy_1", 0.99, None, True),
        ("jump_accuracy_3", 0.99, None, None),
    ],
)
def test_what_is_reached(row: str, value: float, ends: list[float] | None, verdict: bool | None) -> None:
    numbers = {"value": value, "mean": value, "ci95": ends, "seeds": [value]}
    assert reached(row, numbers) is verdict
    assert targets_table({row: numbers}).endswith({True: "yes", False: "NO", None: "-"}[verdict])


def test_other_variants_and_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "navigation.json"
    before = {"ours": {"paper": {"success": {"value": 1.0}}}, "vta": {"quick": {"success": {"value": 0.2}}}}
    path.write_text(json.dumps(before))
    new = Measured("ours", "quick", {"episodes": 5}, {"success": {"value": 0.9}})
    content = merged(path, new, overwrite=False)
    assert content["vta"] == before["vta"]
    assert content["ours"] == before["ours"] | {"quick": {"success": {"value": 0.9}}}
    path.write_text(json.dumps(content))
    more = replace(new, about={"episodes": 5, "depths": [1]}, rows={"rssm_gap_1": {"value": 2.0}})
    content = merged(path, more, overwrite=False)
    assert list(content["ours"]["quick"]) == ["success", "rssm_gap_1"]
    assert content["about"]["ours"]["quick"] == {"episodes": 5, "depths": [1]}
    other = replace(new, about={"episodes": 6})
    with pytest.raises(ValueError, match="holds rows of ours, quick with episodes 5, asked for is 6"):
        merged(path, other, overwrite=False)
    assert merged(path, other, overwrite=True)["about"]["ours"]["quick"] == {"episodes": 6}


@pytest.mark.parametrize("text", ["[]", "{", "\ud800"])
def test_file_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "navigation.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match="is no JSON file of rows: choose another --json"):
        merged(path, Measured("ours", "quick", {}), overwrite=True)


def test_rows_without_partners_and_data_are_left_out(world: Path, tmp_path: Path) -> None:
    config = tiny(world, tmp_path, hrssm=(world / "hrssm-0",), rssm=(), data=None, depth=1, episodes=3)
    jumps = [f"jump_accuracy_{k}" for k in range(1, 6)]
    assert list(navigation(config)) == ["success", "reward_over_ceiling", "solved_in_50", *jumps]
    faithful = replace(config, hrssm=(world / "faithful",))
    navigation(faithful)
    assert list(json.loads(config.json.read_text())) == ["ours", "about", "vta"]


class Killed(Exception):
    """Stands for a kill."""


def test_killed_measurement_goes_on_with_the_same_rows(finished: NavigationConfig, tmp_path: Path, monkeypatch) -> None:
    config = replace(finished, out=tmp_path / "runs", json=tmp_path / "navigation.json")
    navigate, calls = benchmark_module.navigate, []

    def until_the_fifteenth(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 15:  # of 4 benchmarks a seed with 3 agents each: the end of the second seed's first
            raise Killed
        return navigate(*arguments, **options)

    monkeypatch.setattr(benchmark_module, "navigate", until_the_fifteenth)
    with pytest.raises(Killed):
        navigation(config)
    assert not config.json.exists()
    calls += [()] * 15  # no second kill
    navigation(config)
    assert len(calls) - 15 == 24 + 1  # nothing twice but what was cut off
    expected = json.loads(finished.json.read_text())
    assert json.loads(config.json.read_text()) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hrssm": ("hrssm-0", "faithful")}, r"need the same variant, got ours \(.*hrssm-0\), vta \(.*faithful\)"),
        ({"hrssm": ("hrssm-0", "hrssm-0")}, r"runs of hrssm need different training seeds, got \[0, 0\]"),
        ({"hrssm": ("hrssm-0", "rssm-1")}, r"rssm-1 is a run of rssm: give a run of hrssm"),
        ({"hrssm": ("hrssm-0",)}, r"--rssm needs a run for each of --hrssm, got 2 and 1"),
        ({"hrssm": ("hrssm-0", "nowhere")}, r"there is no run .*nowhere"),
        ({"first_seed": 7}, r"holds rows of ours, quick with first_seed 100000, asked for is 7"),
        ({"depths": (0, 1)}, r"need different numbers from 1 up, got 2 and \[0, 1\]"),
        ({"gap_episodes": 5}, r"--gap-episodes must be from 1 to the 4 of --episodes, got 5"),
        ({"rssm_horizons": (1, 2, 3)}, r"or one for each of the 2 depths, got \[1, 2, 3\]"),
    ],
)
def test_what_does_not_belong_together_is_refused(finished: NavigationConfig, change: dict, message: str) -> None:
    if "hrssm" in change:
        change = {"hrssm": tuple(finished.hrssm[0].parent / name for name in change["hrssm"])}
    before = {path: path.read_bytes() for path in finished.out.parent.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        navigation(replace(finished, **change))
    assert before == {path: path.read_bytes() for path in finished.out.parent.rglob("*") if path.is_file()}


def test_data_of_another_maze_and_other_likelihoods_are_refused(
    finished: NavigationConfig, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(CollectConfig(tmp_path / "other", steps=1000, layout="random-3"))
    with pytest.raises(ValueError, match=r"layout random-3, .* was trained on layout paper"):
        navigation(replace(finished, data=tmp_path / "other"))
    with pytest.raises(ValueError, match=r"need the same layout, got paper \(.*\), random-3 \("):
        elsewhere = barely_trained(tmp_path / "other", tmp_path / "elsewhere", "hrssm", 5)
        navigation(replace(finished, hrssm=(world / "hrssm-0", elsewhere)))
    assert (elsewhere / CHECKPOINT).exists()
    load = module.load_trained

    def narrow(path, kind, device, data):
        run = load(path, kind, device, data)
        options = replace(run.model.config.options, sigma=0.3 if kind == "rssm" else 1.0)
        run.model.config = replace(run.model.config, options=options)
        return run

    monkeypatch.setattr(module, "load_trained", narrow)
    with pytest.raises(ValueError, match=r"has sigma 1\.0, .* 0\.3.*bounds"):
        navigation(finished)
