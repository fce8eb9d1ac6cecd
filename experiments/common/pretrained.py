"""Resolves the source of an agent: a run folder or checkpoint file, or weights shipped with this package.

`pretrained` and `pretrained/...` always name shipped weights; a folder of that name in the current directory is
`./pretrained`. The weights are package data, next to a manifest with the origin and SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from experiments.common.json_files import damage_named, read_json
from experiments.common.results import PACKAGE
from world_models.registry import MODELS

WORD = "pretrained"
FOLDER = PACKAGE / WORD
MANIFEST = "manifest.json"


def find_run(source: str, label: str = "") -> tuple[Path, str]:
    """The path of a run for `load_model`, and its name in results, which differs between folders and shipped weights.

    Args:
        source: a run folder or checkpoint file, `pretrained/MODEL-VARIANT`, or `pretrained`.
        label: the agent's name; `pretrained` alone means the `ours` weights of the model with this name.

    Raises:
        ValueError: if there are no such shipped weights, or their file is missing or altered.
    """
    word, slash, name = source.partition("/")
    if word != WORD:
        path = Path(source)
        return path, f"./{path}" if path.parts[:1] == (WORD,) else str(path)
    if not slash:
        known = [model for model, spec in MODELS.items() if "ours" in spec.variants]
        if label not in known:
            raise ValueError(
                f"{WORD!r} alone needs an agent named after its model, {' or '.join(known)}, got {label!r}: "
                f"use {WORD}/MODEL-VARIANT, which works with any name"
            )
        name = f"{label}-ours"
    path = _checked(name)
    if Path(source).exists():
        print(f"{source} means the shipped {WORD}/{name}; for the file or folder here use ./{source}", file=sys.stderr)
    return path, f"{WORD}/{name}"


def read_manifest() -> dict[str, dict[str, Any]]:
    """How the shipped weights were made, by name.

    Raises:
        ValueError: if the manifest is missing or damaged.
    """
    path, remedy = FOLDER / MANIFEST, "install this package again"
    manifest = read_json(path, remedy)
    with damage_named(path, remedy):
        for entry in manifest.values():
            bytes.fromhex(entry["sha256"])
    return manifest


def weights_file(name: str) -> Path:
    """The file of shipped weights."""
    return FOLDER / f"{name}.safetensors"


def _checked(name: str) -> Path:
    """The file of shipped weights, with its SHA-256 verified."""
    manifest, path = read_manifest(), weights_file(name)
    if name not in manifest:
        shipped = ", ".join(f"{WORD}/{known}" for known in sorted(manifest)) or "none"
        raise ValueError(f"no weights {WORD}/{name} are shipped, only: {shipped}; a folder here is ./{WORD}/{name}")
    if not path.is_file():
        raise ValueError(f"the weights {path} are missing: install this package again")
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != manifest[name]["sha256"]:
        expected = manifest[name]["sha256"]
        raise ValueError(
            f"the weights {path} were altered, SHA-256 {found:.12}… is not {expected:.12}…: install this package again"
        )
    return path
