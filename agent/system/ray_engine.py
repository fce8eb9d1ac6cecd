"""Pieces of work on a Ray cluster: on other machines, or on this one if there is no address.

The work is put into Ray's object store, from which each machine copies it once. Tasks whose worker or machine died are
run again. Ray sends no statistics and shows no dashboard.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from agent.system.versions import versions

SECONDS = 5.0
"""how long a cluster may take to answer"""
AHEAD = 3
"""tasks per worker that are submitted before the first of them is finished"""
MEMORY = 500_000_000
"""bytes of a local object store: weights and results are small"""
RETRIES = 5


class Failed(NamedTuple):
    """What a piece raised that is the user's to mend."""

    host: str
    kind: type[ValueError] | type[OSError]
    message: str


def run_by_ray(
    work: Callable[[Any], Any], pieces: Sequence[Any], address: str | None, processes: int | None, gpu: bool
) -> Iterator[Any]:
    """Compute pieces on a cluster and yield their results in order; see `pieces.run_pieces`."""
    if not pieces:
        return
    ray = _ray()
    with _connected(ray, address, processes):
        sent = pickle.dumps(work)
        blob, name = ray.put(np.frombuffer(sent, np.uint8)), hashlib.sha256(sent).hexdigest()
        task = ray.remote(num_cpus=1, num_gpus=int(gpu), max_retries=RETRIES)(_compute)
        most = AHEAD * (processes or max(1, int(ray.cluster_resources().get("CPU", 1))))
        pending, left, wanted = deque[Any](), deque(pieces), versions()
        while left or pending:
            while left and len(pending) < most:
                pending.append(task.remote(name, blob, wanted, left.popleft()))
            yield _result(ray, pending.popleft())


def _result(ray: Any, reference: Any) -> Any:
    """Wait for a task; raise what its piece raised."""
    try:
        found = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # an error of ours
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())
        raise OSError(
            f"the Ray cluster lost a task {RETRIES} times ({reason:.200}): repeat the command to resume"
        ) from None
    if isinstance(found, Failed):
        where = "" if found.host == socket.gethostname() else f" (on {found.host})"
        raise found.kind(f"{found.message}{where}")
    return found


_works: dict[str, Callable[[Any], Any]] = {}


def _compute(name: str, blob: np.ndarray, wanted: dict[str, str], piece: Any) -> Any:
    """Compute a piece in a Ray worker, which unpickles the work once."""
    from agent.system.cpu_tuning import keep_freed_memory
    from agent.system.threads import set_threads

    host = socket.gethostname()
    try:
        if name not in _works:
            if differ := [each for each, version in wanted.items() if versions().get(each) != version]:
                each = differ[0]
                raise ValueError(
                    f"{host} has {each} {versions().get(each)}, the command runs with {wanted[each]}, so that results "
                    "could differ: install the same versions"
                )
            keep_freed_memory()
            os.environ["TQDM_DISABLE"] = "1"
            _works.clear()
            _works[name] = pickle.loads(blob.tobytes())
        set_threads(1)
        return _works[name](piece)
    except ValueError as error:
        return Failed(host, ValueError, str(error))
    except OSError as error:
        return Failed(host, OSError, str(error))


def _ray() -> Any:
    """The package, told to keep to itself."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ.setdefault("RAY_worker_niceness", "0")  # of workers started here; on busy cores 15 would starve them
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError:
        raise ValueError(
            "--engine ray needs the extra `cluster`: pip install -c constraints.txt -e '.[cluster]', or --engine local"
        ) from None


@contextmanager
def _connected(ray: Any, address: str | None, processes: int | None) -> Iterator[None]:
    """Be connected to a cluster, or to one that is started here and ends with the block."""
    if ray.is_initialized():
        yield
        return
    if address is not None and address != "auto":
        _check_answer(address)
    own = {"num_cpus": processes, "object_store_memory": MEMORY, "include_dashboard": False} if address is None else {}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **own)
    except (RuntimeError, ConnectionError, ValueError) as error:
        ray.shutdown()
        reason = " ".join(str(error).split())
        raise ValueError(
            f"cannot use the Ray cluster {address or 'on this machine'} ({reason:.300}): see 'ray status --address …', "
            "or leave out --ray-address"
        ) from None
    finally:
        for number, handler in handlers.items():  # Ray sets its own
            signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise a ValueError if nobody answers at an address: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if not (host and port.isdecimal()):
            raise ValueError(f"--ray-address must be HOST:PORT or auto, got {address}: such as 10.0.0.1:6379")
        socket.create_connection((host, int(port)), SECONDS).close()
    except OSError as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({error.strerror or error}): start one with 'ray start --head', or "
            "leave out --ray-address"
        ) from None
