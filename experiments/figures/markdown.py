"""A table of results as Markdown: one line per model and data set, for every metric our number and the paper's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.common.numbers import Numbers
from experiments.video.floors import FLOORS
from experiments.video.metric_files import DIFFERENCE

EMPTY = "–"


class Column(NamedTuple):
    """How a metric is shown."""

    title: str
    form: str


METRICS = {
    "parameters": Column("parameters", "million"),
    "ssim": Column("SSIM ↑", ".3f"),
    "psnr": Column("PSNR ↑", ".2f"),
    "lpips": Column("LPIPS ↓", ".3f"),
    "levels_used": Column("levels used", ".3f"),
    "one_plus_change": Column("1 + share of changes", ".3f"),
    "kl": Column("KL", ".1f"),
    "kl_e": Column("KL of e", ".2f"),
    "p_change": Column("p(e² = 1), change", ".3f"),
    "generator_change": Column("generator's", ".3f"),
    "p_static": Column("p(e² = 1), static", ".3f"),
    "generator_static": Column("generator's", ".3f"),
    **{f"kl_{level}": Column(f"KL (L{level})", ".2f") for level in range(1, 10)},
    "kl_share_above_2": Column("share of levels above 2", ".2%"),
    "f1": Column("F1 within a frame", ".3f"),
    "f1_chance": Column("by chance", ".3f"),
    "f1_exact": Column("F1 exact", ".3f"),
    "precision": Column("precision", ".3f"),
    "recall": Column("recall", ".3f"),
}
"""Metrics in the order of their columns."""


def results_table(numbers: Numbers, title: str, notes: str) -> dict[str, str]:
    """The table as Markdown.

    Args:
        numbers: their facts hold `rows` and how they were made.
        title: stands above the table.
        notes: stand below it.
    """
    content, rows = numbers.facts, numbers.facts["rows"]
    metrics = [name for name in METRICS if any(row["metric"] == name for row in rows)]
    published = {name for name in metrics if any(row["published"] for row in rows if row["metric"] == name)}
    head = ["data set", "model"]
    for name in metrics:
        head += [METRICS[name].title, *(["paper"] if name in published else [])]
    lines = [[*head, "trained"], ["---"] * (len(head) + 1)]
    places = dict.fromkeys((row["dataset"], row["model"]) for row in rows)
    for dataset, model in sorted(places, key=_order(rows)):
        found = {row["metric"]: row for row in rows if (row["dataset"], row["model"]) == (dataset, model)}
        line = [dataset, model]
        for name in metrics:
            line += [_ours(name, found.get(name)), *([_paper(name, found.get(name))] if name in published else [])]
        lines.append([*line, _trained(next(iter(found.values())))])
    drawn = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    made = f"Made by `{content['command']}`, commit {content['commit']}."
    text = f"# {title}\n\n{drawn}\n{notes} In brackets: 95 % bootstrap intervals over test videos.\n\n{made}\n"
    return {"md": text}


def _order(rows: list[dict[str, Any]]) -> Callable[[tuple[str, str]], tuple[int, int]]:
    """Data sets as they come; of each first the models, then the fixed baselines, then differences."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    return lambda place: (datasets.index(place[0]), 2 if DIFFERENCE in place[1] else place[1] in FLOORS)


def _ours(name: str, row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return EMPTY
    if isinstance(row["value"], str):
        return row["value"]
    ends = "" if row["ci95"] is None else f" [{', '.join(_formatted(name, end) for end in row['ci95'])}]"
    return _formatted(name, row["value"]) + ends


def _paper(name: str, row: dict[str, Any] | None) -> str:
    """The paper's number as the paper writes it."""
    if row is None or row["published"] is None:
        return EMPTY
    if name == "parameters":
        return _formatted(name, row["published"])
    deviation = row.get("published_deviation")
    return str(row["published"]) + ("" if deviation is None else f" ± {deviation}")


def _formatted(name: str, value: float | int) -> str:
    form = METRICS[name].form
    return f"{value / 1e6:.1f}M" if form == "million" else f"{value:{form}}"


def _trained(row: dict[str, Any]) -> str:
    """How long a model was trained, and on what, or how much longer than another; a floor is not."""
    if row["trained_minutes"] is None:
        return EMPTY if row["value"] is None else "not recorded"
    if not row["trained_minutes"]:
        return EMPTY
    if row["device"] is None:
        return f"{row['trained_minutes']:+.1f} min"
    return f"{row['trained_minutes']:.0f} min, {row['device']}"
