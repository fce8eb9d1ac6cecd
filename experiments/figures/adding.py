"""Agents added to the numbers of a figure of navigation, whose other numbers stay as they are."""

from __future__ import annotations

from typing import Any

from experiments.common.json_files import FILES
from experiments.common.numbers import Numbers
from experiments.navigation.agents import CEILING, FLOOR

ORIGIN = ("command", "commit", "versions")
BEFORE = "before"  # origin of the numbers that others were added to


def add_rewards(there: Numbers, more: Numbers) -> Numbers:
    """Add the columns of agents to those of other agents in the same episodes.

    Raises:
        ValueError: if the episodes are others, or an agent is already there.
    """
    facts = _facts(there, more, there.facts["agents"], more.facts["agents"])
    columns = [agent["column"] for agent in more.facts["agents"]]
    rows = []
    for one, other in zip(there.rows, more.rows, strict=True):
        if any(str(one.get(name)) != str(other.get(name)) for name in ("episode", FLOOR, CEILING)):
            raise ValueError(f"episode {one['episode']} is another one there: measure the same episodes")
        last = {CEILING: one[CEILING]} if CEILING in one else {}
        rows.append({k: v for k, v in one.items() if k != CEILING} | {name: other[name] for name in columns} | last)
    return Numbers(facts | {"agents": there.facts["agents"] + more.facts["agents"]}, rows)


def add_budget(there: Numbers, more: Numbers) -> Numbers:
    """Add the points of agents to those of other agents in the same episodes; errors as in `add_rewards`."""
    facts = _facts(there, more, there.facts["points"], more.facts["points"])
    for name in ("floor", *["ceiling"] * ("ceiling" in there.facts and "ceiling" in more.facts)):
        one, other = (numbers.facts[name]["mean_reward"] for numbers in (there, more))
        if abs(one - other) > 1e-9:
            raise ValueError(f"the {name} earns {other:g} in these episodes, {one:g} there: measure the same episodes")
    return Numbers(facts | {"points": there.facts["points"] + more.facts["points"]})


def _facts(there: Numbers, more: Numbers, agents: list[dict[str, Any]], new: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known of the numbers together; the origin of what was there goes into a list of its own."""
    for name in ("episodes", "first_seed", "layout", "environment"):
        if (one := there.facts.get(name)) != (other := more.facts.get(name)):
            raise ValueError(f"the numbers there have {name} {one}, these {other}: measure the same")
    if both := sorted({agent["label"] for agent in agents} & {agent["label"] for agent in new}):
        raise ValueError(f"{', '.join(both)} is already there: give it another LABEL, or measure all with --overwrite")
    facts = {name: value for name, value in there.facts.items() if name not in (*ORIGIN, FILES, BEFORE)}
    origin = {name: there.facts[name] for name in ORIGIN if name in there.facts}
    return facts | {BEFORE: [*there.facts.get(BEFORE, []), origin]}
