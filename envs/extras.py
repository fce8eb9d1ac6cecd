"""Packages that only an optional extra installs: imported when they are used, and named with the remedy if missing."""

from importlib import import_module
from typing import Any


class MissingDependency(ImportError, ValueError):
    """Something optional is not installed; the message says how to install it."""


def import_extra(module: str, extra: str, what: str) -> Any:
    """Import a module that needs an optional extra of this package.

    Args:
        module: its name.
        extra: the extra that installs what it needs.
        what: what needs it, in words: the beginning of the message.

    Raises:
        MissingDependency: if the module or one that it imports is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{what} needs the package {error.name}: pip install 'jumpy-imagination[{extra}]'"
        ) from error
