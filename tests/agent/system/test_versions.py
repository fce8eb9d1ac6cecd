"""What results say about the packages and the commit that they were made with."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from agent.system import versions as module
from agent.system.versions import PACKAGES, RESULTS, commit, versions


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


def test_the_commit_is_that_of_the_code_and_dirty_only_if_code_differs(tmp_path):
    def git(*arguments: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", *name, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    code, result = tmp_path / "agent" / "code.py", tmp_path / RESULTS / "numbers.json"
    for file in (code, result):
        file.parent.mkdir(parents=True)
        file.write_text("1")
    git("init")
    git("add", "--all")
    git("commit", "--message", "first")
    first = git("rev-parse", "HEAD").strip()
    result.write_text("2")
    assert commit(code) == first
    code.write_text("2")
    assert commit(code) == f"{first}-dirty"


def test_code_outside_its_own_checkout_has_no_commit(tmp_path):
    assert commit(tmp_path / "code.py") is None
    installed = Path(__file__).with_name("installed.py")  # inside a checkout, or not, and not a file of it
    assert commit(installed) is None
