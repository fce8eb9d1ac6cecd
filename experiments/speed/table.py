"""`jumpy speed`: one table of what `jumpy speed env|train|plan|demo` measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_file
from experiments.common.hardware import about_line

RESULTS = Path(__file__).parent.parent / "results"
TABLE = "speed.md"
MISSING = "not measured"


@dataclass(frozen=True)
class SpeedConfig:
    """Print the table and write it to speed.md beside the numbers.

    The numbers are made by `jumpy speed env|train|plan|demo --json FOLDER/speed_NAME.json`, on a GPU
    FOLDER/speed_train_cuda.json.
    """

    results: Path = RESULTS
    """folder of speed_env.json, speed_train.json, speed_train_cuda.json, speed_plan.json and speed_demo.json"""


def speed(config: SpeedConfig) -> None:
    """Print the table and write it.

    Raises:
        ValueError: the folder is missing or a file is no JSON object.
    """
    if not config.results.is_dir():
        raise ValueError(f"{config.results} is no folder: use --results with the folder of speed_*.json")
    names = ("env", "train", "train_cuda", "plan", "demo")
    found = {name: _read(config.results / f"speed_{name}.json") for name in names}
    text = "\n".join(["# Speed", "", *_table(found), "", *_machines(found), ""])
    print(text)
    write_file(config.results / TABLE, text.encode())


def _read(path: Path) -> dict[str, Any]:
    """What was measured; nothing where there is no file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON ({error}): measure it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no numbers: measure it again")
    return content


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Rows: what, measured, to be reached."""
    env, plan, demo = found["env"], found["plan"], found["demo"]
    minutes = demo.get("minutes", {})
    rows = [
        ("demo, total", _number(minutes.get("total"), "{:.1f} min"), "10 min, package downloads aside"),
        ("demo: collecting", _number(minutes.get("collect"), "{:.1f} min"), ""),
        ("demo: training both models", _number(minutes.get("train"), "{:.1f} min"), ""),
        ("demo: benchmark", _number(minutes.get("benchmark"), "{:.1f} min"), ""),
        ("demo: HRSSM's reward over the ceiling", _number(demo.get("reward_over_ceiling"), "{:.3f}"), "0.9"),
        ("benchmark, 5000 episodes, depth 6", _number(plan.get("benchmark_5000_s"), "{:.0f} s"), "60 s"),
        ("exhaustive tree, depth 5, one episode", _number(plan.get("decision_batch1_ms"), "{:.1f} ms"), "5 ms"),
        ("the same, 64 episodes", _number(plan.get("decision_batch64_ms"), "{:.0f} ms"), "40 ms"),
    ]
    for model in ("hrssm", "rssm"):
        for preset, where, reach in (("quick", "train", "3"), ("paper", "train", "1.7"), ("paper", "train_cuda", "10")):
            rows += _training(model, preset, where, reach, found[where])
    rows += _training("dlh", "quick", "train", "3", found["train"])
    rows += [
        ("environment with frames", _number(env.get("raycast_steps_per_s"), "{:,.0f} steps/s"), ""),
        ("  over Miniworld", _number(env.get("ratio"), "{:.0f} ×"), ""),
        ("  on one thread", _number(env.get("raycast_one_thread_steps_per_s"), "{:,.0f} steps/s"), ""),
        ("  dynamics alone", _number(env.get("dynamics_steps_per_s"), "{:,.0f} steps/s"), ""),
    ]
    return ["| what | measured | to be reached |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _training(model: str, preset: str, where: str, reach: str, measured: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of one model and preset."""
    head = f"training step, {model}, {preset}, {'one GPU' if where == 'train_cuda' else 'CPU'}"
    row = measured.get(model, {}).get(preset)
    if row is None:
        return [(head, MISSING, f"{reach} × the plain loop")]
    share = (
        f"{row['peak_share']:.0%} of the GEMM peak, {row['frames_per_s']:,.0f} frames/s, {row['peak_rss_gb']:.1f} GB"
    )
    return [
        (
            f"{head}, {row['precision']}",
            f"{row['ratio']:.2f} × ({row['step_s']:.3f} s, plain {row['plain_step_s']:.3f} s)",
            f"{reach} × the plain loop",
        ),
        ("  gradients' error; share of the peak", f"{row['gradient_error']:.0e}; {share}", ""),
        ("  loading a batch", f"{row['loading_share']:.1%}", "5 %"),
    ]


def _machines(found: dict[str, dict[str, Any]]) -> list[str]:
    """Where the numbers come from."""
    return [f"- {name}: {about_line(values)}" for name, values in found.items() if values]


def _number(value: float | None, form: str) -> str:
    """A formatted number, or that there is none."""
    return MISSING if value is None else form.format(value)
