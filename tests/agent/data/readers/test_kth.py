"""KTH Action: frames, ranges and splits of files that are written as they were published, and damaged ones."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent.data.import_videos import ImportConfig, import_videos
from agent.data.readers import kth
from agent.data.readers.kth import PAGE, PERSONS, Kth, joined
from agent.data.replay import Replay
from experiments import cli
from tests.support.kth_files import FRAMES, RANGES, file, whole, write_avi, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "kth")


# ------------------------------------------------------------------------ what is read


def test_frames_are_those_of_the_ranges_and_persons_are_kept_apart(source, tmp_path, capsys):
    replay = import_videos(ImportConfig(Kth(source, length=12), tmp_path / "data"))
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
    output = capsys.readouterr().out
    assert all(word in output for word in ("14 sequences", "8 train, 6 test", "5 files", "skipped 0"))


def test_the_published_split_has_validation(source, tmp_path):
    replay = import_videos(ImportConfig(Kth(source, length=40, persons="schuldt"), tmp_path / "data"))
    assert (whole(replay, "train"), list(whole(replay, "validation"))) == (
        {},
        ["person01_boxing_d1 1", "person21_boxing_d1 1"],
    )
    assert list(whole(replay, "test")) == ["person02_boxing_d1 1"]
    assert Replay.open(replay.folder).manifest == replay.manifest


def test_the_same_frames_give_the_bytes_that_they_always_gave(source, tmp_path, monkeypatch):
    """As version 0.1.0 wrote them; noise takes the place of what the codec decodes."""
    frames = np.random.default_rng(0).integers(256, size=(FRAMES, 120, 160), dtype=np.uint8)
    monkeypatch.setattr(kth, "decoded", lambda content: iter(frames))
    replay = import_videos(ImportConfig(Kth(source, length=12), tmp_path / "data"))
    assert replay.manifest.checksums == ("ab71ded167fe9f02fe78153093fd7d854934e46fd44ed1bf6df8201846aeeabd",)


@pytest.mark.parametrize("persons", PERSONS)
def test_every_person_is_in_one_split(persons):
    assert sorted(person for split in PERSONS[persons].values() for person in split) == list(range(1, 26))


def test_a_split_ends_where_an_import_was_cut_off(source, tmp_path):
    replay = import_videos(ImportConfig(Kth(source, length=2, actions=("boxing",)), tmp_path / "data"))
    assert (replay.split("train"), replay.split("test"), replay.episodes) == (range(40), range(40, 78), 78)
    partial = replay.manifest.__class__(**{**vars(replay.manifest), "checksums": ()})
    assert not partial.split("train")
    assert not partial.split("test")


def test_chosen_actions_alone_are_read_and_need_files(source, tmp_path):
    file(source, "person01_boxing_d1").unlink()
    replay = import_videos(ImportConfig(Kth(source, length=12, actions=("walking", "running")), tmp_path / "data"))
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
    replay = import_videos(ImportConfig(Kth(source, length=40), tmp_path / "data"))
    frame = replay.slices(np.array([0]), np.array([39]), 1)["observation"][0, 0].astype(int)
    dark = np.zeros((64, 64), bool)
    dark[:16, :32] = True
    blocks = np.zeros((64, 64), bool)  # where codec blocks of both shades meet
    blocks[12:21, :42] = blocks[:21, 28:42] = True
    assert abs(frame[~blocks & dark] - 51).max() <= 2
    assert abs(frame[~blocks & ~dark] - 128).max() <= 2


def test_ranges_that_touch_or_overlap_are_one_run():
    assert joined([(21, 40), (1, 9), (11, 20), (30, 35), (42, 50)]) == [(1, 9), (11, 40), (42, 50)]


def test_files_are_found_in_capitals_and_in_any_folders(source, tmp_path):
    expected = import_videos(ImportConfig(Kth(source, length=12), tmp_path / "published"))
    boxing = source / "boxing"
    (source / "Archive" / "BOXING").mkdir(parents=True)
    for path in boxing.iterdir():
        path.rename(source / "Archive" / "BOXING" / path.name.upper())
        (source / "Archive" / "BOXING" / f"._{path.name}").write_bytes(b"macOS")  # what its archives leave
    boxing.rmdir()
    (source / "00sequences.txt").rename(source / "Archive" / "00SEQUENCES.TXT")
    replay = import_videos(ImportConfig(Kth(source, length=12), tmp_path / "odd"))
    assert replay.manifest.checksums == expected.manifest.checksums


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
    "empty": (lambda path: path.write_bytes(b""), "is not an .avi file"),
    "text": (lambda path: path.write_text("not found" * 100), "is not an .avi file"),
    "header": (lambda path: path.write_bytes(b"RIFF\4\0\0\0AVI "), "is damaged: nothing can be decoded after frame 0"),
    "large": (lambda path: write_avi(path, size=(320, 240)), "has frames of 320 x 240 pixels, not 160 x 120"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_one_line_and_the_others_are_read(source, tmp_path, capsys, kind):
    spoil, message = DAMAGES[kind]
    path = file(source, "person01_boxing_d1")
    spoil(path)
    assert cli.main(["import", "kth", "--source", str(source), "--out", str(tmp_path / "data"), "--length", "36"]) == 0
    output = capsys.readouterr()
    (line,) = [row for row in output.err.splitlines() if row.startswith("jumpy:")]
    assert f"skipped: {path} {message}" in line
    assert all(word in output.out for word in ("3 sequences", "1 train, 2 test", "5 files", "skipped 1"))
    replay = Replay.open(tmp_path / "data")
    assert list(whole(replay, "train")) == ["person02_boxing_d1 1"]
    assert json.loads((tmp_path / "data/manifest.json").read_text())["skipped"] == [
        line.removeprefix("jumpy: skipped: ")
    ]


def test_a_file_that_is_shorter_than_its_ranges_gives_the_frames_it_has(source, tmp_path, capsys):
    write_avi(file(source, "person02_boxing_d1"), frames=30)
    replay = import_videos(ImportConfig(Kth(source, length=15), tmp_path / "data"))
    assert [name for name in whole(replay, "train") if "02" in name] == [
        "person02_boxing_d1 1",
        "person02_boxing_d1 16",
    ]
    output = capsys.readouterr().err
    assert all(word in output for word in ("person02_boxing_d1", "30 frames", "00sequences.txt", "40"))


# ------------------------------------------------------------------------ invalid input


def missing(source: Path) -> None:
    file(source, "person02_boxing_d1").unlink()
    file(source, "person01_boxing_d1").unlink()


def ranges(text: str) -> Callable[[Path], Any]:
    return lambda source: (source / "00sequences.txt").write_text(text)


def line(text: str) -> Callable[[Path], Any]:
    return ranges(f"{RANGES}{text}\n")


ABSENT = "boxing/person01_boxing_d1_uncomp.avi is missing"
REFUSED: dict[str, tuple[Callable[[Path], Any], str, tuple[str, ...]]] = {
    "missing": (missing, "", (ABSENT, "1 other files", PAGE, "kth/boxing/person01_", "--actions")),
    "no ranges": (lambda source: (source / "00sequences.txt").unlink(), "", ("00sequences.txt is missing", PAGE)),
    "twice": (
        lambda source: write_avi(source / "copy" / "PERSON01_BOXING_D1_UNCOMP.AVI", frames=1),
        "",
        ("boxing/person01_boxing_d1_uncomp.avi", "copy/PERSON01_BOXING_D1_UNCOMP.AVI", "leave one"),
    ),
    "a page": (ranges("<html>"), "", ("00sequences.txt", "no video", PAGE)),
    "empty": (line("person03_boxing_d1 frames"), "", ("line 12", "'person03_boxing_d1 frames'", PAGE)),
    "backwards": (line("person03_boxing_d1 frames 5-1"), "", ("line 12",)),
    "from 0": (line("person03_boxing_d1 frames 0-9"), "", ("line 12",)),
    "too long": (
        lambda source: None,
        "--length 41",
        ("no sequence of 41 frames", "too short 6", "--length"),
    ),
    "too short": (lambda source: None, "--length 1", ("--length", "got 1")),
    "no action": (lambda source: None, "--actions juggling", ("'juggling'",)),
    "no split": (lambda source: None, "--persons 1-16", ("'1-16'",)),
}


def test_without_pyav_the_extra_is_named_once(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert cli.main(["import", "kth", "--source", str(source), "--out", str(tmp_path / "data")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ".avi" in line and "pip install 'jumpy-imagination[import]'" in line


@pytest.mark.parametrize(("spoil", "options", "messages"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_status_2_and_nothing_written(source, tmp_path, capsys, spoil, options, messages):
    spoil(source)
    arguments = ["import", "kth", "--source", str(source), "--out", str(tmp_path / "data"), *options.split()]
    assert cli.main(arguments) == 2
    (output,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert all(message in output for message in messages), output
    assert not (tmp_path / "data").exists()
