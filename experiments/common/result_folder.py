"""Resume an interrupted result folder if the settings match."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_json
from agent.system.settings import check_same_settings
from agent.system.versions import versions
from experiments.common.json_files import read_json

CONFIG = "config.json"
"""The file of a folder's settings."""


def begin_or_resume(
    out: Path, what: str, settings: dict[str, Any], products: Sequence[str], overwrite: bool = False
) -> None:
    """Prepare a folder for results with these settings, or check that it already holds them.

    Settings are what determines the results, by option name where there is one; `what` names the results in messages.
    Before a new beginning, everything that matches the glob patterns of `products` is removed.

    Raises:
        ValueError: if the folder holds other results (unless overwritten) or other files (always).
    """
    path, wanted = out / CONFIG, json.loads(json.dumps(settings))  # as read back from the file
    remedy = "choose another --out, or --overwrite"
    ours = path.exists() and b'"settings"' in path.read_bytes()  # other tools have such a file, too
    if ours and not overwrite:
        found = read_json(path, remedy, settings=dict)["settings"]
        check_same_settings(f"{out} holds a {what}", found, wanted, remedy)
        return
    if not ours and out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        which = f" ({path} is damaged, or of another tool)" if path.exists() else ""
        raise ValueError(f"{out} holds other files and no {what}{which}: choose an empty folder for --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": {}})  # so that a half-emptied folder is never resumed
    for product in (found for pattern in products for found in out.glob(pattern)):
        shutil.rmtree(product) if product.is_dir() else product.unlink()
    write_json(path, {"settings": wanted, "versions": versions()})
