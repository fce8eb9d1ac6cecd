"""KTH Action: frames, ranges and splits of files that are written here as they were published, and damaged ones."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent.data.import_videos import KthConfig, import_kth
from agent.data.manifest import RecordedManifest
from agent.data.readers.kth import PAGE, PERSONS, joined
from agent.data.readers.reader import area_average
from agent.data.replay import Replay
from agent.training.config import TrainConfig
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import load_model
from agent.training.train import train
from experiments import cli

# The real file's layout: text, the split, then a line for each video, with tabs and spaces.
RANGES = """\
This file names the frames of each sequence.
Training:\tperson 11, 12, 13, 14, 15, 16, 17, 18
Validation:\tperson 19, 20, 21, 23, 24, 25, 01, 04
Test:\t\tperson 22, 02, 03, 05, 06, 07, 08, 09, 10

person01_boxing_d1\t\tframes\t1-15, 16-40
person01_walking_d1\t\tframes\t5-16, 25-36
person02_boxing_d1\t\tframes\t1-40
person13_handclapping_d3\t*missing*
person21_boxing_d1\t\tframes\t1-10, 11-40
person22_boxing_d1\t\tframes\t21-40, 5-24
"""
FRAMES = 40


def shade(number: int) -> int:
    """Grey of a file's frame, counted from 1; it names the first 47."""
    return min(20 + 5 * number, 255)


def write_avi(path: Path, frames: int = FRAMES, size: tuple[int, int] = (160, 120)) -> None:
    """A DivX file as the published ones; its frames are all of one grey, which names them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25, options={"qmin": "2", "qmax": "2"})
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.codec_tag = "yuv420p", "DIVX"
        for number in range(1, frames + 1):
            grey = np.full(size[::-1], shade(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def file(folder: Path, name: str) -> Path:
    return folder / name.split("_")[1] / f"{name}_uncomp.avi"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "kth"
    for line in RANGES.splitlines():
        if "frames\t" in line:
            write_avi(file(folder, line.split()[0]))
    (folder / "00sequences.txt").write_text(RANGES)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def whole(replay: Replay, split: Any) -> dict[str, list[int]]:
    """The numbers that frames' greys name, of each clip of a split, by its file and first frame."""
    assert isinstance(replay.manifest, RecordedManifest)
    episodes = np.array(replay.split(split), np.int64)
    names = [f"{clip.source} {clip.first}" for clip in replay.manifest.clips[split]]
    if not names:
        return {}
    frames = replay.slices(episodes, np.zeros_like(episodes), replay.episode_length)["observation"].astype(float)
    assert frames.max((2, 3, 4)) - frames.min((2, 3, 4)) == pytest.approx(0, abs=3)  # one grey
    numbers = np.rint((frames.mean((2, 3, 4)) - 20) / 5).astype(int)
    return dict(zip(names, numbers.tolist(), strict=True))


# ------------------------------------------------------------------------ what is read


def test_frames_are_those_of_the_ranges_and_persons_are_kept_apart(source, tmp_path, capsys):
    replay = import_kth(KthConfig(source, tmp_path / "data", length=12))
    assert (replay.episode_length, replay.frame_size, replay.episodes) == (12, 64, 14)
    assert np.load(replay.folder / "shard-00000" / "observation.npy").shape == (14, 12, 64, 64, 1)
    runs = {"person01_boxing_d1": (1, 13, 25), "person01_walking_d1": (5, 25), "person02_boxing_d1": (1, 13, 25)}
    expected = {f"{name} {first}": [*range(first, first + 12)] for name, firsts in runs.items() for first in firsts}
    assert whole(replay, "train") == expected
    runs = {"person21_boxing_d1": (1, 13, 25), "person22_boxing_d1": (5, 17, 29)}
    expected = {f"{name} {first}": [*range(first, first + 12)] for name, firsts in runs.items() for first in firsts}
    # 29 to 40 is whole: the ranges 21-40 and 5-24 overlap, and are one run of 36 frames.
    assert whole(replay, "test") == expected
    assert not replay.split("validation")
    assert "kth: 14 sequences of 12 frames (8 train, 6 test) from 5 files; skipped 0" in capsys.readouterr().out


def test_the_published_split_has_validation(source, tmp_path):
    replay = import_kth(KthConfig(source, tmp_path / "data", length=40, persons="schuldt"))
    assert (whole(replay, "train"), list(whole(replay, "validation"))) == (
        {},
        ["person01_boxing_d1 1", "person21_boxing_d1 1"],
    )
    assert list(whole(replay, "test")) == ["person02_boxing_d1 1"]
    assert Replay.open(replay.folder).manifest == replay.manifest


@pytest.mark.parametrize("persons", PERSONS)
def test_every_person_is_in_one_split(persons):
    assert sorted(person for split in PERSONS[persons].values() for person in split) == list(range(1, 26))


