"""What torchrun tells the processes that it starts, and how one of them ends without a word."""

import os
import time

STARTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
SECONDS = 1.0
"""that the others have to say why all end: torchrun ends them as soon as one has ended"""


def several_ranks() -> bool:
    """Whether torchrun started this process and others."""
    return all(name in os.environ for name in STARTED) and os.environ["WORLD_SIZE"] != "1"


def speaks() -> bool:
    """Whether this process says what is wrong for all: it is alone, or rank 0."""
    return not several_ranks() or os.environ["RANK"] == "0"


def end_quietly(status: int) -> SystemExit:
    """What ends this process, to be raised once another rank had time to say why."""
    time.sleep(SECONDS)
    return SystemExit(status)
