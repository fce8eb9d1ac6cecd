"""The shipped results: found from any folder, written only in a clone."""

import pytest

from experiments import cli
from experiments.common import results


def test_shipped_numbers_are_found_from_any_folder_and_no_installed_package_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "CLONE", False)
    for command in ("table dlh-3", "speed"):
        assert cli.main([*command.split(), "--out", "own"]) == 0
    assert (tmp_path / "own/dlh-3.md").exists() and (tmp_path / "own/speed.md").exists()
    capsys.readouterr()
    for command, option in {
        "table dlh-3": "--out",
        "speed": "--out",
        "figure vta-4 --measure --out own": "--numbers",
        "unseen --out own": "--numbers",
        "navigation --hrssm run": "--json",
    }.items():
        assert cli.main(command.split()) == 2
        told = capsys.readouterr().err
        assert "belongs to the installed package" in told and told.endswith(f"with {option}\n"), command
    assert not (tmp_path / "own/config.json").exists()


def test_weights_are_not_shipped_into_an_installed_package(monkeypatch):
    monkeypatch.setattr(results, "CLONE", False)
    with pytest.raises(ValueError, match=r"installed package.*ship from a clone"):
        results.check_not_installed(results.PACKAGE / "pretrained", "ship from a clone")