def test_a_split_ends_where_an_import_was_cut_off(source, tmp_path):
    replay = import_kth(KthConfig(source, tmp_path / "data", length=2, actions=("boxing",)))
    assert (replay.split("train"), replay.split("test"), replay.episodes) == (range(40), range(40, 78), 78)
    partial = replay.manifest.__class__(**{**vars(replay.manifest), "checksums": ()})
    assert not partial.split("train")
    assert not partial.split("test")


def test_chosen_actions_alone_are_read_and_need_files(source, tmp_path):
    file(source, "person01_boxing_d1").unlink()
    replay = import_kth(KthConfig(source, tmp_path / "data", length=12, actions=("walking", "running")))
    assert list(whole(replay, "train")) == ["person01_walking_d1 5", "person01_walking_d1 25"]


def test_grey_is_the_luma_in_its_full_range_and_pictures_are_not_turned(source, tmp_path):
    """Y = 126 of 16..235 is (126 - 16) · 255 / 219 = 128, Y = 60 is 51; 80 x 30 at the top left are dark."""
    planes = np.full((180, 160), 128, np.uint8)
    planes[:120] = 126
    planes[:30, :80] = 60
    with av.open(file(source, "person01_boxing_d1"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25, options={"qmin": "2", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    replay = import_kth(KthConfig(source, tmp_path / "data", length=40))
    frame = replay.slices(np.array([0]), np.array([39]), 1)["observation"][0, 0].astype(int)
    dark = np.zeros((64, 64), bool)
    dark[:16, :32] = True
    blocks = np.zeros((64, 64), bool)  # where codec blocks of both shades meet
    blocks[12:21, :42] = blocks[:21, 28:42] = True
    assert abs(frame[~blocks & dark] - 51).max() <= 2
    assert abs(frame[~blocks & ~dark] - 128).max() <= 2


@pytest.mark.parametrize(("height", "width"), [(120, 160), (84, 84), (64, 64)])
def test_resizing_averages_areas(height, width):
    """Pixels of the two sizes are made of one fine grid's, exactly."""
    frame = np.random.default_rng(0).integers(256, size=(2, height, width), dtype=np.uint8)
    rows, columns = np.lcm(height, 64), np.lcm(width, 64)
    fine = frame.repeat(rows // height, 1).repeat(columns // width, 2).astype(float)
    mean = fine.reshape(2, 64, rows // 64, 64, columns // 64).mean((2, 4))
    assert abs(area_average(frame, 64) - mean).max() <= 0.5 + 1e-9


def test_ranges_that_touch_or_overlap_are_one_run():
    assert joined([(21, 40), (1, 9), (11, 20), (30, 35), (42, 50)]) == [(1, 9), (11, 40), (42, 50)]


# ------------------------------------------------------------------------ what is wrong with files


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage(path: Path) -> None:
    """Nothing is missing, but the second half of the video is noise."""
    data = bytearray(path.read_bytes())
    half = slice(len(data) // 2, len(data) * 3 // 4)
    data[half] = np.random.default_rng(0).bytes(half.stop - half.start)
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (truncate, "is truncated: it has "),
    "damaged": (damage, "is damaged: "),
    "empty": (lambda path: path.write_bytes(b""), "is no .avi file"),
    "text": (lambda path: path.write_text("not found" * 100), "is no .avi file"),
    "header": (lambda path: path.write_bytes(b"RIFF\4\0\0\0AVI "), "is damaged: nothing can be decoded after frame 0"),
    "large": (lambda path: write_avi(path, size=(320, 240)), "has frames of 320 x 240 pixels, not 160 x 120"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_one_line_and_the_others_are_read(source, tmp_path, capsys, kind):
    spoil, message = DAMAGES[kind]
    path = file(source, "person01_boxing_d1")
    spoil(path)
    assert cli.main(["import", "kth", "--source", str(source), "--out", str(tmp_path / "data"), "--length", "36"]) == 0
    told = capsys.readouterr()
    (line,) = [row for row in told.err.splitlines() if row.startswith("jumpy:")]
    assert f"skipped: {path} {message}" in line
    assert "3 sequences of 36 frames (1 train, 2 test) from 5 files; skipped 1" in told.out
    replay = Replay.open(tmp_path / "data")
    assert list(whole(replay, "train")) == ["person02_boxing_d1 1"]
    assert json.loads((tmp_path / "data/manifest.json").read_text())["skipped"] == [
        line.removeprefix("jumpy: skipped: ")
    ]


def test_a_file_that_is_shorter_than_its_ranges_gives_the_frames_it_has(source, tmp_path, capsys):
    write_avi(file(source, "person02_boxing_d1"), frames=30)
    replay = import_kth(KthConfig(source, tmp_path / "data", length=15))
    assert [name for name in whole(replay, "train") if "02" in name] == [
        "person02_boxing_d1 1",
        "person02_boxing_d1 16",
    ]
    assert "has 30 frames, 00sequences.txt names 40: those after 30 are left out" in capsys.readouterr().err


# ------------------------------------------------------------------------ the data set


def test_a_call_that_was_cut_off_goes_on_to_the_same_bytes(source, tmp_path):
    write_avi(file(source, "person02_boxing_d1"), frames=80)
    (source / "00sequences.txt").write_text(RANGES.replace("1-40\nperson13", "1-80\nperson13"))
    config = KthConfig(source, tmp_path / "whole", length=2)
    manifest = import_kth(config).manifest  # 110 clips
    assert manifest.shards == 2
    cut = KthConfig(source, tmp_path / "cut", length=2)
    import_kth(cut)
    (cut.out / "shard-00001" / "observation.npy").write_bytes(b"half")
    manifest.__class__(**{**vars(manifest), "checksums": manifest.checksums[:1]}).write(cut.out)
    import_kth(cut)
    assert content(cut.out) == content(config.out)


def test_other_files_are_not_mixed_into_a_data_set(source, tmp_path):
    import_kth(KthConfig(source, tmp_path / "data", length=40))
    write_avi(file(source, "person02_boxing_d1"), frames=41)
    with pytest.raises(
        ValueError, match=r"was collected with files of SHA-256 .* choose another --out, or --overwrite"
    ):
        import_kth(KthConfig(source, tmp_path / "data", length=40))
    with pytest.raises(ValueError, match="was collected with --persons svg, asked for is schuldt"):
        import_kth(KthConfig(source, tmp_path / "data", length=40, persons="schuldt"))


def test_a_model_with_boundaries_trains_on_it_though_the_true_ones_are_not_known(source, tmp_path):
    data = import_kth(KthConfig(source, tmp_path / "data", length=36)).folder
    evaluation = EvaluationConfig(batches=1, batch_size=2, episodes=2)
    config = TrainConfig(data, tmp_path / "run", model="hrssm", variant="vta", steps=1, batch_size=2)
    train(replace(config, device="cpu", evaluation=evaluation))
    _, meta = load_model(config.out)
    assert (meta["run"]["dataset"], meta["run"]["video"]["persons"]) == ("kth", "svg")
    replay = Replay.open(data)
    with pytest.raises(ValueError, match="kth was recorded, its true boundaries are not known"):
        replay.manifest.subsequence_ends(replay.slices(np.array([0]), np.array([0]), 36))


# ------------------------------------------------------------------------ what is refused


def missing(source: Path) -> None:
    file(source, "person02_boxing_d1").unlink()
    file(source, "person01_boxing_d1").unlink()


def ranges(text: str) -> Callable[[Path], Any]:
    return lambda source: (source / "00sequences.txt").write_text(text)


def line(text: str) -> Callable[[Path], Any]:
    return ranges(f"{RANGES}{text}\n")


ABSENT = "boxing/person01_boxing_d1_uncomp.avi is not there nor are 1 other files: get 00sequences.txt and the actions'"
NONE = "has no sequence of 41 frames (5 files read, skipped 0, too short 6): choose a shorter --length"
REFUSED: dict[str, tuple[Callable[[Path], Any], str, tuple[str, ...]]] = {
    "missing": (missing, "", (ABSENT, PAGE, "unpack them as", "kth/boxing/person01_", "--actions")),
    "no ranges": (lambda source: (source / "00sequences.txt").unlink(), "", ("00sequences.txt is not there", PAGE)),
    "a page": (ranges("<html>"), "", ("00sequences.txt names no video: get it from", PAGE)),
    "empty": (line("person03_boxing_d1 frames"), "", ("txt, line 12, is no list of frame ranges ('person03_boxing",)),
    "backwards": (line("person03_boxing_d1 frames 5-1"), "", ("txt, line 12, is no list",)),
    "from 0": (line("person03_boxing_d1 frames 0-9"), "", ("txt, line 12, is no list",)),
    "too long": (lambda source: None, "--length 41", (NONE,)),
    "too short": (lambda source: None, "--length 1", ("--length must be 2 or more, got 1",)),
    "no action": (lambda source: None, "--actions juggling", ("invalid choice 'juggling'",)),
    "no split": (lambda source: None, "--persons 1-16", ("invalid choice '1-16'",)),
}


def test_without_pyav_the_extra_is_named_once(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert cli.main(["import", "kth", "--source", str(source), "--out", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err == "jumpy: error: reading .avi files needs PyAV: pip install -e '.[import]'\n"


@pytest.mark.parametrize(("spoil", "options", "messages"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_status_2_and_nothing_written(source, tmp_path, capsys, spoil, options, messages):
    spoil(source)
    arguments = ["import", "kth", "--source", str(source), "--out", str(tmp_path / "data"), *options.split()]
    assert cli.main(arguments) == 2
    (told,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert all(message in told for message in messages), told
    assert not (tmp_path / "data").exists()
