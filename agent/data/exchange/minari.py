"""Data sets to Minari and from it.

A Minari episode has one observation more than actions. Ours has a frame, its mask and its action at every step: T
frames become T observations and T − 1 actions. `infos` holds masks, poses and all T actions, so that nothing is lost.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from gymnasium import spaces
from tqdm import tqdm

from agent.data.exchange.episodes import check_has_actions, episodes, specification
from agent.data.manifest import EPISODES_PER_SHARD, EnvironmentManifest
from agent.data.replay import Replay
from agent.data.shards import write_data
from agent.system.atomic_files import locked
from agent.system.versions import versions
from envs.extras import import_extra

ROOT = "MINARI_DATASETS_PATH"
OBSERVED = ("observation", "achieved_goal")


def export_minari(replay: Replay, name: str) -> Path:
    """Write a data set as a local Minari data set, lossless; its folder.

    It is written beside the others under a hidden name and then renamed, so that no half of it can be found.

    Raises:
        ValueError: if Minari is missing, the name is malformed or taken, or the data set has no actions.
    """
    check_has_actions(replay, "Minari")
    minari = _minari("exporting to Minari")
    target = _folder(name)
    with locked(target.parent, "wait for it", wait=True):
        if target.exists():
            raise ValueError(f"Minari has a data set {name} already: choose another --id, or minari delete {name}")
        _make_namespace(name)
        for leftover in target.parent.glob(".jumpy-*"):  # of a process that was killed
            shutil.rmtree(leftover)
        with (
            tempfile.TemporaryDirectory(prefix=".jumpy-", dir=target.parent) as folder,
            _root(Path(folder)),
            warnings.catch_warnings(action="ignore"),  # it advises to name authors
        ):
            written = minari.create_dataset_from_buffers(
                name,
                [],
                env=specification(replay),
                observation_space=_observation_space(replay),
                action_space=spaces.Discrete(replay.manifest.actions),
                algorithm_name="uniformly random legal actions",
                requirements=[f"jumpy-imagination=={version('jumpy-imagination')}"],
                description="Random walks, collected by jumpy-imagination.",
                data_format="hdf5",
                jpeg_encoding=False,
            )
            _write_episodes(replay, written.storage)
            (Path(folder) / name).rename(target)
    return target


def _make_namespace(name: str) -> None:
    """Let Minari know the namespace of a data set."""
    from minari.namespace import create_namespace, list_local_namespaces

    namespace = name.rpartition("/")[0]
    if namespace and namespace not in list_local_namespaces():
        create_namespace(namespace)


def _write_episodes(replay: Replay, storage: Any) -> None:
    """Fill Minari's file as its own writer does, but with whole arrays: that writer makes many small chunks of each."""
    import h5py

    number, length = replay.episodes, replay.episode_length - 1
    ends = np.arange(1, length + 1) == length
    with h5py.File(storage.data_path / "main_data.hdf5", "w", libver="latest", track_order=True) as file:
        for index, fields in enumerate(tqdm(episodes(replay), total=number, desc="export", unit=" episodes")):
            group = file.create_group(f"episode_{index}")
            group.attrs.update({"id": index, "total_steps": length})
            for name, array in fields.items():
                group[f"{'observations' if name in OBSERVED else 'infos'}/{name}"] = array
            group["actions"] = fields["action"][:-1].astype(np.int64)
            group["rewards"], group["terminations"] = np.zeros(length), np.zeros(length, bool)
            group["truncations"] = ends
    storage.update_metadata(
        {"total_steps": number * length, "total_episodes": number, "dataset_size": storage.get_size()}
    )


def _observation_space(replay: Replay) -> spaces.Space[dict[str, Any]]:
    """The space of a frame and an achieved goal."""
    fields = replay.manifest.fields
    box: dict[str, spaces.Space[Any]] = {}
    for key in OBSERVED:
        kind, shape = fields[key]
        shape = (*shape[:2], 3) if key == "observation" else shape
        low, high = (0, 255) if kind == np.uint8 else (-np.inf, np.inf)
        box[key] = spaces.Box(low, high, shape, kind.type)
    return spaces.Dict(box)


@dataclass(frozen=True)
class ImportMinariConfig:
    """Read a local Minari data set of pictures and discrete actions.

    Its episodes are cut into pieces of one length; what is left of each is dropped. Masks of legal actions are
    `action_mask` in its infos, goals `achieved_goal` in its observations; without these all actions are legal, and the
    frames are the goals.
    """

    id: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID")]
    """The data set's id, as 'minari list local' shows it."""
    out: Path
    """Folder of the data set."""
    length: int = 100
    """Frames per episode."""
    overwrite: bool = False
    """Replace an existing data set."""

    def __post_init__(self) -> None:
        """Check the length."""
        if self.length < 2:
            raise ValueError(f"--length must be 2 or more, got {self.length}")


