"""Command-line options from a configuration, and back."""

import contextlib
import io
import os
import re
from dataclasses import MISSING, fields
from typing import Any


def parse(config: Any, program: str, arguments: list[str], about: str | None = None) -> Any:
    """Parse the arguments of a program into a configuration, or return None after printing help.

    With `about`, which replaces the docstring in the help, names of nested options have no prefix.

    Raises:
        ValueError: if the arguments are wrong, with tyro's framed message in one line.
    """
    import tyro

    if os.environ.get("NO_COLOR"):
        tyro._experimental_options["ansi_codes"] = False
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            # options may come before or after the word that names a planner
            markers = [tyro.conf.CascadeSubcommandArgs, *([] if about is None else [tyro.conf.OmitArgPrefixes])]
            return tyro.cli(config, prog=program, args=arguments, description=about, config=markers)
    except SystemExit as stop:
        if stop.code:
            raise ValueError(f"{_unframed(messages.getvalue())}: see {program} --help") from None
        return None


def _unframed(message: str) -> str:
    """The text in one of tyro's boxes (Unicode or ASCII), without its title and its pointer to help."""
    rows = [row.strip("│| ") for row in message.splitlines()[1:]]
    text = " ".join(row for row in rows if re.search(r"\w", row)).split("For full helptext")[0].strip()
    return re.sub(r"^Error parsing (?!-)\S+: ", "", text)  # users do not know the names of dataclasses


def given_options(config: Any, without: type | None = None) -> dict[str, Any]:
    """The fields of a configuration that differ from their defaults, by name; without those of a base class."""
    given = {}
    left_out = () if without is None else {field.name for field in fields(without)}
    for field in (each for each in fields(config) if each.name not in left_out):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if (value := getattr(config, field.name)) != default:
            given[field.name] = value
    return given


def arguments(config: Any, without: type | None = None) -> list[str]:
    """Those fields as command-line arguments."""
    words: list[str] = []
    for name, value in given_options(config, without).items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else map(str, value if isinstance(value, tuple) else (value,))
    return words
