"""Run folders: a model, its optimiser and the definition of the run, in one checkpoint file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agent.system.settings import check_same_settings
from agent.system.versions import versions
from agent.training.checkpoint import read_checkpoint, read_meta, write_checkpoint
from world_models.options import split_label
from world_models.registry import complete, rebuild_model

CHECKPOINT = "checkpoint.safetensors"
TENSORBOARD = "tensorboard"


def save_run(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    run: dict[str, Any],
    trained_seconds: dict[str, float] | None = None,
) -> None:
    """Write a checkpoint of a training run.

    Args:
        path: the file.
        model: its state is stored as `model.NAME`.
        optimiser: the moments of parameter number i are stored as `optimiser.i.NAME`.
        step: number of training steps.
        run: the definition of the run (model, preset, variant, configuration, seed, layout).
        trained_seconds: training time by device; on a CPU its processor time, summed over threads; None if unknown.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    meta = {"step": step, "trained_seconds": trained_seconds, "run": run, "versions": versions()}
    write_checkpoint(path, tensors, meta)


def save_weights(path: Path, model: nn.Module, meta: dict[str, Any]) -> None:
    """Write a checkpoint for `load_model`, with the metadata that it returned, without the optimiser."""
    write_checkpoint(path, {f"model.{name}": value for name, value in model.state_dict().items()}, meta)


def load_run(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, run: dict[str, Any], device: torch.device
) -> dict[str, Any]:
    """Load the state of model and optimiser to resume a run; return the metadata.

    Raises:
        ValueError: the file is damaged, or its run has another definition.
    """
    tensors, meta = _read(path, device)
    found = {"precision": "fp32"} | meta["run"]  # older runs had no choice of it, nor of Adam's options
    unnoted = ("camera", "data_sha256", "data_length")  # by older runs
    found = {name: run[name] for name in unnoted if name in run} | found
    found["recipe"] = {"epsilon": 1e-8, "amsgrad": True} | found.get("recipe", {})
    if found.get("model") == run["model"]:
        found |= {"config": complete(run["model"], found.get("config", {}))}
    # options are compared in `config`: what a variant's label says of them depends on its defaults at that time
    found, asked = ({**each, "variant": split_label(str(each.get("variant")))[0]} for each in (found, run))
    check_same_settings(f"{path} was trained", found, asked, "resume it with the same settings")
    _fill(model, tensors, path)
    moments: dict[int, dict[str, Tensor]] = {}
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, value in _part(tensors, "optimiser.").items():
        number, moment = name.split(".", 1)
        like = parameters[int(number)]
        if value.shape == like.shape:  # fused Adam reads a parameter and its moments in the order of their memory
            value = torch.empty_like(like).copy_(value)
        moments.setdefault(int(number), {})[moment] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    return meta


def progress(run: Path) -> tuple[int, float | None]:
    """Training steps of a run folder so far, and the seconds that they took; None if these are unknown.

    A run without a checkpoint has not begun: 0 and 0.

    Raises:
        ValueError: its checkpoint is damaged, or of another format.
    """
    path = run / CHECKPOINT
    if not path.exists():
        return 0, 0.0
    meta = read_meta(path)
    seconds = meta.get("trained_seconds")
    return meta["step"], None if seconds is None else sum(seconds.values())


def load_model(path: Path, device: torch.device | str = "cpu") -> tuple[Any, dict[str, Any]]:
    """Load a trained model in evaluation mode from a run folder or a checkpoint file.

    Returns:
        The model on the device, and the checkpoint's metadata: `step`, `run` (model, preset, variant, layout, seed, …),
        `versions`, and `trained_seconds` (see `save_run`; absent from older checkpoints).

    Raises:
        ValueError: there is no such run, its file is damaged, or it holds something else.
    """
    if not path.exists():
        raise ValueError(f"there is no run {path}: train one with 'jumpy train --out {path}'")
    tensors, meta = _read(path / CHECKPOINT if path.is_dir() else path, device)
    run = meta["run"]
    try:
        model = rebuild_model(run["model"], run["config"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {error}; train it again") from error
    _fill(model, tensors, path)
    return model.to(device).eval(), meta


def _read(path: Path, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the checkpoint of a training run."""
    tensors, meta = read_checkpoint(path, device)
    if not isinstance(meta, dict) or not isinstance(meta.get("run"), dict):
        raise ValueError(f"{path} is a checkpoint, but not of a training run: use one of 'jumpy train'")
    return tensors, meta


def _fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(_part(tensors, "model."))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} holds no model of this kind and version, train it again: {reason:.200}") from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
