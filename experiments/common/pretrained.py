"""Which run an agent's source means: a folder or file of one's own, or weights shipped with this package.

`pretrained` and all that begins with `pretrained/` name shipped weights, wherever the command is called; a folder of
that name in the current directory is `./pretrained`. The weights are package data, beside a manifest that says how
each file came about and what its SHA-256 is.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from world_models.registry import MODELS

WORD = "pretrained"
FOLDER = Path(str(resources.files("experiments"))) / WORD
MANIFEST = "manifest.json"


def find_run(source: str, label: str = "") -> tuple[Path, str]:
    """Where the run of a source is, and its name in results.

    Args:
        source: a run folder or checkpoint file, `pretrained/MODEL-VARIANT`, or `pretrained`.
        label: the agent's name; `pretrained` alone is the `ours` weights of the model called so.

    Returns:
        The path for `agent.training.runs.load_model`, and a name that is never the same for shipped weights and for a
        folder.

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
                f"{WORD!r} alone means the model that the agent is called by, {' or '.join(known)}, got {label!r}: "
                f"use {WORD}/MODEL-VARIANT, which may have any name"
            )
        name = f"{label}-ours"
    path = _checked(name)
    if Path(source).exists():
        print(f"{source} is the shipped {WORD}/{name}, not the file or folder here: ./{source}", file=sys.stderr)
    return path, f"{WORD}/{name}"


def read_manifest() -> dict[str, dict[str, Any]]:
    """How the shipped weights came about, by their names.

    Raises:
        ValueError: if the manifest is missing or damaged.
    """
    path = FOLDER / MANIFEST
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}): install this package again") from None


def weights_file(name: str) -> Path:
    """The file of shipped weights."""
    return FOLDER / f"{name}.safetensors"


def _checked(name: str) -> Path:
    """The file of shipped weights, after a look at its SHA-256."""
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
