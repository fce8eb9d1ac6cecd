"""Figures of videos: measured from tiny runs, drawn from their numbers alone, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.data.replay import Replay
from experiments.figures.numbers import Sources, read
from experiments.figures.registry import FIGURES, FigureConfig, figure
from experiments.figures.rollouts import DRAWS, SHOWN, VIDEOS, each_level, levels_above_2, levels_to_2
from experiments.video.predict import PredictConfig, predict
from tests.support.video_runs import FRAMES, run_of, videos


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, three models on it, and a hierarchy of three levels; the clocks' context is longer than the others'."""
    folder = tmp_path_factory.mktemp("world")
    videos(folder / "data")
    for kind, context in (("dlh", 6), ("cwvae", 8), ("hrssm", 6)):
        run_of(kind, folder / "data", folder / kind, context=context)
    run_of("dlh", folder / "data", folder / "three", levels=3)
    run_of("dlh", folder / "data", folder / "long", window=40, context=FRAMES)
    return folder


def given(world: Path, *kinds: str) -> Sources:
    runs: dict[str, Any] = {kind: (str(world / kind),) for kind in kinds}
    return Sources(data=(world / "data",), **runs)


@pytest.mark.parametrize("name", ["dlh-6", "dlh-7"])
def test_futures_stand_beside_the_frames_that_they_are_of(world, tmp_path, drawn, name):
    kinds = ("dlh", "cwvae", "hrssm")[: 2 if name == "dlh-6" else 3]
    figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=given(world, *kinds)))
    numbers = read(tmp_path, name, FIGURES[name].files, "")
    frames = numbers.facts["frames"]
    assert (frames[0], len(frames)) == (8, SHOWN)  # the first that all of them predict
    assert frames[-1] == (8 + SHOWN - 1 if name == "dlh-6" else FRAMES - 1)
    chosen = np.array(Replay.open(world / "data").split("test")[:VIDEOS])
    fields = Replay.open(world / "data").slices(chosen, np.zeros_like(chosen), FRAMES)
    np.testing.assert_array_equal(numbers.arrays["true"], fields["observation"][:, frames])
    np.testing.assert_array_equal(numbers.arrays["true_start"], fields["change"][:, frames])
    for kind in kinds:
        assert numbers.arrays[kind].shape == numbers.arrays["true"].shape
    assert [text.get_text() for text in drawn[name].axes[0].texts] == ["true", *kinds] * VIDEOS


def test_levels_are_drawn_in_groups(world, tmp_path, drawn):
    sources = Sources(data=(world / "data",), dlh=(str(world / "dlh"), str(world / "three")))
    figure(FigureConfig("dlh-11", measure=True, numbers=tmp_path, sources=sources))
    numbers = read(tmp_path, "dlh-11", FIGURES["dlh-11"].files, "")
    assert numbers.facts["rows"] == [{"levels": 2, "drawn": [1, 2]}, {"levels": 3, "drawn": [1, 2]}]
    for array in numbers.arrays.values():
        assert array.shape == (VIDEOS, 2 + DRAWS, 32, 32, 3)
        assert len({frame.tobytes() for frame in array[0]}) == 2 + DRAWS  # every draw is another
    texts = [text.get_text() for text in drawn["dlh-11"].axes[0].texts]
    assert texts == ["2 levels\ndrawn: 1, 2\nfixed: none", "", "3 levels\ndrawn: 1, 2\nfixed: 3", ""]
    assert (each_level(3), levels_above_2(5), levels_to_2(4)) == ([(1,), (2,), (3,)], [(3, 4, 5)], [(1, 2)])


def test_curves_are_those_of_the_predictions(world, tmp_path, drawn):
    predict(PredictConfig("dlh", world / "data", tmp_path / "dlh", world / "dlh", 6, 2, 2, device="cpu"))
    sources = Sources(predictions=(tmp_path / "dlh",))
    figure(FigureConfig("dlh-9", measure=True, numbers=tmp_path, sources=sources))
    best = [dict(np.load(path)) for path in sorted((tmp_path / "dlh" / "sequences").iterdir())]
    assert len(drawn["dlh-9"].axes) == 2  # LPIPS was not measured
    for axes, metric in zip(drawn["dlh-9"].axes, ("ssim", "psnr"), strict=True):
        step, mean = np.asarray(axes.lines[0].get_xydata()).T
        assert step.tolist() == list(range(1, FRAMES - 6 + 1))
        np.testing.assert_allclose(mean, np.mean([video[metric] for video in best], 0), rtol=1e-4, atol=1e-6)


def test_what_cannot_be_drawn_is_refused(world, tmp_path):
    def measured(name: str, sources: Sources) -> None:
        figure(FigureConfig(name, measure=True, numbers=tmp_path, sources=sources))

    with pytest.raises(ValueError, match="has 2 levels, none to draw: give --dlh runs of more levels"):
        measured("dlh-10", given(world, "dlh"))
    long = Sources(data=(world / "data",), dlh=(str(world / "long"),))
    with pytest.raises(ValueError, match="has 4 test videos of 24 frames, needed are some of more than 24: make"):
        measured("dlh-4", long)
    with pytest.raises(ValueError, match="data holds no finished prediction: make it with 'jumpy predict'"):
        measured("dlh-9", Sources(predictions=(world / "data",)))
    with pytest.raises(ValueError, match="--cwvae needs RUN, got 0: make it with 'jumpy figure dlh-6 --measure --dlh"):
        measured("dlh-6", given(world, "dlh"))
    assert list(tmp_path.iterdir()) == []
