"""A JSON file's checksum of itself, so that no number of it can be altered unseen."""

import hashlib
import json
from typing import Any

SEAL = "sha256"  # the last key of a sealed file; files of older versions have none


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content with its checksum, which does not depend on the file's white space."""
    return content | {SEAL: _digest(content)}


def unsealed(content: Any) -> dict[str, Any]:
    """The JSON object that was read, without its checksum, if it has one.

    Raises:
        ValueError: if it is no object, or does not match the checksum.
    """
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    rest = {key: value for key, value in content.items() if key != SEAL}
    if SEAL in content and content[SEAL] != _digest(rest):
        raise ValueError("its content does not match its SHA-256")
    return rest


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
