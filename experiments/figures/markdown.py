"""A table of results as Markdown: one line per model and data set, with our number and the paper's for every metric."""

from __future__ import annotations

from typing import Any

from experiments.common.numbers import Numbers
from experiments.video.floors import FLOORS
from experiments.video.rows import DIFFERENCE, EARLY

EMPTY = "–"

METRICS = {
    "parameters": ("parameters", "million"),
    "ssim": ("SSIM ↑", ".3f"),
    "ssim_early": (f"of frames 1 to {EARLY}", ".3f"),
    "psnr": ("PSNR ↑", ".2f"),
    "lpips": ("LPIPS ↓", ".3f"),
    "levels_used": ("levels used", ".3f"),
    "one_plus_change": ("1 + fraction of changes", ".3f"),
    "kl": ("KL", ".1f"),
    "kl_e": ("KL of e", ".2f"),
    "p_change": ("p(e² = 1), change", ".3f"),
    "generator_change": ("generator's", ".3f"),
    "p_static": ("p(e² = 1), static", ".3f"),
    "generator_static": ("generator's", ".3f"),
    **{f"kl_{level}": (f"KL (L{level})", ".2f") for level in range(1, 10)},
    "kl_share_above_2": ("fraction above level 2", ".2%"),
    "f1": ("F1 within one frame", ".3f"),
    "f1_chance": ("by chance", ".3f"),
    "f1_exact": ("F1 exact", ".3f"),
    "precision": ("precision", ".3f"),
    "recall": ("recall", ".3f"),
}
"""Metrics in the order of their columns: title and format."""
NOTHING = {"value": None, "published": None}


def results_table(numbers: Numbers, title: str, notes: str) -> dict[str, str]:
    """The table as Markdown.

    Args:
        numbers: their facts hold `rows` and how they were made.
        title: stands above the table.
        notes: stand below it.
    """
    rows = numbers.facts["rows"]
    metrics = [name for name in METRICS if any(row["metric"] == name for row in rows)]
    published = {row["metric"] for row in rows if row["published"]}
    head = ["data set", "model"]
    for name in metrics:
        head += [METRICS[name][0], *(["paper"] if name in published else [])]
    lines = [[*head, "trained"], ["---"] * (len(head) + 1)]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))

    def order(place: tuple[str, str]) -> tuple[int, int]:
        """Data sets as they come; within each, models, then fixed baselines, then differences."""
        return datasets.index(place[0]), 2 if DIFFERENCE in place[1] else place[1] in FLOORS

    for dataset, model in sorted(dict.fromkeys((row["dataset"], row["model"]) for row in rows), key=order):
        found = {row["metric"]: row for row in rows if (row["dataset"], row["model"]) == (dataset, model)}
        line = [dataset, model]
        for name in metrics:
            row = found.get(name, NOTHING)
            line += [_ours(name, row), *([_paper(name, row)] if name in published else [])]
        lines.append([*line, _trained(next(iter(found.values())))])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    made = f"Made by `{numbers.facts['command']}`, commit {numbers.facts['commit']}."
    text = f"# {title}\n\n{table}\n{notes} In brackets: 95 % bootstrap intervals over test videos.\n\n{made}\n"
    return {"md": text}


def _ours(name: str, row: dict[str, Any]) -> str:
    if row["value"] is None or isinstance(row["value"], str):
        return row["value"] or EMPTY
    ends = "" if row["ci95"] is None else f" [{', '.join(_formatted(name, end) for end in row['ci95'])}]"
    return _formatted(name, row["value"]) + ends


def _paper(name: str, row: dict[str, Any]) -> str:
    """The paper's number as the paper writes it."""
    if row["published"] is None:
        return EMPTY
    if name == "parameters":
        return _formatted(name, row["published"])
    return f"{row['published']}" + (f" ± {row['published_deviation']}" if "published_deviation" in row else "")


def _formatted(name: str, value: float | int) -> str:
    form = METRICS[name][1]
    return f"{value / 1e6:.1f}M" if form == "million" else f"{value:{form}}"


def _trained(row: dict[str, Any]) -> str:
    """Training time and device, or how much longer than another; floors have none."""
    if row["trained_minutes"] is None:
        return EMPTY if row["value"] is None else "not recorded"
    if not row["trained_minutes"]:
        return EMPTY
    if row["device"] is None:
        return f"{row['trained_minutes']:+.1f} min"
    return f"{row['trained_minutes']:.0f} min, {row['device']}"
