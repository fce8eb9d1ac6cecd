"""`jumpy train`: train any world model on a data set, bit-exactly resumable."""

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
        ValueError: the data set, the run folder or an option is unsuitable; nothing is changed.
        FloatingPointError: a loss term or the gradient is not finite; the last checkpoint is kept.
    """
    device = choose_device(config.device)
    replay = Replay.open(config.data)
    trainer = Trainer(config, replay, device)
    trainer.restore()
    after = trainer.step + 1  # drops the curves of steps that a killed run took after its last checkpoint
    limit = limited_memory() if device.type == "cpu" else nullcontext()
    with limit, stop_on_signal() as stop, SummaryWriter(config.out / TENSORBOARD, purge_step=after) as writer:
        trainer.fit(writer, stop)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event within the block (main thread only)."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
