"""Compare the settings of results, data sets and runs."""

from collections.abc import Mapping
from typing import Any


def check_same_settings(made: str, found: Mapping[str, Any], wanted: Mapping[str, Any], remedy: str) -> None:
    """Check that existing settings equal the requested ones, nested ones entry by entry.

    Args:
        made: the subject and verb of the message, such as "data/paper was collected".
        found: the existing settings.
        wanted: the requested settings.
        remedy: what to do if they differ.

    Raises:
        ValueError: they differ; the message gives the first difference, with both values.
    """
    if difference := first_difference(found, wanted):
        name, old, new = difference
        raise ValueError(f"{made} with {name} {_short(old)}, asked for is {_short(new)}: {remedy}")


def first_difference(found: Any, wanted: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Name (dotted if nested) and both values of the first setting that differs; a missing value is None."""
    if not (isinstance(found, Mapping) and isinstance(wanted, Mapping)):
        return None if found == wanted else (name, found, wanted)
    for key in {**wanted, **found}:
        below = f"{name}.{key}" if name else key
        if difference := first_difference(found.get(key), wanted.get(key), below):
            return difference
    return None


def _short(value: Any) -> str:
    """A value in at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
