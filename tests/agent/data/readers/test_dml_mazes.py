"""DML Mazes: records that independent writers make here as they were published, and records that are wrong."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image
from tensorboard.summary.writer.record_writer import RecordWriter

from agent.data.import_videos import ImportConfig, import_videos
from agent.data.manifest import RecordedManifest
from agent.data.readers.dml_mazes import PAGE, DmlMazes
from agent.data.readers.tfrecord import masked_crc, parse_example, records
from agent.data.replay import Replay
from envs.pictures import area_average
from experiments import cli


def example_class(packed: bool) -> Any:
    """Google's class of tf.train.Example, from the published message definitions."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, int, str]) -> Any:
        made = file.message_type.add(name=name)
        for own, number, kind, label, of in fields:
            kept = {"type_name": f".tensorflow.{of}"} if of else {}
            made.field.add(name=own, number=number, type=kind, label=label, **kept)
        return made

    one, many, of_message = field.LABEL_OPTIONAL, field.LABEL_REPEATED, field.TYPE_MESSAGE
    message("BytesList", ("value", 1, field.TYPE_BYTES, many, ""))
    message("FloatList", ("value", 1, field.TYPE_FLOAT, many, "")).field[0].options.packed = packed
    message("Int64List", ("value", 1, field.TYPE_INT64, many, ""))
    lists = (("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List"))
    message("Feature", *((name, number, of_message, one, of) for name, number, of in lists))
    features = message("Features", ("feature", 1, of_message, many, "Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=one)
    entry.field.add(name="value", number=2, type=of_message, label=one, type_name=".tensorflow.Feature")
    message("Example", ("features", 1, of_message, one, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def example(
    frames: list[bytes], cameras: np.ndarray, packed: bool = True, names: tuple[str, str] = ("frames", "cameras")
) -> bytes:
    made = example_class(packed)()
    made.features.feature[names[0]].bytes_list.value.extend(frames)
    made.features.feature[names[1]].float_list.value.extend(cameras.ravel().tolist())
    made.features.feature["scene"].int64_list.value.extend([7, 300])
    return made.SerializeToString()


def picture(red: float, size: tuple[int, int] = (84, 84), mode: str = "RGB") -> bytes:
    """A JPEG with a ramp to the right in green and one downwards in blue."""
    ramp = np.linspace(0, 255, 84)
    pixels = np.stack([np.full((84, 84), red), np.tile(ramp, (84, 1)), np.tile(ramp, (84, 1)).T], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size).convert(mode).save(buffer, "JPEG", quality=100, subsampling=0)
    return buffer.getvalue()


def walk(number: int, frames: int = 7) -> tuple[list[bytes], np.ndarray]:
    """A record's frames, whose red names the record and the frame, and its cameras."""
    reds = [20 * number + 2 * t for t in range(frames)]
    cameras = np.arange(frames * 5, dtype=np.float32).reshape(frames, 5) / 3 + 100 * number
    return [picture(red) for red in reds], cameras


def write(path: Path, *messages: bytes) -> None:
    """A TFRecord file, by TensorBoard's writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for message in messages:
            writer.write(message)
        writer.flush()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "mazes"
    write(folder / "train" / "0001-of-1080.tfrecord", example(*walk(0)), example(*walk(1)), example(*walk(2)))
    write(folder / "train" / "0002-of-1080.tfrecord", example(*walk(3)), example(*walk(4, frames=2)))
    write(folder / "test" / "001-of-120.tfrecord", example(*walk(5)))
    return folder


FIRST = "train/0001-of-1080.tfrecord"


def whole(folder: Path, split: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Sources of a split's clips, the mean red of their frames, and their cameras."""
    replay = Replay.open(folder)
    assert isinstance(replay.manifest, RecordedManifest)
    episodes = np.array(replay.split(split), np.int64)
    fields = replay.slices(episodes, np.zeros_like(episodes), replay.episode_length)
    names = [f"{clip.source} {clip.first}" for clip in replay.manifest.clips[split]]
    return names, fields["observation"][..., 0].mean((2, 3)), fields["camera"]


# ------------------------------------------------------------------------ what is read


def test_clips_are_the_records_frames_and_cameras(source, tmp_path, capsys):
    replay = import_videos(ImportConfig(DmlMazes(source, length=3), tmp_path / "data"))
    assert (replay.episode_length, replay.frame_size, replay.episodes) == (3, 64, 10)
    names, reds, cameras = whole(replay.folder, "train")
    second = "train/0002-of-1080.tfrecord"
    expected = [(f"{FIRST}#1", 0), (f"{FIRST}#2", 1), (f"{FIRST}#3", 2), (f"{second}#1", 3)]
    assert names == [f"{name} {first}" for name, _ in expected for first in (1, 4)]
    for row, (number, first) in enumerate((number, first) for _, number in expected for first in (0, 3)):
        np.testing.assert_allclose(reds[row], 20 * number + 2 * np.arange(first, first + 3), atol=1)
        np.testing.assert_array_equal(cameras[row], walk(number)[1][first : first + 3])
    names, reds, _ = whole(replay.folder, "test")
    assert names == ["test/001-of-120.tfrecord#1 1", "test/001-of-120.tfrecord#1 4"]
    np.testing.assert_allclose(reds[1], [106, 108, 110], atol=1)
    output = capsys.readouterr().out
    assert all(word in output for word in ("10 sequences", "8 train, 2 test", "3 files", "skipped 0", "too short 1"))


def test_frames_are_resized_by_area_and_keep_their_channels_and_directions(source, tmp_path):
    replay = import_videos(ImportConfig(DmlMazes(source, length=3), tmp_path / "data"))
    frame = replay.slices(np.array([0]), np.array([0]), 1)["observation"][0, 0]
    original = np.asarray(Image.open(io.BytesIO(walk(0)[0][0])))
    for channel in range(3):
        np.testing.assert_array_equal(
            frame[..., channel], area_average(np.ascontiguousarray(original[..., channel]), 64)
        )
    assert (np.diff(frame[32, :, 1].astype(int)) > 0).all()  # green rises to the right,
    assert (np.diff(frame[:, 32, 2].astype(int)) > 0).all()  # blue downwards


def test_sequences_limits_each_split_and_reads_no_more_files(source, tmp_path):
    (source / "train" / "0002-of-1080.tfrecord").write_bytes(b"never read")
    replay = import_videos(ImportConfig(DmlMazes(source, length=3, sequences=5), tmp_path / "data"))
    assert (len(whole(replay.folder, "train")[0]), len(whole(replay.folder, "test")[0])) == (5, 2)
    # As version 0.1.0 wrote it; the test's frames depend on Pillow's JPEG encoder.
    expected = "291602a9c9885be8c207eaee45fd89f99c80a6572152d1e9b5238d3b67bb4942"
    assert PIL.__version__ != "13.0.0" or replay.manifest.checksums == (expected,)


def test_files_are_found_in_capitals_and_below_other_folders(source, tmp_path):
    expected = import_videos(ImportConfig(DmlMazes(source, length=3), tmp_path / "published"))
    (source / "GQN" / "mazes").mkdir(parents=True)
    for split in ("train", "test"):
        for path in (source / split).iterdir():
            path.rename(path.with_name(path.name.upper()))
        (source / split).rename(source / "GQN" / "mazes" / split.capitalize())
    replay = import_videos(ImportConfig(DmlMazes(source, length=3), tmp_path / "odd"))
    assert replay.manifest.checksums == expected.manifest.checksums
    assert whole(replay.folder, "test")[0][0] == "GQN/mazes/Test/001-OF-120.TFRECORD#1 1"


def test_a_split_without_files_is_named_whatever_else_is_there(source, tmp_path, capsys):
    (source / "test" / "001-of-120.tfrecord").rename(source / "001-of-120.tfrecord")
    assert cli.main(["import", "dml-mazes", "--source", str(source), "--out", str(tmp_path / "data")]) == 2
    (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    assert f"{source / 'test'} has no .tfrecord file" in line
    assert PAGE in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("packed", [True, False])
def test_floats_are_read_packed_or_not(packed):
    frames, cameras = walk(1, frames=2)
    read = parse_example(example(frames, cameras, packed))
    assert read.bytes_lists == {"frames": frames}
    np.testing.assert_array_equal(read.float_lists["cameras"], cameras.ravel())


def test_checksums_are_crc_32c_masked():
    """RFC 3720, B.4: thirty-two bytes of zeros have the CRC-32C 8a9136aa; rotated right by 15 and added to the mask."""
    assert masked_crc(bytes(32)) == (((0x8A9136AA >> 15) | (0x8A9136AA << 17)) + 0xA282EAD8) % 2**32


# ------------------------------------------------------------------------ what is wrong with records


def flip(place: int) -> Callable[[Path], None]:
    """Change one bit of a file."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[place] ^= 4
        path.write_bytes(data)

    return change


def starts() -> list[int]:
    """Where the records of the first file begin, and where the last one ends."""
    lengths = [len(example(*walk(number))) + 16 for number in range(3)]
    return [0, *np.cumsum(lengths).tolist()]


def cut(at: int) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(path.read_bytes()[:at])


def second(message: bytes) -> Callable[[Path], None]:
    """Another second record, with right checksums."""
    return lambda path: write(path, example(*walk(0)), message, example(*walk(2)))


def large(path: Path) -> None:
    frames, cameras = walk(1)
    second(example([*frames[:3], picture(9, size=(64, 64)), *frames[4:]], cameras))(path)


def grey(path: Path) -> None:
    frames, cameras = walk(1)
    second(example([picture(9, mode="L"), *frames[1:]], cameras))(path)


WRONG: dict[str, tuple[Callable[[Path], Any], str, list[int]]] = {
    "data": (flip(starts()[1] + 500), "record 2, has data with a wrong checksum", [1, 3]),
    "checksum of data": (flip(starts()[2] - 1), "record 2, has data with a wrong checksum", [1, 3]),
    "length": (flip(starts()[1] + 1), "record 2, has a length with a wrong checksum: nothing after it", [1]),
    "checksum of length": (flip(starts()[1] + 9), "record 2, has a length with a wrong checksum", [1]),
    "cut in data": (cut(starts()[2] - 100), "record 2, is cut off", [1]),
    "cut in length": (cut(starts()[1] + 5), "record 2, is cut off", [1]),
    "cut in checksum": (cut(starts()[3] - 1), "record 3, is cut off", [1, 2]),
    "size": (large, "record 2, has frame 4 of 64 x 64 pixels, RGB, not 84 x 84, RGB", [1, 3]),
    "grey": (grey, "record 2, has frame 1 of 84 x 84 pixels, L, not 84 x 84, RGB", [1, 3]),
    "no picture": (
        second(example([b"GIF"] * 3, np.zeros(15))),
        "record 2, has frame 1 that is not a JPEG picture",
        [1, 3],
    ),
    "cameras": (second(example(walk(1)[0], np.zeros(30))), "record 2, has 7 frames but 30 numbers of cameras", [1, 3]),
    "names": (
        second(example(*walk(1), names=("video", "poses"))),
        "record 2, must have frames (bytes) and cameras (floats), has video, poses",
        [1, 3],
    ),
    "no example": (
        second(b"\xff" * 50),
        "record 2, is not a tf.train.Example (not a message",
        [1, 3],
    ),
}


@pytest.mark.parametrize(("spoil", "message", "left"), WRONG.values(), ids=WRONG)
def test_a_wrong_record_is_one_line_and_the_others_are_read(source, tmp_path, capsys, spoil, message, left):
    spoil(source / FIRST)
    arguments = ["import", "dml-mazes", "--source", str(source), "--out", str(tmp_path / "data"), "--length", "7"]
    assert cli.main(arguments) == 0
    output = capsys.readouterr()
    (line,) = [row for row in output.err.splitlines() if row.startswith("jumpy:")]
    assert line.startswith(f"jumpy: skipped: {source / FIRST}, {message}")
    names, reds, _ = whole(tmp_path / "data", "train")
    assert names == [*(f"{FIRST}#{number} 1" for number in left), "train/0002-of-1080.tfrecord#1 1"]
    np.testing.assert_allclose(reds[:, 0], [20 * (number - 1) for number in left] + [60], atol=1)


def test_every_altered_byte_of_a_small_file_is_found(tmp_path):
    path = tmp_path / "small.tfrecord"
    write(path, b"first", b"second")
    data = path.read_bytes()
    assert [record.data for record in records(path)] == [b"first", b"second"]
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert any(record.wrong for record in records(path)), place


@pytest.mark.parametrize("length", range(1, 40))
def test_no_cut_off_example_is_read_past_its_end(length):
    """Whatever is left of a message, it is rejected or its lists are the beginnings of the whole ones."""
    whole = example([b"abc", b"defgh"], np.arange(2.0))
    try:
        read = parse_example(whole[:length])
    except ValueError:
        return
    assert not read.bytes_lists
    assert not read.float_lists


# ------------------------------------------------------------------------ invalid input


def test_a_file_that_changes_while_it_is_read_is_reported(source, tmp_path, monkeypatch):
    reader = DmlMazes(source, length=7)
    clips = reader.scan(source / FIRST).clips
    flip(starts()[1] + 500)(source / FIRST)
    with pytest.raises(ValueError, match=r"0001-of-1080.tfrecord.*changed"):
        reader.read(clips)


REFUSED: list[tuple[str, tuple[str, ...]]] = [
    ("--length 8", ("no sequence of 8 frames", "3 files", "too short 6", "--length")),
    ("--sequences 0", ("--sequences", "got 0")),
    ("--length 1", ("--length", "got 1")),
]


@pytest.mark.parametrize(("options", "messages"), REFUSED)
def test_bad_options_are_one_line_status_2_and_nothing_written(source, tmp_path, capsys, options, messages):
    assert refused(source, tmp_path / "data", capsys, options, messages)


def test_without_checksums_the_extra_is_named_once(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    assert refused(source, tmp_path / "data", capsys, "", ("google_crc32c", "pip install 'jumpy-imagination[import]'"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_without_files_the_page_and_the_layout_are_named(source, tmp_path, capsys, split):
    for path in (source / split).iterdir():
        path.unlink()
    layout = f"{source}/train/0001-of-1080.tfrecord and {source}/test/001-of-120.tfrecord"
    messages = (f"mazes/{split} has no .tfrecord file", PAGE, layout)
    assert refused(source, tmp_path / "data", capsys, "", messages)


def refused(source: Path, out: Path, capsys: Any, options: str, messages: tuple[str, ...]) -> bool:
    assert cli.main(["import", "dml-mazes", "--source", str(source), "--out", str(out), *options.split()]) == 2
    (output,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("jumpy: error: ")]
    return all(message in output for message in messages) and not out.exists()
