"""Imports go one way, as docs/architecture.md says: what is below never knows what is above."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each room with those that it may import from; the command line, the demo and speed may import from all.
BELOW = {
    "envs": (),
    "world_models": (),
    "planners": ("envs.code_cache", "world_models.interface", "world_models.blocks.images"),
    "agent.system": (),
    "agent.data": ("agent.system", "envs", "world_models.interface"),
    "agent.training": ("agent.data", "agent.system", "world_models"),
    "agent.acting": ("envs", "planners", "world_models"),
    "experiments.common": ("agent", "envs.extras", "world_models"),
    "experiments.navigation": ("experiments.common", "agent", "planners", "world_models", "envs"),
    "experiments.video": ("experiments.common", "agent", "envs.extras", "world_models"),
    "experiments.view": (
        "experiments.common",
        "experiments.figures.style",
        "experiments.navigation",
        "agent",
        "envs",
        "planners",
        "world_models",
    ),
    "experiments.report": (
        "experiments.common",
        "experiments.figures",
        "experiments.navigation",
        "agent",
        "envs",
        "planners",
        "world_models",
    ),
    "experiments.figures": (
        "experiments.common",
        "experiments.navigation",
        "experiments.video",
        "agent",
        "envs",
        "planners",
        "world_models",
    ),
}
OURS = ("agent", "envs", "world_models", "planners", "experiments")


def imported(path: Path) -> set[str]:
    """Our own modules that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] in OURS}


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_from_those_below(room):
    files = sorted((ROOT / room.replace(".", "/")).rglob("*.py"))
    assert files
    allowed = (room, *BELOW[room])
    for path in files:
        for name in imported(path):
            inside = any(name == place or name.startswith(f"{place}.") for place in allowed)
            assert inside, f"{path.relative_to(ROOT)} imports {name}"
