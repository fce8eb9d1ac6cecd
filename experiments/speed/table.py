"""`jumpy speed`: one table of what `jumpy speed env|train|plan|demo` measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.system.atomic_files import locked, write_file
from experiments.common.hardware import about_line
from experiments.common.json_files import damage_named, read_json
from experiments.common.results import RESULTS, check_not_installed

TABLE = "speed.md"
FILES = ("env", "train", "plan", "demo", "gpu")
Row = tuple[str, str, str]  # what, measured, target


@dataclass(frozen=True)
class SpeedConfig:
    """Print the table and write it to speed.md.

    The numbers are made by `jumpy speed env|train|plan|demo --json FOLDER/speed_NAME.json`, and those of a GPU by
    `jumpy speed gpu --out FOLDER`.
    """

    results: Path = RESULTS
    """folder of speed_env.json, speed_train.json, speed_plan.json, speed_demo.json and speed_gpu.json"""
    out: Path | None = None
    """folder of speed.md; default: that of the numbers"""


def speed(config: SpeedConfig) -> None:
    """Print the table and write it.

    Raises:
        ValueError: if the folder is missing or a file is damaged.
    """
    out = config.out or config.results
    check_not_installed(out, "--out")
    if not config.results.is_dir():
        raise ValueError(f"{config.results} is not a folder: use --results with the folder of speed_*.json")
    paths = {name: config.results / f"speed_{name}.json" for name in FILES}
    found: dict[str, dict[str, Any]] = {name: {} for name in FILES}
    for name, path in paths.items():
        if path.exists():
            values = read_json(path, remedy := "measure it again, or delete it")
            with damage_named(path, remedy):
                _rows(found | {name: values}), about_line(values)
            found[name] = values
    table = [f"| {' | '.join(row)} |" for row in _rows(found)]
    machines = [f"- {name}: {about_line(values)}" for name, values in found.items() if values]
    head = ["# Speed", "", "| what | measured | to be reached |", "|---|---|---|"]
    text = "\n".join([*head, *table, "", *machines, ""])
    print(text)
    with locked(out, wait=True):
        write_file(out / TABLE, text.encode())


def _rows(found: dict[str, dict[str, Any]]) -> list[Row]:
    """The rows of the table."""
    env, plan, demo = found["env"], found["plan"], found["demo"]
    minutes = demo.get("minutes", {})
    rows = [
        ("demo, total", _cell("{:.1f} min", minutes.get("total")), "10 min, package downloads aside"),
        ("demo: collecting", _cell("{:.1f} min", minutes.get("collect")), ""),
        ("demo: training both models", _cell("{:.1f} min", minutes.get("train")), ""),
        ("demo: benchmark", _cell("{:.1f} min", minutes.get("benchmark")), ""),
        ("demo: HRSSM's reward over the ceiling", _cell("{:.3f}", demo.get("reward_over_ceiling")), "0.9"),
        ("benchmark, 5000 episodes, depth 6", _cell("{:.0f} s", plan.get("benchmark_5000_s")), "60 s"),
        ("exhaustive tree, depth 5, one episode", _cell("{:.1f} ms", plan.get("decision_batch1_ms")), "5 ms"),
        ("the same, 64 episodes", _cell("{:.0f} ms", plan.get("decision_batch64_ms")), "40 ms"),
    ]
    for model in ("hrssm", "rssm"):
        for preset, reach in (("quick", "3"), ("paper", "1.7")):
            rows += _training(model, preset, reach, found["train"])
        rows += _gpu_training(model, found["gpu"])
    rows += [*_training("dlh", "quick", "3", found["train"]), *_gpu_training("dlh", found["gpu"])]
    return [
        *rows,
        ("environment with frames", _cell("{:,.0f} steps/s", env.get("raycast_steps_per_s")), ""),
        ("  over Miniworld", _cell("{:.0f} ×", env.get("ratio")), ""),
        ("  on one thread", _cell("{:,.0f} steps/s", env.get("raycast_one_thread_steps_per_s")), ""),
        ("  dynamics alone", _cell("{:,.0f} steps/s", env.get("dynamics_steps_per_s")), ""),
    ]


def _training(model: str, preset: str, reach: str, found: dict[str, Any]) -> list[Row]:
    """The rows of one model and preset on a CPU."""
    head = f"training step, {model}, {preset}, CPU"
    row, reach = found.get(model, {}).get(preset), f"{reach} × the plain loop"
    if row is None:
        return [(head, _cell("", None), reach)]
    ratio = "{ratio:.2f} × ({step_s:.3f} s, plain {plain_step_s:.3f} s)"
    share = "{peak_share:.0%} of the GEMM peak, {frames_per_s:,.0f} frames/s, {peak_rss_gb:.1f} GB"
    return [
        (f"{head}, {row['precision']}", ratio.format(**row), reach),
        ("  gradients' error; share of the peak", f"{{gradient_error:.0e}}; {share}".format(**row), ""),
        ("  loading a batch", "{loading_share:.1%}".format(**row), "5 %"),
    ]


def _gpu_training(model: str, found: dict[str, Any]) -> list[Row]:
    """The row of a model at the paper's sizes on a GPU, from a CUDA graph where it can be captured."""
    step, plain = (found.get(kind, {}).get(model, {}).get("paper", {}) for kind in ("step", "plain"))
    ours, loops = step.get("graph_step_s", step.get("step_s")), plain.get("plain_step_s")
    head, reach = f"training step, {model}, paper, one GPU", "10 × the plain loop"
    if ours is None or loops is None:
        return [(head, _cell("", None), reach)]
    how = ", from a CUDA graph" if "graph_step_s" in step else ""
    return [(f"{head}, {found['precision']}{how}", f"{loops / ours:.1f} × ({ours:.3f} s, plain {loops:.3f} s)", reach)]


def _cell(form: str, value: float | None) -> str:
    """A formatted number, if it was measured."""
    return "not measured" if value is None else form.format(value)
