"""Checks of the shapes and types that functions annotate: in each test, of the first calls of each function.

Checking every call took a third of the tests' time. The checks of a function are compiled when it is first called.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping

CALLS = 100
"""calls of a function that are checked in each test"""

_check_every_call = jaxtyping.jaxtyped
_test = 0


def begin_test() -> None:
    """Check the next calls of every function."""
    global _test
    _test += 1


def check_first_calls(function: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """In place of `jaxtyping.jaxtyped`, with which jaxtyping's import hook decorates what it imports."""
    if function is None:
        return functools.partial(check_first_calls, typechecker=typechecker)
    if not inspect.isfunction(function):
        return _check_every_call(function, typechecker=typechecker)
    checked: Callable[..., Any] | None = None
    during, calls = -1, 0

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        nonlocal checked, during, calls
        if during != _test:
            during, calls = _test, 0
        calls += 1
        if calls > CALLS:
            return function(*arguments, **options)
        if checked is None:
            checked = _check_every_call(function, typechecker=typechecker)
        return checked(*arguments, **options)

    return called
