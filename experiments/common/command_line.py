"""Command-line options from a configuration."""

from dataclasses import MISSING, fields
from typing import Any


def given_options(config: Any) -> dict[str, Any]:
    """The fields of a configuration that differ from their defaults, by name."""
    given = {}
    for field in fields(config):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if (value := getattr(config, field.name)) != default:
            given[field.name] = value
    return given


def arguments(config: Any) -> list[str]:
    """Those fields as command-line arguments."""
    words: list[str] = []
    for name, value in given_options(config).items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else map(str, value if isinstance(value, tuple) else (value,))
    return words
