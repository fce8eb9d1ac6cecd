"""The device to compute on: its choice, its precision and its name."""

import platform
from pathlib import Path
from typing import Literal

import torch


def choose_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into a device; ValueError for other names, or if there is no CUDA device."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was requested, but torch finds no CUDA device: use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(name: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    """Turn auto into bf16 on CPUs that multiply it faster (where this was measured), else into fp32."""
    if name != "auto":
        return name
    able = torch.cpu.get_capabilities()
    return "bf16" if device.type == "cpu" and (able.get("amx_bf16") or able.get("avx512_bf16")) else "fp32"


def device_name(device: torch.device) -> str:
    """The GPU's name; or the CPU's, followed by AMX if it multiplies bfloat16 in tiles."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    amx = ", AMX" if torch.cpu.get_capabilities().get("amx_bf16") else ""
    return (names[0] if names else platform.processor() or platform.machine()) + amx
