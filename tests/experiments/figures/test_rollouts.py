"""Figures of videos: measured from tiny runs, rendered from their numbers alone, and invalid input."""

from pathlib import Path

import numpy as np
import pytest

from agent.data.replay import Replay
from experiments.common.numbers import read_numbers
from experiments.figures.artefact import Sources
from experiments.figures.commands import FigureConfig, figure
from experiments.figures.registry import FIGURES
from experiments.figures.rollouts import SAMPLES, SHOWN, VIDEOS
from experiments.figures.style import model_name
from tests.support.video_runs import FRAMES, run_of, videos


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, three models on it, and a hierarchy of three levels; CW-VAE has the longest context."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    for kind, context in (("dlh", 6), ("cwvae", 8), ("hrssm", 6)):
        run_of(kind, folder / "data", folder / kind, context=context)
    run_of("dlh", folder / "data", folder / "three", levels=3)
    run_of("dlh", folder / "data", folder / "long", window=40, context=FRAMES)
    return folder


def given(world: Path, *runs: str) -> Sources:
    return Sources(data=(world / "data",), runs=tuple(str(world / run) for run in runs))


@pytest.mark.parametrize("name", ["dlh-6", "dlh-7"])
def test_futures_are_next_to_their_true_frames(world, tmp_path, figures, name):
    kinds = ("dlh", "cwvae", "hrssm")[: 2 if name == "dlh-6" else 3]
    figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=given(world, *kinds)))
    numbers = read_numbers(tmp_path, name, FIGURES[name].files)
    frames = numbers.facts["frames"]
    if name == "dlh-6":  # the first that all of them predict
        assert frames == [*range(8, 8 + SHOWN)]
    else:  # from the first that any of them does, ever fewer, to the end
        assert (frames[:3], frames[-1]) == ([6, 7, 8], FRAMES - 1)
        assert sorted(gaps := np.diff(frames).tolist()) == gaps
    chosen = np.array(Replay.open(world / "data").split("test")[:VIDEOS])
    fields = Replay.open(world / "data").slices(chosen, np.zeros_like(chosen), FRAMES)
    np.testing.assert_array_equal(numbers.arrays["true"], fields["observation"][:, frames])
    np.testing.assert_array_equal(numbers.arrays["true_start"], fields["change"][:, frames])
    for kind in kinds:
        assert numbers.arrays[kind].shape == numbers.arrays["true"].shape
        seen = [bool((numbers.arrays[kind][:, place] == 255).all()) for place in range(len(frames))]
        assert seen == [frame < numbers.facts["contexts"][kind] for frame in frames]
    texts = [text.get_text() for text in figures[name].axes[0].texts]
    assert texts[: -len(frames)] == ["true", *map(model_name, kinds)] * VIDEOS
    assert texts[-len(frames) :] == [str(frame - 5) for frame in frames]  # after the shortest context, 6 frames


def test_levels_are_resampled_in_groups(world, tmp_path, figures):
    sources = given(world, "dlh", "three")
    figure(FigureConfig("dlh-11", measure=True, numbers=tmp_path, sources=sources))
    numbers = read_numbers(tmp_path, "dlh-11", FIGURES["dlh-11"].files)
    assert numbers.facts["rows"] == [{"levels": 2, "drawn": [1, 2]}, {"levels": 3, "drawn": [1, 2]}]
    for array in numbers.arrays.values():
        assert array.shape == (VIDEOS, 2 + SAMPLES, 32, 32, 3)
        assert len({frame.tobytes() for frame in array[0]}) == 2 + SAMPLES  # all samples differ
    texts = [text.get_text() for text in figures["dlh-11"].axes[0].texts]
    assert texts == ["2 levels\nresampled: 1, 2\nfixed: none", "", "3 levels\nresampled: 1, 2\nfixed: 3", ""]


def test_which_levels_are_resampled_together(world, tmp_path):
    for name, run, groups in (("dlh-5", "three", [[1], [2], [3]]), ("dlh-10", "three", [[3]])):
        figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=given(world, run)))
        assert [row["drawn"] for row in read_numbers(tmp_path, name, ("json",)).facts["rows"]] == groups


def test_sources_that_cannot_be_sampled_raise(world, tmp_path):
    def measured(name: str, *runs: str) -> None:
        figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=given(world, *runs)))

    with pytest.raises(ValueError, match=r"has 2 levels.*more levels"):
        measured("dlh-10", "dlh")
    with pytest.raises(ValueError, match=r"4 test videos of 24 frames.*more than 24"):
        measured("dlh-4", "long")
    with pytest.raises(ValueError, match=r"different labels.*LABEL=RUN"):
        measured("dlh-6", "dlh", "three")
    assert list(tmp_path.iterdir()) == []
