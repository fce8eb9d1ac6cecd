"""Checkpoints: one safetensors file with the tensors, and everything else about them as JSON in its header.

The header's metadata has one entry, ``jumpy``: JSON with ``format``, ``meta`` (config, step, versions, …) and
``sha256``, the digest of ``meta`` and of every tensor's name, type, shape and bytes. The same content makes the same
file (several entries would not: safetensors writes them in any order). A file is replaced at once, never written in
place.
"""

from __future__ import annotations

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
    """Write a checkpoint, replacing the file at once: a kill leaves the old one or the new one.

    Args:
        path: the file; its folder must exist.
        tensors: what to keep, by name, from any device; no two may share memory.
        meta: the rest, as JSON can hold it (tuples come back as lists).

    Raises:
        OSError: if the file cannot be written.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "meta": meta, "sha256": _digest(held, json.dumps(meta))}
    write_file(path, save(held, {HEADER: json.dumps(header)}))


def read_checkpoint(path: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Args:
        path: a file that `write_checkpoint` wrote.
        device: where to put the tensors.

    Returns:
        The tensors by name, and the meta data.

    Raises:
        ValueError: if the file is missing, truncated, altered or of another format; the message names it.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}: train one with 'jumpy train', or give the path of one")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  safe_open is no mapping
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"checkpoint {path} is damaged or no safetensors file ({error}): use another copy") from error
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{path} is no checkpoint of format {FORMAT}, got {header.get('format')}: use one of 'jumpy train'"
        )
    if _digest(tensors, json.dumps(header.get("meta"))) != header.get("sha256"):
        raise ValueError(f"checkpoint {path} was altered, its content does not match its SHA-256: use another copy")
    return {name: tensor.to(device) for name, tensor in tensors.items()}, header["meta"]


def _digest(tensors: Mapping[str, Tensor], meta: str) -> str:
    """SHA-256 over the meta data and all tensors in the order of their names."""
    digest = hashlib.sha256(meta.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
