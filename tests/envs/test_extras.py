import subprocess
import sys

import pytest

from envs.extras import MissingDependency, import_extra


def test_an_installed_module_is_imported():
    assert import_extra("json.decoder", "import", "reading").__name__ == "json.decoder"


@pytest.mark.parametrize("kind", [MissingDependency, ImportError, ValueError])
def test_a_missing_one_is_named_with_the_remedy(kind):
    with pytest.raises(kind, match=r"^reading .* no_such_module: pip install 'jumpy-imagination\[import\]'$"):
        import_extra("no_such_module", "import", "reading")


IMPORT_ALL = """
import importlib, pkgutil, sys
for missing in ("miniworld", "pyglet", "av", "google_crc32c", "minari", "stable_worldmodel", "ray"):
    sys.modules[missing] = None
for package in ("agent", "envs", "world_models", "planners", "experiments"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        # what only these extras import
        if module.name not in ("envs.miniworld_env", "agent.data.exchange.stable_worldmodel"):
            importlib.import_module(module.name)
assert "torchmetrics" not in sys.modules  # takes a second to import, when something is compared
"""


def test_no_module_needs_an_extra_to_be_imported():
    subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True)
