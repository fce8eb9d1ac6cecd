"""`jumpy export`: data sets and models for other tools."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from agent.data.exchange.hdf5 import export_hdf5
from agent.data.exchange.minari import export_minari
from agent.data.replay import Replay
from agent.system.atomic_files import locked, write_file
from experiments.common.trained_runs import load_trained
from planners.cost import GoalCost

Target = Literal["minari", "hdf5", "stable-worldmodel"]
NEEDS: dict[Target, str] = {"minari": "id", "hdf5": "out", "stable-worldmodel": "out"}
"""the option that says where to write"""


@dataclass(frozen=True)
class ExportConfig:
    """Write a data set for Minari or as HDF5, or a model for stable-worldmodel."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """Folder of a data set; for stable-worldmodel a run folder, or shipped weights as pretrained/MODEL-VARIANT."""
    to: Target
    """minari: a local Minari data set. hdf5: a file as stable-worldmodel reads it. stable-worldmodel: weights and
    configuration for its load_pretrained, as a cost of plans."""
    id: str | None = None
    """Id of the Minari data set, such as maze/random-v0."""
    out: Path | None = None
    """The HDF5 file, or the folder of the model."""
    overwrite: bool = False
    """Replace a file or a model that is already there; Minari's data sets are never replaced."""

    def __post_init__(self) -> None:
        """Check that the target's option, and no other, is given."""
        needed = NEEDS[self.to]
        for option in ("id", "out"):
            if (getattr(self, option) is None) == (option == needed):
                does = "needs" if option == needed else "takes no"
                raise ValueError(f"--to {self.to} {does} --{option}, got {getattr(self, option)}")


def export(config: ExportConfig) -> Path:
    """Write a data set or a model for another tool, and say how to read it.

    Raises:
        ValueError: if the source cannot be used, an extra is missing, or the target exists.
    """
    if config.to == "stable-worldmodel":
        path = _export_model(config)
        how = f"stable_worldmodel.wm.utils.load_pretrained('{path.resolve()}')"
    elif config.to == "minari":
        assert config.id is not None
        path = export_minari(Replay.open(Path(config.source)), config.id)
        how = f"minari.load_dataset('{config.id}')"
    else:
        assert config.out is not None
        path = export_hdf5(Replay.open(Path(config.source)), config.out, config.overwrite)
        how = f"stable_worldmodel.data.load_dataset('{path.resolve()}')"
    print(f"{config.source} is exported to {path}: read it with {how}")
    return path


def _export_model(config: ExportConfig) -> Path:
    """Write a model as `GoalCost`, with what builds it: the configuration first, so that weights are never without."""
    assert config.out is not None
    run = load_trained(config.source)
    cost = GoalCost(run.model)
    with locked(config.out):
        if any(path.suffix == ".pt" for path in config.out.iterdir()) and not config.overwrite:
            raise ValueError(f"{config.out} holds a model: add --overwrite to replace it, or choose another --out")
        weights = io.BytesIO()
        torch.save(cost.state_dict(), weights)
        write_file(config.out / "config.json", (json.dumps(_recipe(run.training), indent=2) + "\n").encode())
        write_file(config.out / "weights.pt", weights.getbuffer())
    return config.out


def _recipe(training: dict[str, Any]) -> dict[str, Any]:
    """What Hydra builds the cost from."""
    model = {
        "_target_": "world_models.registry.rebuild_model",
        "_convert_": "all",
        "model": training["model"],
        "config": training["config"],
    }
    return {"_target_": "planners.cost.GoalCost", "model": model}
