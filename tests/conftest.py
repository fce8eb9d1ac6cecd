"""Checks every shape and type that the packages annotate while the tests run."""

import inspect

import numba
from jaxtyping import install_import_hook

import agent  # noqa: F401  sets OpenMP's wait policy, which must come before torch

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
    import torch

    torch.set_num_threads(1)
