"""Reading JSON files that this package wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, remedy: str, *keys: str) -> dict[str, Any]:
    """Read a JSON object that must contain some keys.

    Raises:
        ValueError: if the file is missing, is not a JSON object, or lacks a key; the message ends with the remedy.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: {remedy}")
    try:
        content = json.loads(path.read_text())
    except ValueError:  # not JSON, or not text
        content = None
    if not isinstance(content, dict) or not content.keys() >= set(keys):
        raise ValueError(f"{path} is damaged or not ours: {remedy}")
    return content
