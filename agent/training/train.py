"""`jumpy train`: train any world model on a data set, bit-exactly resumable, on one process or on several ranks."""

from contextlib import ExitStack

from agent.data.replay import Replay
from agent.system.atomic_files import locked
from agent.system.device import choose_device
from agent.system.memory import limited_memory
from agent.system.signals import stop_on_signal
from agent.training.config import TrainConfig
from agent.training.ranks import started_ranks
from agent.training.runs import CHECKPOINT
from agent.training.tensorboard import open_curves
from agent.training.trainer import Trainer


def train(config: TrainConfig) -> None:
    """Train, evaluate, log and save until the last step, a signal or a non-finite number.

    Raises:
        ValueError: the data set, the run folder or an option is unsuitable, and nothing is changed; or a rank ended.
        FloatingPointError: a loss term or the gradient is not finite; the last checkpoint is kept.
        Interrupted: a signal came; the run is saved. A second Ctrl-C ends it at once, without.
    """
    with started_ranks(choose_device(config.device)) as ranks, ExitStack() as held:
        with ranks.one_line():
            if config.resume and not (config.out / CHECKPOINT).exists():
                found = f"{config.out} holds no run that --resume could continue"
                raise ValueError(f"{found}: give its --out, or omit --resume")
            trainer = Trainer(config, Replay.open(config.data), ranks.device, ranks)
            if ranks.first:
                held.enter_context(locked(config.out))
            trainer.restore()
        if ranks.device.type == "cpu":
            held.enter_context(limited_memory())
        held.enter_context(ranks.whole(config.out))
        stop = held.enter_context(stop_on_signal())
        trainer.connect()
        writer = held.enter_context(open_curves(config.out, trainer.step + 1)) if ranks.first else None
        trainer.fit(writer, stop)
