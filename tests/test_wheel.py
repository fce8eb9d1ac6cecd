"""What an installed package holds, as setuptools finds it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from setuptools import Distribution

ROOT = Path(__file__).parent.parent
PACKAGES = ("agent", "envs", "world_models", "planners", "experiments")


@pytest.fixture(scope="module")
def wheel() -> Iterator[set[str]]:
    """Paths of the modules and the data files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        distribution = Distribution({"script_name": "setup.py"})
        distribution.parse_config_files(["pyproject.toml"])
        distribution.include_package_data = False  # or an egg-info folder would be written here
        build = distribution.get_command_obj("build_py")
        build.ensure_finalized()
        modules = {str(Path(path)) for _, _, path in build.find_all_modules()}
        data = {f"{folder}/{name}" for _, folder, _, names in build.data_files for name in names}
        yield modules | data


def test_every_module_is_taken(wheel):
    assert {path for path in wheel if path.endswith(".py")} == {
        str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_published(wheel, package):
    assert f"{package}/py.typed" in wheel


def test_data_are_taken(wheel):
    shipped = {f"experiments/pretrained/{path.name}" for path in (ROOT / "experiments/pretrained").glob("[!.]*")}
    assert {"envs/videos/digits.npz", "envs/videos/digits.md", "experiments/pretrained/manifest.json"} <= wheel
    assert {path for path in shipped if not path.endswith("README.md")} <= wheel


def test_numbers_that_are_rendered_are_taken(wheel):
    shipped = [path for path in (ROOT / "experiments/results").rglob("*.*") if path.suffix in (".json", ".npz")]
    shipped += [ROOT / f"experiments/results/figures/{name}.csv" for name in ("vta-4", "vta-8", "dlh-9", "unseen")]
    shipped += (ROOT / "experiments/results/predictions").rglob("*.csv")
    assert {str(path.relative_to(ROOT)) for path in shipped if path.parent.name != "demo"} <= wheel
    assert not any(path.endswith((".png", "speed.md")) for path in wheel)


def test_optional_packages_are_not_required():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = " ".join(project["dependencies"])
    for extra in ("import", "miniworld"):
        for requirement in project["optional-dependencies"][extra]:
            assert requirement.split(">=")[0] not in required
        assert extra in project["optional-dependencies"]["dev"][0]
