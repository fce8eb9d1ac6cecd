"""One progress bar for work that goes on elsewhere: how far it is, is looked up again and again."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

SECONDS = 2.0
"""between two looks"""


@contextmanager
def watched(name: str, total: int, unit: str, done: Callable[[], int]) -> Iterator[None]:
    """Show within the block how much of the total is done, as `done` counts it.

    The bar goes to the standard error of when the block begins, whatever its work redirects.
    """
    over = threading.Event()
    with tqdm(total=total, initial=done(), desc=name, unit=unit, file=sys.stderr) as bar:

        def show() -> None:
            bar.update(done() - bar.n)

        def watch() -> None:
            while not over.wait(SECONDS):
                show()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            show()
