"""Checks every shape and type that the packages annotate while the tests run."""

import inspect
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: its threads spin, dozens of times slower

import numba
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")

njit = numba.njit


def njit_without_checks(function=None, **options):
    """`numba.njit` for a function that the import hook has wrapped: numba compiles only the plain function."""
    if function is None:
        return lambda wrapped: njit(**options)(inspect.unwrap(wrapped))
    return njit(inspect.unwrap(function), **options)


numba.njit = njit_without_checks  # type: ignore[assignment]
install_import_hook(["agent", "envs", "world_models", "planners", "experiments"], "beartype.beartype")


def pytest_configure():
    """One thread: the tests' models are tiny, and results must not depend on the number of cores."""
    from agent.system.cpu_tuning import tune_cpu

    tune_cpu()
    import torch

    torch.set_num_threads(1)
