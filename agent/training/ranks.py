"""The processes that share a training: `torchrun --nproc-per-node N $(which jumpy) train …` starts N ranks.

Every rank has the same weights, takes its rows of each batch (`world_models.blocks.global_batch`) and steps with the
mean gradient, which DistributedDataParallel forms: gloo on CPUs, NCCL on GPUs. Rank 0 writes. Without torchrun there is
one rank, and nothing here does anything.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from agent.system.torchrun import end_quietly, several_ranks
from world_models.blocks.global_batch import ALONE, Share, divided
from world_models.interface import Losses

PATIENCE = timedelta(hours=1)  # of ranks that wait while rank 0 writes or one reads data


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train one model."""

    share: Share = ALONE
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    places: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    """host and process id of each rank"""

    @property
    def number(self) -> int:
        """How many there are."""
        return self.share.ranks

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes."""
        return self.share.rank == 0

    def rows(self, total: int, option: str) -> slice:
        """Which of a batch's rows are this rank's.

        Raises:
            ValueError: the ranks cannot have as many each.
        """
        if total % self.number:
            raise ValueError(
                f"{option} must be a multiple of the {self.number} ranks, got {total}: change it, or --nproc-per-node"
            )
        each = total // self.number
        return slice(self.share.rank * each, (self.share.rank + 1) * each)

    def divided(self) -> AbstractContextManager[None]:
        """Within the block, a model's batches are this rank's rows of larger ones."""
        return nullcontext() if self.number == 1 else divided(self.share)

    def parallel(self, model: nn.Module) -> nn.Module:
        """What a total loss is passed through before `backward`, which then leaves the mean gradient in the model."""
        if self.number == 1:
            return nn.Identity()
        return DistributedDataParallel(
            _Total(model), broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )

    def any(self, here: bool) -> bool:
        """Whether something holds on one of the ranks."""
        if self.number == 1:
            return here
        flag = torch.tensor([float(here)], device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def averaged(self, losses: Losses) -> Losses:
        """Losses of the whole batch, without gradients, from those of each rank's rows."""
        if self.number == 1:
            return losses
        named = {**losses.terms, **losses.metrics}
        values = torch.stack([value.detach().to(self.device).float() for value in named.values()])
        distributed.all_reduce(values)
        means = dict(zip(named, values / self.number, strict=True))
        terms, metrics = ({name: means[name] for name in part} for part in (losses.terms, losses.metrics))
        return Losses(terms, losses.weights, metrics)

    def gathered(self, here: Any) -> list[Any]:
        """What each rank has, in their order."""
        if self.number == 1:
            return [here]
        found: list[Any] = [None] * self.number
        distributed.all_gather_object(found, here)
        return found

    @contextmanager
    def one_line(self) -> Iterator[None]:
        """Let what is wrong on one rank end all of them: rank 0 raises it, the others end without a word.

        Within the block no rank waits for another.

        Raises:
            ValueError: what was wrong, with the rank and its machine if it was not rank 0's own.
        """
        try:
            yield
            wrong = None
        except (ValueError, OSError) as error:
            if self.number == 1:
                raise
            wrong = error
        if self.number == 1:
            return
        texts = self.gathered(None if wrong is None else " ".join(str(wrong).split()))
        at = next((rank for rank, text in enumerate(texts) if text is not None), None)
        if at is None:
            return
        if not self.first:
            raise end_quietly(2)
        if wrong is not None:
            raise wrong
        raise ValueError(f"rank {at} on {self.places[at][0]}: {texts[at]}")

    @contextmanager
    def whole(self, kept: Path) -> Iterator[None]:
        """Say in one line which rank ended, when the work within the block fails because one did.

        Raises:
            ValueError: a rank ended; its name and what is kept.
        """
        try:
            yield
        except RuntimeError as error:
            if self.number == 1 or not _lost_connection(error):
                raise
            ended = self._ended()
            if self.share.rank != (1 if ended == 0 else 0):  # one of those that are left says it
                raise end_quietly(2) from None
            who = f"rank {ended} on {self.places[ended][0]}" if ended is not None else "a rank on another machine"
            kept_there = f"the last checkpoint in {kept} is whole, continue with --resume"
            raise ValueError(f"{who}, one of {self.number}, ended: {kept_there}") from None
        except (FloatingPointError, KeyboardInterrupt) as error:
            if self.first:
                raise
            raise end_quietly(1 if isinstance(error, FloatingPointError) else 130) from None

    def _ended(self) -> int | None:
        """The first rank on this machine that no longer runs; they are given a second to end."""
        until = time.monotonic() + 1
        while time.monotonic() < until:
            for rank, (host, pid) in enumerate(self.places):
                if host == socket.gethostname() and not _runs(pid):
                    return rank
            time.sleep(0.02)
        return None


class _Total(nn.Module):
    """Holds a model whose total loss was computed outside: passing it shows DistributedDataParallel its graph."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, total: Tensor) -> Tensor:
        """Return the total."""
        return total


@contextmanager
def started_ranks(device: torch.device) -> Iterator[Ranks]:
    """The ranks that torchrun started, connected within the block; one rank without torchrun."""
    if not several_ranks():
        yield Ranks(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        share = Share(distributed.get_rank(), distributed.get_world_size(), distributed.new_group(timeout=PATIENCE))
        alone = Ranks(share, device)
        yield Ranks(share, device, tuple(alone.gathered((socket.gethostname(), os.getpid()))))
    finally:
        distributed.destroy_process_group()


def _lost_connection(error: Exception) -> bool:
    """Whether a collective failed because another process is gone."""
    text = str(error).lower()
    words = ("connection closed", "connection reset", "connection refused", "broken pipe", "gloo", "nccl", "socket")
    return isinstance(error, distributed.DistError) or any(word in text for word in words)


def _runs(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended and waits for its parent does not."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return stat.read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
