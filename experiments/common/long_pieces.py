"""Long pieces of work, such as trainings: a failed one is reported, and the others go on."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG = "log.txt"
"""what a piece printed, in its folder"""


@dataclass(frozen=True)
class Failure:
    """Why a piece has no result."""

    label: str
    reason: str


def attempted(label: str, work: Callable[[], Any]) -> Any:
    """The result of a piece; or what a user could mend that ended it."""
    try:
        return work()
    except (ValueError, FloatingPointError, OSError) as error:
        return Failure(label, " ".join(str(error).split()))


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Let what is printed within the block go into a folder's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


def check_finished(found: Sequence[Any]) -> None:
    """Report the pieces that failed.

    Raises:
        ValueError: some did; the message names each with its reason.
    """
    failures = [each for each in found if isinstance(each, Failure)]
    if failures:
        reasons = "; ".join(f"{failure.label}: {failure.reason:.300}" for failure in failures)
        raise ValueError(f"{len(failures)} of {len(found)} failed, repeat the command to try them again: {reasons}")
