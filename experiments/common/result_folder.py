"""Folders of results that a call goes on with where another one was cut off: if both have the same settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.system.atomic_files import write_json
from agent.system.versions import versions

CONFIG = "config.json"
"""The file of a folder's settings."""


def begin_or_resume(
    out: Path, what: str, settings: dict[str, Any], products: Sequence[str], overwrite: bool = False
) -> None:
    """Make a folder ready for these very results, or refuse.

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
        refuse_difference(f"{out} holds a {what}", found, wanted, "choose another --out, or --overwrite")
        return
    if not path.exists() and out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise ValueError(f"{out} holds other files and no {what}: choose an empty folder for --out")
    for product in (out / name for name in products):
        shutil.rmtree(product) if product.is_dir() else product.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": wanted, "versions": versions()})


def refuse_difference(holds: str, found: dict[str, Any], wanted: dict[str, Any], remedy: str) -> None:
    """Raise a ValueError that names the first setting in which two results differ.

    Args:
        holds: what there is, in words, such as "runs/old holds a benchmark".
        found: its settings.
        wanted: those that are asked for.
        remedy: what to do then.
    """
    for name in [*wanted, *found]:
        if found.get(name) != wanted.get(name):
            raise ValueError(f"{holds} with {name} {found.get(name)}, asked for is {wanted.get(name)}: {remedy}")
