"""The navigation rows: what they are measured from, resuming, errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.replay import Replay
from agent.training.boundary_scores import boundary_scores
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig, negative_bounds
from agent.training.runs import CHECKPOINT
from agent.training.trainer import Trainer
from experiments.common.trained_runs import load_trained
from experiments.navigation import navigation as module
from experiments.navigation.episode_files import read_episodes, read_summary
from experiments.navigation.navigation import NavigationConfig, navigation
from experiments.navigation.planning import planner_facts
from experiments.navigation.tasks import MazeTask
from planners.shooting import Shooting
from planners.tree import TreeSearch
from world_models.hrssm.hrssm import HRSSM
from world_models.interface import Segmenting, Trainable

CPU = torch.device("cpu")
EVALUATION = EvaluationConfig(batches=2, batch_size=2, episodes=2)
FRAMES = {"frame_accuracy_1": 0.5, "one_hallway": 0.25, "skips_hallway": 0.5}


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
    """Figures have tests of their own, and so have jumps and frames."""
    give_jumps(monkeypatch)


def give_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "jump_accuracy", lambda *_, **__: [0.5, 0.4, 0.3, 0.2, 0.1])
    monkeypatch.setattr(module, "imagined_frames", lambda *_: FRAMES)


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
        hrssm_planner=TreeSearch(depth=2),
        rssm_planner=Shooting(horizon=4),
        budgets=(3, 12),
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
        give_jumps(patch)
        navigation(config)
    return config


def episodes(config: NavigationConfig, folder: str, name: str) -> dict[str, np.ndarray]:
    """What a benchmark behind the rows wrote."""
    run = config.out / "ours-quick" / folder
    return read_episodes(run, name, read_summary(run))


def test_file_holds_every_row(finished: NavigationConfig) -> None:
    content = json.loads(finished.json.read_text())
    assert list(content) == ["ours", "about", "sha256"]
    rows, about = content["ours"]["quick"], content["about"]["ours"]["quick"]
    gaps = ["rssm_gap_3", "rssm_gap_12"]
    scores = ["boundary_f1", "boundary_f1_exact", *(f"jump_accuracy_{k}" for k in range(1, 6)), *FRAMES, "elbo_gap"]
    assert list(rows) == ["success", "reward_over_ceiling", "solved_in_50", *gaps, *scores]
    for row, numbers in rows.items():
        assert list(numbers) == ["value", "mean", "ci95", "seeds"]
        assert len(numbers["seeds"]) == 2
        assert numbers["value"] == (max if row == "elbo_gap" else min)(numbers["seeds"])
        assert numbers["mean"] == pytest.approx(sum(numbers["seeds"]) / 2)
        if numbers["ci95"] is not None:
            assert numbers["ci95"][0] <= numbers["value"] <= numbers["ci95"][1]
    assert (about["episodes"], about["layout"], about["first_seed"]) == (4, "paper", 100_000)
    assert about["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert [run["seed"] for run in about["hrssm"]] == [0, 1]
    tree, shooting = TreeSearch(depth=1), Shooting(horizon=4, transitions=3)
    assert about["rssm_gap_3"] == {"hrssm": planner_facts(tree), "rssm": planner_facts(shooting)}
    assert about["planner"] == planner_facts(TreeSearch(depth=2))


def test_rows_are_those_of_the_episodes(finished: NavigationConfig) -> None:
    rows = json.loads(finished.json.read_text())["ours"]["quick"]
    for number in (0, 1):
        agent = episodes(finished, f"seed-{number}/hrssm@12", "hrssm@12")
        ceiling = episodes(finished, f"seed-{number}/hrssm@12", "shortest-path")
        assert rows["success"]["seeds"][number] == pytest.approx(agent["success"].mean())
        over = agent["reward"].mean() / ceiling["reward"].mean()
        assert rows["reward_over_ceiling"]["seeds"][number] == pytest.approx(over)
        soon = (agent["reward"] >= 50).sum() / (ceiling["reward"] >= 50).sum()  # the reward is 100 minus the steps
        assert rows["solved_in_50"]["seeds"][number] == pytest.approx(soon)
        ours = {3: episodes(finished, f"seed-{number}/hrssm@3", "hrssm@3"), 12: agent}
        for budget in (3, 12):
            theirs = episodes(finished, f"seed-{number}/rssm@{budget}", f"rssm@{budget}")
            gap = (ours[budget]["reward"] - theirs["reward"]).mean()
            assert rows[f"rssm_gap_{budget}"]["seeds"][number] == pytest.approx(gap)
            assert (theirs["transitions"] == budget * theirs["decisions"]).all()
            assert (ours[budget]["transitions"] <= budget * ours[budget]["decisions"]).all()


def test_calls_with_other_planners_of_rssm_fill_one_file(world: Path, tmp_path: Path) -> None:
    one = tiny(world, tmp_path, data=None, episodes=3, budgets=(3,), rssm_planner=TreeSearch())
    one = replace(one, hrssm=one.hrssm[:1], rssm=one.rssm[:1])
    other = replace(one, budgets=(12,), rssm_planner=Shooting(horizon=4))
    gaps = navigation(one) | navigation(other)
    content = json.loads(one.json.read_text())
    assert {row: content["ours"]["quick"][row] for row in gaps} == gaps
    assert {"rssm_gap_3", "rssm_gap_12"} <= set(gaps)
    about = content["about"]["ours"]["quick"]
    assert [about[f"rssm_gap_{budget}"]["rssm"]["kind"] for budget in (3, 12)] == ["tree", "shooting"]
    with pytest.raises(ValueError, match=r"rssm_gap_12.rssm.kind shooting, asked for is tree.*--overwrite"):
        navigation(replace(other, rssm_planner=TreeSearch()))


def test_gaps_may_be_measured_on_the_first_episodes_alone(world: Path, tmp_path: Path) -> None:
    config = tiny(world, tmp_path, data=None, budgets=(12,), episodes=3, gap_episodes=2)
    config = replace(config, hrssm=config.hrssm[:1], rssm=config.rssm[:1])
    rows = navigation(config)
    agent = episodes(config, "seed-0/hrssm@12", "hrssm@12")
    theirs = episodes(config, "seed-0/rssm@12", "rssm@12")
    assert (len(agent["reward"]), len(theirs["reward"])) == (3, 2)
    assert rows["success"]["value"] == pytest.approx(agent["success"].mean())
    assert rows["rssm_gap_12"]["value"] == pytest.approx((agent["reward"][:2] - theirs["reward"]).mean())
    assert json.loads(config.json.read_text())["about"]["ours"]["quick"]["gap_episodes"] == 2


def test_boundaries_and_bounds_of_the_test_split(finished: NavigationConfig) -> None:
    assert finished.data is not None
    rows, replay = json.loads(finished.json.read_text())["ours"]["quick"], Replay.open(finished.data)
    one, other = load_trained(finished.hrssm[0]), load_trained(finished.rssm[0])
    scores = boundary_scores(one.able(HRSSM), replay, CPU, 2)
    assert rows["boundary_f1"]["seeds"][0] == scores["boundary_f1"]
    assert rows["boundary_f1_exact"]["seeds"][0] == scores["boundary_f1_exact"]
    models = {"hrssm": (one.able(Trainable), one.step), "rssm": (other.able(Trainable), other.step)}
    bounds = {name: values.mean() for name, values in negative_bounds(models, replay, EVALUATION).items()}
    assert rows["elbo_gap"]["seeds"][0] == pytest.approx((bounds["hrssm"] - bounds["rssm"]) / bounds["rssm"], rel=1e-4)


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
    models = {"hrssm": (one.able(Trainable), one.step), "rssm": (other.able(Trainable), other.step)}
    negative_bounds(models, Replay.open(finished.data), EVALUATION)
    for (frames, context), (its_frames, its_context) in zip(seen["hrssm"], seen["rssm"], strict=True):
        assert torch.equal(frames, its_frames)
        assert torch.equal(context, its_context)


def test_rows_without_partners_and_data_are_left_out(world: Path, tmp_path: Path) -> None:
    config = tiny(
        world, tmp_path, hrssm=(world / "hrssm-0",), rssm=(), data=None, hrssm_planner=TreeSearch(depth=1), episodes=3
    )
    jumps = [f"jump_accuracy_{k}" for k in range(1, 6)]
    assert list(navigation(config)) == ["success", "reward_over_ceiling", "solved_in_50", *jumps, *FRAMES]
    faithful = replace(config, hrssm=(world / "faithful",))
    navigation(faithful)
    assert list(json.loads(config.json.read_text())) == ["ours", "about", "vta", "sha256"]


def test_dlh_is_one_more_model_that_jumps_over_bends(world: Path, tmp_path: Path, monkeypatch) -> None:
    asked = []

    def half(*_, over_bends: bool) -> list[float]:
        asked.append(over_bends)
        return [0.5] * 5

    monkeypatch.setattr(module, "jump_accuracy", half)
    run = barely_trained(world / "data", tmp_path / "dlh-0", "dlh", 0)
    config = tiny(world, tmp_path, hrssm=(world / "hrssm-0",), rssm=(), episodes=3)
    navigation(config)
    before = json.loads(config.json.read_text())
    config = replace(config, hrssm=(), dlh=(run,), rssm=(world / "rssm-0",), budgets=(3,))
    rows = navigation(config)
    content = json.loads(config.json.read_text())
    assert asked == [False, True]
    assert content["ours"] == before["ours"]
    assert content["dlh-ours"]["quick"] == rows
    assert "elbo_gap" not in rows  # its windows are others
    assert content["about"]["dlh-ours"]["quick"]["dlh"][0]["seed"] == 0
    assert list(content["about"]["dlh-ours"]["quick"]["rssm_gap_3"]) == ["dlh", "rssm"]
    assert config.data is not None
    model, replay = load_trained(run).able(Segmenting), Replay.open(config.data)
    assert rows["boundary_f1_exact"]["seeds"] == [boundary_scores(model, replay, CPU, 2, True)["boundary_f1_exact"]]
    assert rows["passage_f1_exact"]["seeds"] == [boundary_scores(model, replay, CPU, 2)["boundary_f1_exact"]]


class Killed(Exception):
    """Stands for a kill."""


def test_killed_measurement_goes_on_with_the_same_rows(finished: NavigationConfig, tmp_path: Path, monkeypatch) -> None:
    config = replace(finished, out=tmp_path / "runs", json=tmp_path / "navigation.json")
    navigate, calls = MazeTask.navigate, []

    def until_the_fifteenth(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 15:  # of 4 benchmarks a seed with 3 agents each: the end of the second seed's first
            raise Killed
        return navigate(*arguments, **options)

    monkeypatch.setattr(MazeTask, "navigate", until_the_fifteenth)
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
        ({"hrssm": ()}, r"one model .*0 runs of --hrssm and 0 of --dlh"),
        ({"dlh": (Path("one"),)}, r"one model .*2 runs of --hrssm and 1 of --dlh"),
        ({"hrssm": ("hrssm-0",)}, r"--rssm needs a run for each of --hrssm, got 2 and 1"),
        ({"hrssm": ("hrssm-0", "nowhere")}, r"there is no run .*nowhere"),
        ({"first_seed": 7}, r"holds rows of ours, quick with first_seed 100000, asked for is 7"),
        ({"budgets": (0, 12)}, r"--budgets.*from 1 up, got \[0, 12\]"),
        ({"budgets": (2, 12)}, r"tree.*at least 3.*got 2"),
        ({"gap_episodes": 5}, r"--gap-episodes.*4, got 5"),
    ],
)
def test_what_does_not_belong_together_is_an_error(finished: NavigationConfig, change: dict, message: str) -> None:
    if "hrssm" in change:
        change = {"hrssm": tuple(finished.hrssm[0].parent / name for name in change["hrssm"])}
    before = {path: path.read_bytes() for path in finished.out.parent.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        navigation(replace(finished, **change))
    assert before == {path: path.read_bytes() for path in finished.out.parent.rglob("*") if path.is_file()}


def test_data_of_another_maze_and_other_likelihoods_are_an_error(
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
        model = run.able(Trainable)
        options = replace(model.config.options, sigma=0.3 if kind == "rssm" else 1.0)
        model.config = replace(model.config, options=options)
        return run

    monkeypatch.setattr(module, "load_trained", narrow)
    with pytest.raises(ValueError, match=r"has sigma 1\.0, .* 0\.3.*bounds"):
        navigation(finished)
