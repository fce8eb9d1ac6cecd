"""Children of a process that is killed."""

import os
import time
from pathlib import Path

import pytest

from agent.system import children
from tests.support.processes import Marked, linux

PARENT = """
import subprocess
from agent.system import children
command = children.python("import time; time.sleep(60)")
command[3] = command[3].replace("import sys", "import sys; sys.platform = {platform!r}", 1)
subprocess.Popen(command).wait()
"""


@linux
@pytest.mark.parametrize("platform", ["linux", "another"])
@pytest.mark.parametrize("seconds", [0, 0.3])
def test_child_ends_with_its_parent(tmp_path: Path, platform: str, seconds: float) -> None:
    parent = Marked("-c", PARENT.format(platform=platform), folder=tmp_path)
    parent.wait_for(lambda: len(parent.family()) == 2)
    time.sleep(seconds)
    parent.end()
    assert parent.left() == []


@linux
def test_child_whose_parent_ended_before_it_looked_ends(tmp_path: Path) -> None:
    command = children.python("print('went on')")
    command[3] = command[3].replace(str(os.getpid()), "1")
    late = Marked(*command[1:], folder=tmp_path)
    assert late.process.wait(60) == 1
    assert late.log.read_text() == ""