def import_minari(config: ImportMinariConfig) -> Replay:
    """Write a data set with what a Minari data set holds, and open it.

    Raises:
        ValueError: if Minari or the data set is missing, its spaces do not fit, or all its episodes are too short.
    """
    minari = _minari("importing from Minari")
    if not (_folder(config.id)).exists():
        raise ValueError(
            f"there is no local Minari data set {config.id}: see 'minari list local', or minari download it"
        )
    source = minari.load_dataset(config.id)
    size, goal, goal_type = _fitting(source, config.id)
    pieces = [
        (episode, first)
        for episode, frames in enumerate(_frames_of(source))
        for first in range(0, frames - config.length + 1, config.length)
    ]
    if not pieces:
        raise ValueError(f"{config.id} has no episode of {config.length} frames: choose a shorter --length")
    wanted = EnvironmentManifest(
        {"minari": config.id},
        int(source.action_space.n),
        size,
        goal,
        goal_type,
        config.length,
        0,
        len(pieces),
        versions(),
    )

    def make(shard: int, number: int) -> dict[str, np.ndarray]:
        chosen = pieces[shard * EPISODES_PER_SHARD :][:number]
        found = {episode: _fields(source[episode], wanted) for episode in dict.fromkeys(at for at, _ in chosen)}
        return {
            name: np.stack([found[episode][name][first : first + config.length] for episode, first in chosen])
            for name in wanted.fields
        }

    write_data(config.out, wanted, config.overwrite, make, "import minari")
    return Replay.open(config.out, verify=False)


def _fitting(source: Any, name: str) -> tuple[int, tuple[int, ...], str]:
    """Size of the frames, and shape and type of the goals; ValueError if the spaces of a data set do not fit."""
    action, seen = source.action_space, source.observation_space
    if not isinstance(action, spaces.Discrete) or action.start != 0:
        raise ValueError(f"{name} has actions {action}: only Discrete ones from 0 up can be imported")
    goal: Any = seen["achieved_goal"] if isinstance(seen, spaces.Dict) and "achieved_goal" in seen.spaces else None
    picture: Any = seen["observation"] if isinstance(seen, spaces.Dict) and "observation" in seen.spaces else seen
    square = isinstance(picture, spaces.Box) and picture.dtype == np.uint8 and len(picture.shape) == 3
    if not square or picture.shape[0] != picture.shape[1] or picture.shape[2] != 3:
        raise ValueError(
            f"{name} has observations {picture}: only square uint8 pictures (size, size, 3) can be imported"
        )
    goal = goal or picture
    return picture.shape[0], tuple(goal.shape), "uint8" if goal.dtype == np.uint8 else "float32"


def _frames_of(source: Any) -> list[int]:
    """How many frames the episodes have."""
    return [int(about["total_steps"]) + 1 for about in source.storage.get_episode_metadata(source.episode_indices)]


def _fields(episode: Any, manifest: EnvironmentManifest) -> dict[str, np.ndarray]:
    """Our fields of an episode; the last action, where it is not known, is 0."""
    seen, infos = episode.observations, episode.infos or {}
    frames = seen["observation"] if isinstance(seen, dict) else seen
    goal: Any = seen["achieved_goal"] if isinstance(seen, dict) and "achieved_goal" in seen else frames
    action = infos["action"] if len(infos.get("action", ())) == len(frames) else np.append(episode.actions, 0)
    mask = infos.get("action_mask", np.ones((len(frames), manifest.actions)))
    given = {"observation": frames, "action": action, "action_mask": mask, "achieved_goal": goal}
    return {name: np.asarray(given[name]).astype(kind) for name, (kind, _) in manifest.fields.items()}


def _minari(what: str) -> Any:
    """The package, or an error that says how to install it."""
    minari = import_extra("minari", "minari", what)
    import_extra("h5py", "minari", what)
    return minari


def _folder(name: str) -> Path:
    """Where Minari keeps a data set."""
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage.datasets_root_dir import get_dataset_path

    try:
        parse_dataset_id(name)
    except (ValueError, TypeError):  # which a missing version is
        raise ValueError(f"a Minari id is [NAMESPACE/]NAME-vVERSION, such as maze/random-v0, got {name!r}") from None
    return Path(get_dataset_path(name))


@contextmanager
def _root(folder: Path) -> Iterator[None]:
    """Let Minari write elsewhere."""
    before = os.environ.get(ROOT)
    os.environ[ROOT] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(ROOT) if before is None else os.environ.__setitem__(ROOT, before)
