"""Changes of single options of a variant, such as `jumpy train --options n_max=20`, for ablations."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

O = TypeVar("O")  # noqa: E741  an options dataclass

NONE = "none"


@dataclass(frozen=True)
class Domain:
    """The numbers that an option may be."""

    low: int | float
    high: int | float

    def check(self, name: str, value: int | float) -> None:
        """Raise ValueError for any other number."""
        if not self.low <= value <= self.high:
            wanted = f"at most {self.high:g}" if value > self.high else f"{self.low:g} or more"
            raise ValueError(f"option {name} must be {wanted}, got {value:g}")


Positive = Annotated[float, Domain(1e-4, 1e6)]
"""a standard deviation or temperature: what is divided by it stays finite in float32"""
Share = Annotated[float, Domain(0, 1)]
MayBeZero = Annotated[int, Domain(0, 10**9)]


class Options:
    """Base of the dataclasses of options, whose numbers and words are checked however they are made.

    A field's domain is in its type, such as `Positive` or a `Literal`; otherwise whole numbers count something, from 1
    up, and others are weights.
    """

    def __post_init__(self) -> None:
        """Check every number and word; subclasses check afterwards what relates several."""
        for name, domain in domains(type(self)).items():
            if (value := getattr(self, name)) is not None:
                domain.check(name, value)
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal:
                _read(name, hint, getattr(self, name))


def domains(options: type) -> dict[str, Domain]:
    """The domain of every option that is a number."""
    found = {}
    for name, hint in get_type_hints(options, include_extras=True).items():
        parts = get_args(hint) or (hint,)
        standard = [domain for kind, domain in _STANDARD.items() if kind in parts]
        if own := [part for part in parts if isinstance(part, Domain)] or standard:
            found[name] = own[0]
    return found


_STANDARD = {int: Domain(1, 10**9), float: Domain(0, 1e30)}


def override(options: O, changes: Sequence[str]) -> O:
    """Change fields of an options dataclass by texts NAME=VALUE; a value is read as the field's type, `none` as None.

    Raises:
        ValueError: a text is not NAME=VALUE, a name is unknown or given twice, or a value does not suit its field.
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
    """Name a variant with the changes of its standard options, such as ours+n_max=20; results carry this name."""
    before, after = asdict(standard), asdict(options)  # type: ignore[call-overload]
    return "+".join([variant, *(f"{name}={_write(after[name])}" for name in after if after[name] != before[name])])


def split_label(variant: str) -> tuple[str, list[str]]:
    """The variant and the changes of a label."""
    name, *changes = variant.split("+")
    return name, changes


def _write(value: Any) -> str:
    """A value as `override` reads it, without the sign that separates changes."""
    return NONE if value is None else str(value).lower().replace("e+", "e")


def _read(name: str, kind: Any, text: str) -> Any:
    """A value of a field's type."""
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"option {name} must be one of {', '.join(get_args(kind))}, got {text!r}")
        return text
    kinds = get_args(kind) or (kind,)
    if NoneType in kinds and text.lower() == NONE:
        return None
    (number,) = (one for one in kinds if one is not NoneType)
    try:
        value = {"true": True, "false": False}[text.lower()] if number is bool else number(text)
    except (KeyError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        wanted = _KINDS[number] + (f" or {NONE}" if NoneType in kinds else "")
        raise ValueError(f"option {name} must be {wanted}, got {text!r}")
    return value


_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def check_context(context: int, window: int) -> None:
    """Check that a context, counted among the window's frames, leaves some to predict."""
    if context >= window:
        raise ValueError(
            f"option context must be less than the window of {window} frames, got {context}: "
            "shorten it or lengthen the window"
        )
