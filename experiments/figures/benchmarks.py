"""Benchmarks behind the figures of navigation: one folder, or those of several training seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.figures.style import label_colours
from experiments.navigation.agents import CEILING, FLOOR
from experiments.navigation.episode_files import EPISODES, SUMMARY, read_episodes, read_summary
from experiments.navigation.summary import Episodes

AGENT_FACTS = ["label", "model", "variant", "preset", "budget", "planner", "training_seed", "run", "checkpoint"]
AGENT_FACTS += ["trained_steps", "transitions_per_decision"]


@dataclass(frozen=True)
class Entry:
    """A trained agent with one budget and training seed."""

    name: str
    """in its benchmark"""
    facts: dict[str, Any]
    """`AGENT_FACTS`, and a warning or None"""
    episodes: Episodes

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells entries apart: label, budget, training seed."""
        return self.facts["label"], self.facts["budget"], self.facts["training_seed"]


@dataclass(frozen=True)
class Benchmarks:
    """Benchmarks on the same episodes."""

    facts: dict[str, Any]
    """episodes, first_seed, layout"""
    entries: list[Entry]
    """in the order of the labels' first appearance, then by budget and training seed"""
    floor: Episodes
    ceiling: Episodes


def read_benchmarks(folders: Iterable[Path]) -> Benchmarks:
    """All benchmarks in and below folders.

    Where one has more episodes than another, those that all have count.

    Raises:
        ValueError: if there is none, they do not begin with the same episode, two measured the same agent, or a label
            stands for different models.
    """
    folders = list(folders)
    found = sorted({path.parent for folder in folders for path in folder.rglob(SUMMARY)})
    if not found:
        raise ValueError(
            f"no finished benchmark is in {', '.join(map(str, folders))}: make some with 'jumpy benchmark' or "
            "'jumpy navigation'"
        )
    summaries = {folder: read_summary(folder) for folder in found}
    _check_same(summaries, ("first_seed", "layout"))
    fewest = min(summary["episodes"] for summary in summaries.values())
    entries: dict[tuple, tuple[Path, Entry]] = {}
    for folder, summary in summaries.items():
        for entry in _entries(folder, summary, fewest):
            if entry.key in entries:
                raise ValueError(
                    f"{folder} and {entries[entry.key][0]} both measured {entry.facts['label']} with budget "
                    f"{entry.facts['budget']}: give --benchmarks only the folders of one measurement"
                )
            entries[entry.key] = folder, entry
    facts = {name: summaries[found[0]][name] for name in ("first_seed", "layout")}
    labels = list(dict.fromkeys(label for label, _, _ in entries))
    ordered = sorted(entries, key=lambda key: (labels.index(key[0]), *key[1:]))
    floor, ceiling = (_episodes(found[0], name, fewest) for name in (FLOOR, CEILING))
    return Benchmarks({"episodes": fewest} | facts, [entries[key][1] for key in ordered], floor, ceiling)


def _check_same(summaries: dict[Path, dict[str, Any]], names: Sequence[str]) -> None:
    """Check that benchmarks are of the same episodes, and that a label stands for one kind of run."""
    known: dict[Any, tuple[Path, dict[str, Any]]] = {}
    for folder, summary in summaries.items():
        kinds = {entry["label"]: entry for entry in summary["agents"].values() if "label" in entry}
        for label, entry in ({None: summary} | kinds).items():
            facts = {name: entry[name] for name in (("model", "variant", "preset") if label else names)}
            first, wanted = known.setdefault(label, (folder, facts))
            if facts != wanted:
                raise ValueError(f"{folder} is of {facts}, {first} of {wanted}: give --benchmarks of one kind")


def _episodes(folder: Path, name: str, number: int) -> Episodes:
    """The first episodes of an agent."""
    return {key: column[:number] for key, column in read_episodes(folder / EPISODES / f"{name}.csv").items()}


def _entries(folder: Path, summary: dict[str, Any], episodes: int) -> Iterable[Entry]:
    """The trained agents of one benchmark."""
    for name, entry in summary["agents"].items():
        if entry["trained"]:
            facts = {key: entry[key] for key in AGENT_FACTS} | {"warning": entry.get("warning")}
            yield Entry(name, facts, _episodes(folder, name, episodes))


# ---------------------------------------------------------------- what figures say of them


def colours_of(agents: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The colour of each label, from the facts of agents."""
    return label_colours({agent["label"]: agent["model"] for agent in agents})


def headline(facts: dict[str, Any], agents: Sequence[dict[str, Any]]) -> str:
    """What the episodes and the agents are; and a warning where they are in another maze than the training."""
    kinds = list(dict.fromkeys(f", {agent['variant']}, {agent['preset']}" for agent in agents))
    kind = kinds[0] if len(kinds) == 1 else ""
    warnings = dict.fromkeys(agent["warning"] for agent in agents if agent["warning"])
    return "\n".join([f"{facts['episodes']} episodes, layout {facts['layout']}{kind}.", *warnings])
