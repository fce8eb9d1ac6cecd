"""Whether two results, data sets or runs were made with the same settings."""

from collections.abc import Mapping
from typing import Any


def check_same_settings(made: str, found: Mapping[str, Any], wanted: Mapping[str, Any], remedy: str) -> None:
    """Compare settings, nested ones entry by entry.

    Args:
        made: what there is and how it came about, in words, such as "data/paper was collected".
        found: its settings.
        wanted: those that are asked for.
        remedy: what to do where they differ.

    Raises:
        ValueError: if they differ; the message names the first setting that does, with both values.
    """
    if difference := first_difference(found, wanted):
        name, old, new = difference
        raise ValueError(f"{made} with {name} {_short(old)}, asked for is {_short(new)}: {remedy}")


def first_difference(found: Any, wanted: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Name (with dots, where nested) and both values of the first setting that differs; what is missing is None."""
    if not (isinstance(found, Mapping) and isinstance(wanted, Mapping)):
        return None if found == wanted else (name, found, wanted)
    for key in {**wanted, **found}:
        below = f"{name}.{key}" if name else key
        if difference := first_difference(found.get(key), wanted.get(key), below):
            return difference
    return None


def _short(value: Any) -> str:
    """A value on at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
