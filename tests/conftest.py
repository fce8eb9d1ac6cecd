"""Checks the shapes and types that the packages annotate while the tests run."""

import inspect
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads spin: on busy cores dozens of times slower

import jaxtyping
import numba
from hypothesis import settings

from tests.support.first_calls import begin_test, check_first_calls

settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")

njit = numba.njit


def njit_without_checks(function=None, **options):
    """`numba.njit` for a function that the import hook has wrapped: numba compiles only the plain function."""
    if function is None:
        return lambda wrapped: njit(**options)(inspect.unwrap(wrapped))
    return njit(inspect.unwrap(function), **options)


numba.njit = njit_without_checks  # type: ignore[assignment]
os.fsync = lambda fd: None  # no test has to survive a power cut
jaxtyping.jaxtyped = check_first_calls  # type: ignore[assignment]
jaxtyping.install_import_hook(["agent", "envs", "world_models", "planners", "experiments"], "beartype.beartype")


def pytest_configure():
    """One thread: the tests' models are tiny, and results must not depend on the number of cores."""
    from agent.system.cpu_tuning import tune_cpu

    tune_cpu()
    import torch

    torch.set_num_threads(1)


def pytest_runtest_setup():
    begin_test()
