import re
from pathlib import Path
from typing import Any

import torch

from agent.data.collect import CollectConfig, collect
from agent.training.config import TrainConfig
from agent.training.trainer import Trainer

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    agent, maze = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(maze, names)
    assert names["frame"].shape == (32, 32, 3)
    assert names["many"].reset(seed=0)[0]["observation"].shape == (64, 32, 32, 3)

    replay = collect(CollectConfig(Path("data"), steps=1000))
    trainer = Trainer(TrainConfig(Path("data"), Path("runs/demo/hrssm")), replay, torch.device("cpu"))
    trainer.restore()
    trainer.save()  # the example needs a run, not a good one
    capsys.readouterr()
    exec(agent.replace("100_100", "100_002").replace("depth=5", "depth=1"), {})
    reward, success = map(float, capsys.readouterr().out.split())
    assert 0 <= reward < 100
    assert success in (0, 0.5, 1)
