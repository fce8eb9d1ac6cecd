"""Replace single options of a variant, as `jumpy train --options n_max=20` asks: the base of ablations."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

O = TypeVar("O")  # noqa: E741  an options dataclass

NONE = "none"
MAY_BE_ZERO = ("lookahead",)  # of the options that count something


def override(options: O, changes: Sequence[str]) -> O:
    """Replace fields of a variant's options.

    Args:
        options: an options dataclass.
        changes: texts NAME=VALUE; a value is read as the field's type, `none` where the field may be None.

    Raises:
        ValueError: a text is no NAME=VALUE, its name is unknown or given twice, or its value does not suit the field.
    """
    kinds, values = get_type_hints(type(options)), dict[str, Any]()
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--options takes NAME=VALUE, got {change!r}: write for example n_max=20")
        if name not in kinds:
            raise ValueError(f"unknown option {name!r}: choose one of {', '.join(kinds)}")
        if name in values:
            raise ValueError(f"option {name} is given twice, got {change!r} last: give it once")
        values[name] = _read(name, kinds[name], text)
    return replace(options, **values)  # type: ignore[type-var]


def label(variant: str, standard: O, options: O) -> str:
    """Name a variant with what differs from its standard options, such as ours+n_max=20; results carry this name."""
    changed = [name for name in _names(options) if getattr(options, name) != getattr(standard, name)]
    return "+".join([variant, *(f"{name}={_write(getattr(options, name))}" for name in changed)])


def split_label(variant: str) -> tuple[str, list[str]]:
    """The variant and the changes of a label."""
    name, *changes = variant.split("+")
    return name, changes


def _names(options: Any) -> list[str]:
    return [field.name for field in fields(options)]


def _write(value: Any) -> str:
    """A value as `override` reads it, without the sign that separates changes."""
    return NONE if value is None else str(value).lower().replace("e+", "e")


def _read(name: str, kind: Any, text: str) -> Any:
    """A value of a field's type."""
    kinds = get_args(kind) or (kind,)
    if NoneType in kinds and text.lower() == NONE:
        return None
    (number,) = (one for one in kinds if one is not NoneType)
    try:
        value = {"true": True, "false": False}[text.lower()] if number is bool else number(text)
    except (KeyError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        told = " or ".join([_KINDS[number], *([NONE] if NoneType in kinds else [])])
        raise ValueError(f"option {name} must be {told}, got {text!r}")
    if number is not bool and value < (smallest := int(number is int and name not in MAY_BE_ZERO)):
        raise ValueError(f"option {name} must be {smallest} or more, got {text}")
    return value


_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def check_context(context: int, window: int) -> None:
    """Refuse a context, counted among the window's frames, that leaves nothing to predict."""
    if context >= window:
        raise ValueError(
            f"option context must be less than the window of {window} frames, got {context}: "
            "shorten it or lengthen the window"
        )
