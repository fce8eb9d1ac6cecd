"""Tests with the tools of others run where these are installed: `make test-clients`."""

import sys
import types
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("stable_worldmodel") else ["test_*.py"]


def pytest_configure():
    """Stand in for torchvision where it is missing: stable-worldmodel imports one name of it.

    PyPI's torchvision does not load beside torch's CPU build (docs/tools.md).
    """
    if find_spec("stable_worldmodel") and find_spec("torchvision") is None:
        torchvision, tensors = types.ModuleType("torchvision"), types.ModuleType("torchvision.tv_tensors")
        torchvision.tv_tensors, tensors.Image = tensors, lambda picture: picture  # type: ignore[attr-defined]
        sys.modules |= {"torchvision": torchvision, "torchvision.tv_tensors": tensors}


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A data set of 500 frames."""
    from pathlib import Path

    from agent.data.collect import CollectConfig, collect

    folder: Path = tmp_path_factory.mktemp("clients") / "data"
    return collect(CollectConfig(folder, steps=500))


@pytest.fixture(autouse=True)
def homes(tmp_path, monkeypatch):
    """The tools' folders."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("STABLEWM_HOME", str(tmp_path / "swm"))
