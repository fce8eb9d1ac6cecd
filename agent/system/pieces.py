"""Independent pieces of work in this process, in processes of this machine, or on a cluster by Ray.

Results come in the order of the pieces and do not depend on where these ran: a piece is a function's value at one
argument, computed by one thread. A piece whose worker died is computed again.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from multiprocessing import active_children, get_context
from typing import Any, Literal, TypeVar

from agent.system.children import start_worker

Piece = TypeVar("Piece")
Result = TypeVar("Result")
TRIES = 3
"""times that workers may die while no further piece is finished"""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Where the pieces of a command run; no result depends on it."""

    engine: Literal["local", "ray"] = "local"
    """Where batches, shards or trainings run: local (this machine) or ray (a cluster; needs the extra `cluster`)."""
    ray_address: str | None = None
    """Address of a Ray cluster, HOST:PORT, or auto for one that runs on this machine; without one, Ray is started
    here. All machines need the same versions and the same paths."""
    processes: int | None = None
    """How many run at a time; default: as many as pay, on a cluster one per core."""

    def __post_init__(self) -> None:
        """Check that the options go together."""
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"--processes must be at least 1, got {self.processes}")
        if self.ray_address is not None and self.engine != "ray":
            raise ValueError(f"--ray-address {self.ray_address} needs --engine ray, got --engine {self.engine}")

    @property
    def several(self) -> bool:
        """Whether workers were asked for, other than this process."""
        return self.engine != "local" or (self.processes or 1) > 1

    @property
    def workers(self) -> dict[str, Any]:
        """These options by name, for the configuration of another command."""
        return {field.name: getattr(self, field.name) for field in fields(Workers)}


def run_pieces(
    work: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    where: Workers,
    default: int = 1,
    one_thread: bool = True,
    gpu: bool = False,
) -> Iterator[Result]:
    """Compute pieces and yield their results in order.

    Args:
        work: computes a piece; it is sent to every worker once, pickled.
        pieces: its arguments.
        where: the engine.
        default: processes on this machine, unless `where` says how many; with one, this process does the work.
        one_thread: whether this process computes with one thread too, as workers do: rounding may depend on it.
        gpu: whether a piece needs a GPU.

    Raises:
        ValueError: the engine cannot be used, or a worker on another machine raised a ValueError or an OSError.
        OSError: workers died again and again.
        Exception: what `work` raised.
    """
    if where.engine == "ray":
        from agent.system.ray_engine import run_by_ray

        yield from run_by_ray(work, pieces, where.ray_address, where.processes, gpu)
    elif (processes := min(where.processes or default, max(1, len(pieces)))) > 1:
        yield from _in_processes(work, pieces, processes)
    else:
        from agent.system.threads import threads  # imports torch; workers bind themselves to their parent first

        with threads(1) if one_thread else nullcontext():
            yield from map(work, pieces)


def _in_processes(work: Callable[[Piece], Result], pieces: Sequence[Piece], processes: int) -> Iterator[Result]:
    """Compute pieces in a pool, and what is left in a new one where a worker was killed."""
    sent = pickle.dumps(work)
    done = tries = 0
    while done < len(pieces):
        try:
            with pool_of(processes, sent) as pool:
                for result in pool.map(_compute, pieces[done:]):
                    yield result
                    done, tries = done + 1, 0
        except BrokenProcessPool:
            tries += 1
            if tries == TRIES:
                raise OSError(
                    f"one of {processes} processes was killed {TRIES} times, perhaps for lack of memory: repeat the "
                    "command to resume; --processes 1 needs the least memory"
                ) from None


@contextmanager
def pool_of(processes: int, work: bytes = b"") -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each that were given some pickled work; they are killed where the block ends early."""
    others = active_children()
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (os.getpid(), work)) as pool:
        try:
            yield pool
        except BaseException:
            for worker in active_children():
                if worker not in others:
                    worker.kill()
            raise


_sent = b""
_work: Callable[[Any], Any] | None = None


def _begin(parent: int, work: bytes) -> None:
    """Prepare a worker; its work is unpickled with its first piece, so that errors reach whoever waits for it."""
    global _sent
    _sent = work
    start_worker(parent)


def _compute(piece: Any) -> Any:
    """Compute a piece in a worker."""
    global _work
    if _work is None:
        _work = pickle.loads(_sent)
    return _work(piece)
