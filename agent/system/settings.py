"""Check that results which are there have the settings that are asked for."""

from collections.abc import Mapping
from typing import Any


def check_same_settings(what: str, found: Mapping[str, Any], wanted: Mapping[str, Any], remedy: str) -> None:
    """Raise a ValueError that names the first setting in which two results differ.

    Args:
        what: what there is, in words, such as "runs/old holds a benchmark".
        found: its settings; nested dictionaries are compared entry by entry.
        wanted: the settings that are asked for.
        remedy: what to do about a difference.
    """
    if difference := _first_difference(dict(found), dict(wanted)):
        name, old, new = difference
        raise ValueError(f"{what} with {name} {_short(old)}, asked for is {_short(new)}: {remedy}")


def _first_difference(found: Any, wanted: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Path and values of the first entry in which two nested dictionaries differ."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return None if found == wanted else (name, found, wanted)
    for key in {**wanted, **found}:
        if difference := _first_difference(found.get(key), wanted.get(key), f"{name}.{key}".lstrip(".")):
            return difference
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
