"""`jumpy train`: train any world model on a data set, bit-exactly resumable."""

from contextlib import nullcontext

from agent.data.replay import Replay
from agent.system.atomic_files import locked
from agent.system.device import choose_device
from agent.system.memory import limited_memory
from agent.system.signals import stop_on_signal
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT
from agent.training.tensorboard import open_curves
from agent.training.trainer import Trainer


def train(config: TrainConfig) -> None:
    """Train, evaluate, log and save until the last step, a signal or a non-finite number.

    Raises:
        ValueError: the data set, the run folder or an option is unsuitable; nothing is changed.
        FloatingPointError: a loss term or the gradient is not finite; the last checkpoint is kept.
        Interrupted: a signal came; the run is saved. A second Ctrl-C ends it at once, without.
    """
    if config.resume and not (config.out / CHECKPOINT).exists():
        raise ValueError(f"{config.out} holds no run that --resume could continue: give its --out, or omit --resume")
    device = choose_device(config.device)
    replay = Replay.open(config.data)
    trainer = Trainer(config, replay, device)
    with locked(config.out):
        trainer.restore()
        limit = limited_memory() if device.type == "cpu" else nullcontext()
        with limit, stop_on_signal() as stop, open_curves(config.out, trainer.step + 1) as writer:
            trainer.fit(writer, stop)
