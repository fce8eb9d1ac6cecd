"""Optional dependencies: imported on first use, with an error that says how to install them."""

from importlib import import_module
from typing import Any


class MissingDependency(ImportError, ValueError):
    """An optional dependency is missing; the message says how to install it."""


def import_extra(module: str, extra: str, what: str) -> Any:
    """Import a module that needs an optional extra of this package; `what` needs it and begins the error message.

    Raises:
        MissingDependency: if the module or one that it imports is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{what} needs the package {error.name}: pip install 'jumpy-imagination[{extra}]'"
        ) from error
