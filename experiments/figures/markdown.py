"""A table of results as Markdown: a line a model and data set, for every metric ours and the paper's number."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.video.floors import FLOORS

EMPTY = "–"


class Column(NamedTuple):
    """How a metric is shown."""

    title: str
    form: str


COLUMNS = {
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

MODELS = ("dlh", "cwvae", "hrssm", "rssm", "lmc-memory", *FLOORS)
DATASETS = ("moving-mnist", "mazes", "kth", "dml-mazes")


def markdown(title: str, content: dict[str, Any], notes: str) -> str:
    """The table.

    Args:
        title: stands above it.
        content: what the JSON holds; `rows` and how they were made.
        notes: stand below it.
    """
    rows = content["rows"]
    metrics = [name for name in COLUMNS if any(row["metric"] == name for row in rows)]
    published = {name for name in metrics if any(row["published"] for row in rows if row["metric"] == name)}
    head = ["data set", "model"]
    for name in metrics:
        head += [COLUMNS[name].title, *(["paper"] if name in published else [])]
    lines = [[*head, "trained"], ["---"] * (len(head) + 1)]
    places = dict.fromkeys((row["dataset"], row["model"]) for row in rows)
    for dataset, model in sorted(places, key=_order):
        found = {row["metric"]: row for row in rows if (row["dataset"], row["model"]) == (dataset, model)}
        line = [dataset, model]
        for name in metrics:
            line += [_ours(name, found.get(name)), *([_paper(name, found.get(name))] if name in published else [])]
        lines.append([*line, _trained(next(iter(found.values())))])
    drawn = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    made = f"Made by `{content['command']}`, commit {content['commit']}."
    return f"# {title}\n\n{drawn}\n{notes} In brackets: 95 % bootstrap intervals over test videos.\n\n{made}\n"


def _order(place: tuple[str, str]) -> tuple[int, int]:
    """Data sets and models in the paper's order, ours behind; others stay as they come."""
    dataset, model = place
    return (
        DATASETS.index(dataset) if dataset in DATASETS else len(DATASETS),
        MODELS.index(model) if model in MODELS else len(MODELS),
    )


def _ours(name: str, row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return EMPTY
    if isinstance(row["value"], str):
        return row["value"]
    ends = "" if row["ci95"] is None else f" [{', '.join(_number(name, end) for end in row['ci95'])}]"
    return _number(name, row["value"]) + ends


def _paper(name: str, row: dict[str, Any] | None) -> str:
    """The paper's number as the paper writes it."""
    if row is None or row["published"] is None:
        return EMPTY
    if name == "parameters":
        return _number(name, row["published"])
    deviation = row.get("published_deviation")
    return str(row["published"]) + ("" if deviation is None else f" ± {deviation}")


def _number(name: str, value: float | int) -> str:
    form = COLUMNS[name].form
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
