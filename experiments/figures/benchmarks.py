"""Benchmarks behind the figures of navigation: one folder, or those of several training seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.trained_runs import place_of
from experiments.figures.style import label_colours
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import AGENT, SUMMARY, life_steps_of, read_episodes, read_summary
from experiments.navigation.summary import Episodes

KIND = ("model", "variant", "preset")


@dataclass(frozen=True)
class Entry:
    """A trained agent with one budget and training seed."""

    facts: dict[str, Any]
    """`AGENT`, and a warning or None"""
    episodes: Episodes

    @property
    def key(self) -> tuple[str, int, int]:
        """Label, budget and training seed, which identify an entry."""
        return self.facts["label"], self.facts["budget"], self.facts["training_seed"]


@dataclass(frozen=True)
class Benchmarks:
    """Benchmarks on the same episodes."""

    facts: dict[str, Any]
    """episodes, first_seed, life_steps, and layout or environment"""
    entries: list[Entry]
    """in the order of the labels' first appearance, then by budget and training seed"""
    floor: Episodes
    ceiling: Episodes | None
    """None where no shortest path is known"""


def read_benchmarks(folders: Iterable[Path]) -> Benchmarks:
    """Read all benchmarks in and below folders; of different numbers of episodes, the smallest counts.

    An agent may be in several folders, as RSSM beside each model that `jumpy navigation` compares it with.

    Raises:
        ValueError: if there is none, they do not begin with the same episode, two measured one agent and found other
            episodes, or a label stands for different models.
    """
    folders = list(folders)
    summaries = {path.parent: read_summary(path.parent) for folder in folders for path in folder.rglob(SUMMARY)}
    summaries = dict(sorted(summaries.items()))
    if not summaries:
        raise ValueError(
            f"no finished benchmark is in {', '.join(map(str, folders))}: make some with 'jumpy benchmark' or "
            "'jumpy navigation'"
        )
    _check_same(summaries)
    number = min(summary["episodes"] for summary in summaries.values())

    def episodes(folder: Path, name: str) -> Episodes:
        return {key: column[:number] for key, column in read_episodes(folder, name, summaries[folder]).items()}

    found: dict[tuple, tuple[Path, Entry]] = {}
    for folder, summary in summaries.items():
        for name, agent in summary["agents"].items():
            if not agent["trained"]:
                continue
            facts = {key: agent[key] for key in AGENT} | {"warning": agent.get("warning")}
            entry = Entry(facts, episodes(folder, name))
            other, known = found.setdefault(entry.key, (folder, entry))
            if known.facts != facts or not _equal(known.episodes, entry.episodes):
                raise ValueError(
                    f"{folder} and {other} both measured {facts['label']} with budget {facts['budget']}, and do not "
                    "agree: give --benchmarks only the folders of one measurement"
                )
    labels = list(dict.fromkeys(label for label, _, _ in found))
    ordered = sorted(found, key=lambda key: (labels.index(key[0]), *key[1:]))
    first, summary = next(iter(summaries.items()))
    facts = {"episodes": number} | _same(summary) | {"life_steps": life_steps_of(summary)}
    ceiling = episodes(first, CEILING) if CEILING in summary["agents"] else None
    return Benchmarks(facts, [found[key][1] for key in ordered], episodes(first, FLOOR), ceiling)


def _equal(one: Episodes, other: Episodes) -> bool:
    """Whether two measurements found the same, however long it took."""
    return all(np.array_equal(column, other[name]) for name, column in one.items() if name != "planning_seconds")


def _same(summary: dict[str, Any]) -> dict[str, Any]:
    """What says which episodes a benchmark is on."""
    return {name: summary[name] for name in ("first_seed", "layout", "environment") if name in summary}


def _check_same(summaries: dict[Path, dict[str, Any]]) -> None:
    """Check that benchmarks are on the same episodes, and that a label stands for one kind of run."""
    known: dict[Any, tuple[Path, dict[str, Any]]] = {}
    for folder, summary in summaries.items():
        kinds = {None: _same(summary)}
        for agent in summary["agents"].values():
            if "label" in agent:
                kinds[agent["label"]] = {name: agent[name] for name in KIND}
        for label, facts in kinds.items():
            first, wanted = known.setdefault(label, (folder, facts))
            if facts != wanted:
                raise ValueError(f"{folder} is of {facts}, {first} of {wanted}: give --benchmarks of one kind")


def with_largest_budget(summary: dict[str, Any]) -> list[str]:
    """The trained agents of a benchmark, of each label that with the largest budget."""
    trained = {name: entry for name, entry in summary["agents"].items() if entry["trained"]}
    by_budget = sorted(trained, key=lambda name: trained[name]["budget"])
    largest = {trained[name]["label"]: name for name in by_budget}
    return [name for name in trained if name in largest.values()]


# ---------------------------------------------------------------- texts and colours for figures


def colours_of(agents: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The colour of each label, from the facts of agents."""
    return label_colours({agent["label"]: agent["model"] for agent in agents})


def headline(facts: dict[str, Any], agents: Sequence[dict[str, Any]]) -> str:
    """What the episodes and the agents are, with a warning where these were trained in another maze."""
    kinds = list(dict.fromkeys(f", {agent['variant']}, {agent['preset']}" for agent in agents))
    kind = kinds[0] if len(kinds) == 1 else ""
    warnings = dict.fromkeys(agent["warning"] for agent in agents if agent["warning"])
    return "\n".join([f"{facts['episodes']} episodes, {place_of(facts)}{kind}.", *warnings])
