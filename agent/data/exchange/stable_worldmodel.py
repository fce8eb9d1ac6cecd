"""Our data sets as a format of stable-worldmodel, read in place: import this module, and its `load_dataset` knows them.

Example:
    >>> import agent.data.exchange.stable_worldmodel
    >>> dataset = stable_worldmodel.data.load_dataset("/data/paper", num_steps=16)
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.data.exchange.episodes import check_has_actions
from agent.data.exchange.hdf5 import COLUMNS
from agent.data.manifest import read_manifest
from agent.data.manifest.base import MANIFEST
from agent.data.replay import Replay
from envs.extras import import_extra

_formats = import_extra("stable_worldmodel.data.format", "swm", "reading data sets in stable-worldmodel")
_dataset = import_extra("stable_worldmodel.data.dataset", "swm", "reading data sets in stable-worldmodel")


class JumpyDataset(_dataset.Dataset):  # type: ignore[name-defined]
    """A data set of `jumpy collect`, mapped into memory; frames are the column `pixels`, channels first."""

    def __init__(
        self,
        folder: str | Path,
        frameskip: int = 1,
        num_steps: int = 1,
        transform: Any = None,
        keys_to_load: list[str] | None = None,
    ) -> None:
        self.replay = Replay.open(Path(folder), verify=False)
        check_has_actions(self.replay, "stable-worldmodel")
        known = {COLUMNS.get(name, name): name for name in self.replay.manifest.fields}
        if unknown := set(keys_to_load or ()) - set(known):
            raise ValueError(f"unknown columns {sorted(unknown)}: use some of {', '.join(known)}")
        self._names = {column: known[column] for column in keys_to_load or known}
        number, length = self.replay.episodes, self.replay.episode_length
        super().__init__(np.full(number, length), np.arange(number) * length, frameskip, num_steps, transform)

    @property
    def column_names(self) -> list[str]:
        """The columns."""
        return list(self._names)

    def _load_slice(self, ep_idx: int, start: int, end: int) -> dict[str, torch.Tensor]:
        """The steps of an episode; all actions, and of the rest every `frameskip`-th."""
        steps = {}
        for column, name in self._names.items():
            array = self.replay.field(name, int(ep_idx), int(start), int(end))
            array = array if column == "action" else array[:: self.frameskip]
            steps[column] = torch.from_numpy(np.array(array))
            if array.ndim == 4:
                steps[column] = steps[column].permute(0, 3, 1, 2)
        return self.transform(steps) if self.transform else steps

    def get_col_data(self, col: str) -> np.ndarray:
        """All steps of a column."""
        length = self.replay.episode_length
        return np.concatenate([self.replay.field(self._names[col], e, 0, length) for e in range(self.replay.episodes)])

    def get_row_data(self, row_idx: int | list[int]) -> dict[str, np.ndarray]:
        """Some steps of all columns, counted through all episodes."""
        places = [divmod(int(row), self.replay.episode_length) for row in np.atleast_1d(row_idx)]
        rows = {
            column: np.concatenate([self.replay.field(name, episode, t, t + 1) for episode, t in places])
            for column, name in self._names.items()
        }
        return rows if np.ndim(row_idx) else {column: row[0] for column, row in rows.items()}

    def get_dim(self, col: str) -> int:
        """Numbers per step of a column."""
        return int(np.prod(self.replay.manifest.fields[self._names[col]][1], dtype=int))


@_formats.register_format
class JumpyFormat(_formats.Format):  # type: ignore[name-defined]
    """A folder of `jumpy collect`, for reading."""

    name = "jumpy"

    @classmethod
    def detect(cls, path: str | Path) -> bool:
        """Whether a folder has our manifest."""
        if not (Path(path) / MANIFEST).is_file():
            return False
        try:
            read_manifest(Path(path))
        except ValueError:
            return False
        return True

    @classmethod
    def open_reader(cls, path: str | Path, **options: Any) -> JumpyDataset:
        """Open a data set."""
        return JumpyDataset(path, **options)
