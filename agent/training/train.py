"""`jumpy train`: train any world model on a data set, resumable to the bit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch.utils.tensorboard import SummaryWriter

from agent.data.replay import Replay
from agent.system.device import choose_device
from agent.system.memory import limited_memory
from agent.training.config import TrainConfig
from agent.training.runs import TENSORBOARD
from agent.training.trainer import Trainer


def train(config: TrainConfig) -> None:
    """Train, evaluate, log and save until the last step, a signal or a non-finite number.

    Raises:
        ValueError: the data set, the run folder or an option does not fit; nothing is changed then.
        FloatingPointError: a loss term or the gradient is not finite; the last checkpoint stays as it was.
    """
    device = choose_device(config.device)
    replay = Replay.open(config.data)
    trainer = Trainer(config, replay, device)
    trainer.restore()
    after = trainer.step + 1  # curves of steps that a killed run took after its last checkpoint do not count
    limit = limited_memory() if device.type == "cpu" else nullcontext()
    with limit, stop_on_signal() as stop, SummaryWriter(config.out / TENSORBOARD, purge_step=after) as writer:
        trainer.fit(writer, stop)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event for the time of the block (main thread only)."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
