"""Data sets to one HDF5 file, with the columns that stable-worldmodel's reader expects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from agent.data.exchange.episodes import check_has_actions, episodes
from agent.data.replay import Replay
from agent.system.atomic_files import locked, sync_folder
from envs.extras import import_extra

COLUMNS = {"observation": "pixels"}
"""names of our fields in that file, where they differ"""


def export_hdf5(replay: Replay, path: Path, overwrite: bool) -> Path:
    """Write all steps one after the other, one array per field, with `ep_len` and `ep_offset` of the episodes.

    Raises:
        ValueError: if h5py is missing, the file exists, or the data set has no actions.
    """
    check_has_actions(replay, "stable-worldmodel")
    h5py = import_extra("h5py", "swm", "exporting to HDF5")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    number, length = replay.episodes, replay.episode_length
    with locked(path.parent):
        if path.exists() and not overwrite:
            raise ValueError(f"{path} exists: add --overwrite to replace it, or choose another --out")
        with h5py.File(temporary, "w", libver="latest") as file:
            file["ep_len"] = np.full(number, length, np.int32)
            file["ep_offset"] = np.arange(number, dtype=np.int64) * length
            for index, fields in enumerate(tqdm(episodes(replay), total=number, desc="export", unit=" episodes")):
                for name, array in fields.items():
                    column = COLUMNS.get(name, name)
                    if index == 0:
                        whole = (number * length, *array.shape[1:])
                        file.create_dataset(column, whole, array.dtype)
                    file[column][index * length : (index + 1) * length] = array
        temporary.replace(path)
        sync_folder(path.parent)
    return path
