"""Result files that several commands may write."""

from pathlib import Path
from threading import Thread

from experiments.common.json_files import read_json, write_shared_json
from tests.support.holder import held


def test_a_shared_file_waits_for_the_process_that_writes_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "speed_env.json"
    writer = Thread(target=write_shared_json, args=(path, {"steps": 3}))
    with held(tmp_path):
        writer.start()
        writer.join(0.3)
        assert not path.exists()
    writer.join(30)
    assert read_json(path, "", steps=int)["steps"] == 3
