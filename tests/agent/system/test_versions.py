"""What results say about the packages that they were made with."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from agent.system import versions as module
from agent.system.versions import PACKAGES, versions


def without(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def find(package: str) -> str:
        if package == missing:
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(module, "version", find)


def test_all_packages_are_named():
    assert list(versions()) == ["python", *PACKAGES]


def test_an_optional_package_is_named_only_where_it_is_installed(monkeypatch):
    before = versions()
    without(monkeypatch, "miniworld")
    assert versions() == {name: number for name, number in before.items() if name != "miniworld"}


def test_a_required_package_cannot_be_missing(monkeypatch):
    without(monkeypatch, "torch")
    with pytest.raises(PackageNotFoundError, match="torch"):
        versions()
