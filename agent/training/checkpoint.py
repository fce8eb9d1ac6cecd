"""Checkpoints: a safetensors file with the tensors, and everything else as JSON in its header.

The header's metadata has one entry, ``jumpy``: JSON with ``format``, ``meta`` (config, step, versions, …) and
``sha256``, the digest of ``meta`` and of every tensor's name, type, shape and bytes. Equal contents give equal files
(safetensors would write several entries in any order). Files are replaced atomically.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from agent.system.atomic_files import write_file

HEADER = "jumpy"
FORMAT = 1


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors, from any device and without shared memory, and JSON metadata; the file is replaced atomically."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "meta": meta, "sha256": _digest(held, json.dumps(meta))}
    write_file(path, save(held, {HEADER: json.dumps(header)}))


def read_checkpoint(path: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint's tensors, onto a device, and its metadata.

    Raises:
        ValueError: the file is missing, truncated or altered, or has another format; the message names it.
    """
    tensors, header = _parsed(path, tensors=True)
    if _digest(tensors, json.dumps(header.get("meta"))) != header.get("sha256"):
        raise ValueError(f"checkpoint {path} was altered, its content does not match its SHA-256: use a copy")
    return {name: tensor.to(device) for name, tensor in tensors.items()}, header["meta"]


def read_meta(path: Path) -> dict[str, Any]:
    """Read a checkpoint's metadata from its header alone, which takes no time; its SHA-256 is not computed.

    Raises:
        ValueError: the file is missing, or its header is damaged or of another format.
    """
    return _parsed(path, tensors=False)[1]["meta"]


def _parsed(path: Path, tensors: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, if asked for, and the header."""
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}: train one with 'jumpy train', or give the path of one")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            found = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118  no mapping
        if not isinstance(header, dict):
            raise ValueError(f"its header is a {type(header).__name__}")
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"checkpoint {path} is damaged or not a safetensors file ({error}): use a copy") from error
    if (form := header.get("format")) != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}, got {form}: use one of 'jumpy train'")
    return found, header


def _digest(tensors: Mapping[str, Tensor], meta: str) -> str:
    """SHA-256 of the metadata and of all tensors, sorted by name."""
    digest = hashlib.sha256(meta.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
