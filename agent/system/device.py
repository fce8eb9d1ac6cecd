"""What a training or a measurement ran on, in words."""

import platform
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The GPU's name; or the CPU's, and whether it multiplies bfloat16 in tiles."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    amx = ", AMX" if torch.cpu.get_capabilities().get("amx_bf16") else ""
    return (names[0] if names else platform.processor() or platform.machine()) + amx
