"""The report's page, put together from its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from experiments.common.json_files import FILES, read_json
from experiments.common.result_folder import CONFIG
from experiments.common.trained_runs import place_of
from experiments.figures.benchmarks import Benchmarks, colours_of
from experiments.figures.style import label_name
from experiments.navigation.summary import notes, table_rows
from experiments.report.episodes import first_episodes, worst_episodes
from experiments.report.plots import ShownEntry, budget, rewards, ways

REMEDY = "run the benchmark again"


def page(found: Benchmarks, summaries: Mapping[Path, dict[str, Any]], number: int) -> str:
    """The whole report; `number` worst episodes of each trained agent."""
    shown, life = _named(found), found.facts["life_steps"]
    first = found.facts["first_seed"]
    head = (
        f"{found.facts['episodes']} episodes, {place_of(found.facts)}, seeds {first} to "
        f"{first + found.facts['episodes'] - 1}; an episode earns the steps that are left of {life}."
    )
    sections = [
        ("Results", _tables(summaries)),
        ("Rewards", rewards(found, shown, life)),
        ("Reward over budget", budget(found, shown, life)),
    ]
    if found.ceiling is not None:
        sections.append(("Success against the length of the way", ways(found, shown)))
    if "environment" in found.facts:
        sections.append(("The first episodes", first_episodes(summaries)))
    elif number:
        sections.append((f"The {number} worst episodes", worst_episodes(found, shown, summaries, number)))
    sections.append(("Origin", _origin(summaries)))
    body = "".join(f"<section><h2>{escape(title)}</h2>{content}</section>" for title, content in sections)
    style, script = ((files("experiments.report") / "page" / name).read_text() for name in ("report.css", "report.js"))
    names = ", ".join(escape(name) for name, _, _ in shown) or "floor and ceiling"
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" content="jumpy report">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Benchmark: {names}</title><style>{style}</style></head><body>"
        f"<h1>Benchmark: {names}</h1><p>{escape(head)}</p>{body}<script>{script}</script></body></html>"
    )


def _named(found: Benchmarks) -> list[ShownEntry]:
    """Every entry with a name of its own and its label's colour."""
    facts = [entry.facts for entry in found.entries]
    colours = colours_of(facts)
    several = {key: {(one["label"], one[key]) for one in facts} for key in ("budget", "training_seed")}
    shown = []
    for entry in found.entries:
        label = entry.facts["label"]
        name = label_name(label, entry.facts["model"])
        for key, word in (("budget", "budget"), ("training_seed", "seed")):
            if sum(one == label for one, _ in several[key]) > 1:
                name += f", {word} {entry.facts[key]}"
        shown.append((name, colours[label], entry))
    return shown


def _tables(summaries: Mapping[Path, dict[str, Any]]) -> str:
    """The table of each benchmark."""
    parts = []
    for folder, summary in summaries.items():
        titles, *rows = table_rows(summary)
        cells = "".join(
            f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
            for row in rows
        )
        heading = f"<h3>{escape(str(folder))}</h3>" if len(summaries) > 1 else ""
        names = "".join(f"<th>{escape(title)}</th>" for title in titles)
        parts.append(
            f'{heading}<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>'
        )
        parts += [
            f'<p class="warning">{escape(each["warning"])}</p>'
            for each in summary["agents"].values()
            if "warning" in each
        ]
    return "".join(parts) + f'<p class="small">Brackets: 95 % intervals. {escape(" ".join(notes(summary)))}.</p>'


def _origin(summaries: Mapping[Path, dict[str, Any]]) -> str:
    """Settings, versions, seeds and hashes."""
    parts = []
    for folder, summary in summaries.items():
        rows: dict[str, Any] = {}
        if (folder / CONFIG).is_file():
            rows |= read_json(folder / CONFIG, REMEDY, settings=dict)["settings"]
        rows |= {f"version of {name}": value for name, value in summary.get("versions", {}).items()}
        rows |= {f"SHA-256 of {name}": value for name, value in summary.get(FILES, {}).items()}
        cells = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value if isinstance(value, str) else json.dumps(value))}</td></tr>"
            for name, value in rows.items()
        )
        table = f'<div class="wide"><table class="facts">{cells}</table></div>'
        parts.append(f"<details open><summary>{escape(str(folder))}</summary>{table}</details>")
    return "".join(parts)
