"""Resume a folder of results that was cut off, if the settings match."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_json
from agent.system.settings import check_same_settings
from agent.system.versions import versions

CONFIG = "config.json"
"""The file of a folder's settings."""


def begin_or_resume(
    out: Path, what: str, settings: dict[str, Any], products: Sequence[str], overwrite: bool = False
) -> None:
    """Prepare a folder for results with these settings, or check that it holds such results already.

    Args:
        out: the folder.
        what: what it holds, in words.
        settings: what decides the results, by the names of the command line where there is one.
        products: names of what the call makes in it, which goes when something new begins.
        overwrite: begin anew even where there are results.

    Raises:
        ValueError: if the folder holds other results (and is not to be overwritten) or other files.
    """
    path, wanted = out / CONFIG, json.loads(json.dumps(settings))  # as the file gives them back
    if path.exists() and not overwrite:
        try:
            found = dict(json.loads(path.read_text())["settings"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is not of a {what}: choose another --out, or --overwrite") from None
        check_same_settings(f"{out} holds a {what}", found, wanted, "choose another --out, or --overwrite")
        return
    if not path.exists() and out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise ValueError(f"{out} holds other files and no {what}: choose an empty folder for --out")
    for product in (out / name for name in products):
        shutil.rmtree(product) if product.is_dir() else product.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": wanted, "versions": versions()})
