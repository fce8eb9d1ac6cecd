from dataclasses import replace

import av
import numpy as np
import pytest

from envs.extras import MissingDependency
from experiments.navigation.benchmark import BenchmarkConfig, benchmark
from experiments.navigation.episode_files import read_episodes
from planners.tree import TreeSearch


def decoded(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


FIRST = 100_158
"""the first of two episodes that the shipped model solves in a few steps"""


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A benchmark whose films were asked for later, and its episodes before that."""
    config = BenchmarkConfig(
        tmp_path_factory.mktemp("film") / "bench", ("hrssm=pretrained",), 3, TreeSearch(2), first_seed=FIRST
    )
    benchmark(config)
    before = (config.out / "episodes/hrssm.csv").read_bytes()
    benchmark(replace(config, video=2))
    return config.out, before


def test_a_film_shows_every_step_of_the_episodes_in_both_formats(filmed):
    folder, _ = filmed
    steps = read_episodes(folder, "hrssm", {"episodes": 3, "first_seed": FIRST})["steps"][:2]
    mp4, gif = (decoded(folder / "films" / f"hrssm.{kind}") for kind in ("mp4", "gif"))
    assert len(mp4) == len(gif) > 2 * steps.sum()
    assert mp4[0].shape == gif[0].shape
    assert np.abs(mp4[0].astype(int) - gif[0]).mean() < 12  # 256 colours, and the codec
    assert np.abs(mp4[-1].astype(int) - mp4[0]).mean() > 1
    assert sorted(path.name for path in (folder / "films").iterdir()) == ["hrssm.gif", "hrssm.mp4"]


def test_the_episodes_stay_as_they_were_when_a_film_is_asked_for_later(filmed):
    folder, before = filmed
    assert (folder / "episodes/hrssm.csv").read_bytes() == before


def test_a_missing_encoder_or_too_many_films_are_errors_before_anything_runs(tmp_path, monkeypatch):
    def missing():
        raise MissingDependency("pip install")

    monkeypatch.setattr("experiments.navigation.benchmark.encoder", missing)
    with pytest.raises(ValueError, match="pip install"):
        benchmark(BenchmarkConfig(tmp_path / "new", ("hrssm=pretrained",), 3, video=1))
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="--video"):
        BenchmarkConfig(tmp_path / "new", episodes=3, video=4)
