"""Windows from data that lie on a device are those that are read from files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agent.data.collect import CollectConfig, collect
from agent.data.make_videos import VideosConfig, make_videos
from agent.data.windows import DeviceWindows, HostWindows, training_bytes
from envs.camera import Camera
from envs.videos import DATASETS

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["maze", "grey videos", "videos"])
def test_a_device_gives_the_batches_of_the_host(tmp_path: Path, kind: str) -> None:
    if kind == "maze":
        replay = collect(CollectConfig(tmp_path, steps=13_000, camera=Camera(size=8)))  # two shards
    else:
        video = DATASETS["moving-mnist" if kind == "grey videos" else "moving-ball"]
        replay = make_videos(VideosConfig(tmp_path, video, sequences=10, length=4))
    host, device = HostWindows(replay, CPU), DeviceWindows(replay, CPU)
    places = replay.places(np.random.default_rng(3), 16, 3)
    for one, other in zip(host.batch(*places, 3), device.batch(*places, 3), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    held = sum(field.nbytes for field in device._fields)
    assert training_bytes(replay) == held - (0 if kind == "maze" else device._fields[1].nbytes)
