import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from agent.training.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "step": torch.tensor(7),
    "flags": torch.tensor([True, False]),
    "none": torch.empty(0, 3),
}
META = {"config": {"model": "rssm", "sizes": [1, 2], "rate": 5e-4}, "step": 7, "note": "§"}


def test_reads_back_what_was_written(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, TENSORS, META)
    tensors, meta = read_checkpoint(path)
    assert meta == META
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert os.listdir(tmp_path) == [path.name]  # no temporary file stays


def test_keeps_views_parameters_and_replaces_an_old_file(tmp_path):
    path = tmp_path / "c"
    write_checkpoint(path, TENSORS, META)
    transposed = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)).T
    write_checkpoint(path, {"transposed": transposed}, {})
    tensors, meta = read_checkpoint(path)
    assert tensors["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert meta == {}


def test_same_content_same_bytes(tmp_path):
    for name, tensors in (("a", TENSORS), ("b", dict(reversed(TENSORS.items())))):
        write_checkpoint(tmp_path / name, tensors, META)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def alter_a_tensor(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def alter_the_meta_data(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b"rssm") == 1
    path.write_bytes(content.replace(b"rssm", b"rsSm"))


def alter_every_quote_of_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'\\"', b"\\'"))


def rename_a_tensor(path: Path) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length].replace(b'"half"', b'"Half"')
    path.write_bytes(content[:8] + header + content[8 + length :])


def another_kind_of_safetensors(path: Path) -> None:
    save_file(TENSORS, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "is damaged"),
        (empty, "is damaged"),
        (alter_a_tensor, "was altered.*SHA-256"),
        (alter_the_meta_data, "was altered.*SHA-256"),
        (alter_every_quote_of_the_header, "is damaged"),
        (rename_a_tensor, "was altered.*SHA-256"),
        (another_kind_of_safetensors, "format 1, got None.*'jumpy train'"),
        (Path.unlink, "no checkpoint .*'jumpy train'"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, damage, message):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, TENSORS, META)
    damage(path)
    with pytest.raises(ValueError, match=message) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, TENSORS, META)

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_checkpoint(path, {}, {})
    assert read_checkpoint(path)[1] == META
