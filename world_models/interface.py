"""The contract of a world model, split by capability: training, planning and figures ask for no more than they use.

| capability   | calls                                                               | used by                      |
|--------------|---------------------------------------------------------------------|------------------------------|
| `Trainable`  | `config`, `window_length`, `loss`                                   | `jumpy train`                |
| `Phased`     | `phases`                                                            | `jumpy train`, if defined    |
| `Replayable` | `replayable`                                                        | `jumpy train` on a GPU       |
| `Choosy`     | `channels`                                                          | `jumpy train`, if defined    |
| `Plannable`  | `context`, `observe`, `imagine`, `feature`, `goal_feature`, `legal` | planners, `jumpy benchmark`  |
| `Generative` | `context`, `generation_modes`, `generate`                           | `jumpy predict`, TensorBoard |
| `Decoding`   | `observe`, `decode`                                                 | figures of single beliefs    |
| `Rebuilding` | `context`, `reconstruct`                                            | TensorBoard                  |
| `Segmenting` | `segment`                                                           | boundary scores              |
| `Branching`  | `imagine_from`                                                      | tree search, if implemented  |
| `Colouring`  | `start_at`                                                          | training on videos, likewise |

A model needs the first to be trained and the second to navigate; the others are optional. `shapes` has the axes. A
context is left-padded to T frames, of which the last `length` count; what the padding holds never changes a result.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor, nn

from world_models.shapes import Action, Actions, Between, Frames, Lengths, NewFrames, Planned, Starts

ACTIONS = 3
"""forward, turn left, turn right; a video has 0 actions"""
CROP = (3, 3, 3)
"""a goal in a maze: the crop of the map, rows, columns, RGB"""

StepNumber = int | Int64[Tensor, ""]
"""number of a training step; in a captured step a tensor, whose value changes between replays"""
State = Any
"""a belief: a named tuple of tensors, each with the batch first"""

SizesT = TypeVar("SizesT")
OptionsT = TypeVar("OptionsT")


class Batch(NamedTuple):
    """Windows of episodes as stored, in bytes.

    A video has neither actions nor goals: its `action` is 0 everywhere and read by no network, its masks and crops are
    empty.
    """

    observation: UInt8[Tensor, "b t h w 3"]
    action: Int64[Tensor, "b t"]
    """a_t, taken after seeing x_t"""
    action_mask: Bool[Tensor, "b t actions"]
    achieved_goal: Shaped[Tensor, "b t *goal"]
    """in a maze the crop of the map around the agent, (3, 3, 3); elsewhere pictures in bytes, or vectors"""

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass
class Losses:
    """Named terms, unweighted, in nats: summed over dimensions, averaged over batch and time."""

    terms: dict[str, Tensor]
    weights: dict[str, float | Tensor]
    """weight of each term in `total`; of a captured step a tensor, if it depends on the step's number"""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """what is watched but not minimised; `nelbo` is the negative lower bound"""

    @classmethod
    def bound(cls, terms: dict[str, Tensor], metrics: dict[str, Tensor] | None = None) -> "Losses":
        """The terms of a negative lower bound, each with weight 1; their sum becomes the metric `nelbo`."""
        nelbo = torch.stack(list(terms.values())).sum().detach()
        return cls(terms, dict.fromkeys(terms, 1.0), (metrics or {}) | {"nelbo": nelbo})

    def add(self, name: str, term: Tensor, weight: float) -> None:
        """Add a term."""
        self.terms[name], self.weights[name] = term, weight

    @property
    def total(self) -> Tensor:
        """The one place where weights are applied."""
        return torch.stack([self.weights[name] * term for name, term in self.terms.items()]).sum()


@dataclass(frozen=True)
class ModelConfig(Generic[SizesT, OptionsT]):
    """Everything that defines a model; checkpoints hold it as JSON."""

    sizes: SizesT
    """dataclass: what `--preset` chooses"""
    options: OptionsT
    """dataclass: what `--variant` and `--options` choose"""
    frame_size: int = 32
    """height and width of a frame, in pixels"""
    actions: int = ACTIONS
    """0 for videos, which have neither actions nor goals"""
    goal: tuple[int, ...] = CROP
    """shape of a stored goal: (height, width, 3) of a picture, (length,) of a vector"""


@runtime_checkable
class Network(Protocol):
    """What training and planning use of `torch.nn.Module`."""

    training: bool

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """All parameters."""

    def train(self, mode: bool = True) -> "Network":
        """Switch to training (or evaluation) mode."""

    def eval(self) -> "Network":
        """Switch to evaluation mode."""


@runtime_checkable
class Trainable(Network, Protocol):
    """Learns from windows of episodes."""

    config: ModelConfig

    @property
    def window_length(self) -> int:
        """Frames of a training window."""

    def loss(self, batch: Batch, step: int) -> Losses:
        """Training terms of a batch whose windows are `window_length` frames long."""


@runtime_checkable
class Phased(Trainable, Protocol):
    """Takes several steps of its optimiser on every batch; others take one, on their `loss`."""

    def phases(self, batch: Batch, step: int) -> Iterator[Losses]:
        """The losses of the steps, in turn: each is computed after the step on the one before it was taken.

        A parameter without a gradient in one of them keeps its value, and its moments, there. What is logged are the
        last losses, whose metrics may hold the others.
        """


@runtime_checkable
class Replayable(Trainable, Protocol):
    """Takes the same step for any batch of one shape: the same kernels on tensors of the same shapes.

    No shape depends on values, and nothing waits for a value. `loss` gets the number of the step as a tensor.
    """

    @property
    def replayable(self) -> bool:
        """Whether it does, with its options."""

    def loss(self, batch: Batch, step: StepNumber) -> Losses:
        """See `Trainable.loss`."""


@runtime_checkable
class Choosy(Protocol):
    """Reads either grey frames or coloured ones."""

    channels: int
    """1: frames whose three channels are equal; 3: all"""


@runtime_checkable
class Plannable(Network, Protocol):
    """Imagines by actions, and compares beliefs with goals."""

    @property
    def context(self) -> int:
        """Frames that the model is shown before it imagines; fewer at the start of an episode."""

    def observe(self, x: Frames, a: Between, length: Lengths) -> State:
        """Belief after a context and the actions between its frames."""

    def imagine(self, state: State, action: Action) -> State:
        """One transition of the model's own time scale, by an action or by probabilities of actions."""

    def feature(self, state: State) -> Float[Tensor, "b d"]:
        """What goals are compared with, by cosine."""

    def goal_feature(self, goal: Float[Tensor, "b *goal"]) -> Float[Tensor, "b d"]:
        """A goal in the same space, as `images.goal_to_float` returns it."""

    def legal(self, state: State) -> Bool[Tensor, "b actions"]:
        """Actions expected to be legal next; all of them if the model does not predict that."""


@runtime_checkable
class Generative(Network, Protocol):
    """Samples futures, frame by frame."""

    generation_modes: tuple[str, ...]
    """what `mode` may be; "full", every frame, is the first"""

    @property
    def context(self) -> int:
        """As in `Plannable`."""

    def generate(
        self, x: Frames, a: Between, length: Lengths, actions: Planned, mode: str = "full"
    ) -> tuple[NewFrames, Starts | None]:
        """Sample a future of a context: its frames, and where subsequences start (None: the model has no boundaries).

        Args:
            x: context, as for `observe`.
            a: actions between its frames.
            length: how many of its frames count.
            actions: one per transition of the model; for a video any numbers, one per frame.
            mode: one of `generation_modes`.
        """


@runtime_checkable
class Decoding(Network, Protocol):
    """Decodes single beliefs."""

    def observe(self, x: Frames, a: Between, length: Lengths) -> State:
        """As in `Plannable`."""

    def decode(self, state: State) -> Float[Tensor, "b 3 h w"]:
        """The frame of a belief."""


@runtime_checkable
class Rebuilding(Network, Protocol):
    """Reconstructs what it was shown."""

    @property
    def context(self) -> int:
        """As in `Plannable`."""

    def reconstruct(self, x: Frames, a: Actions) -> tuple[NewFrames, Starts | None]:
        """Rebuild N frames after the context of a training window; starts of subsequences as in `Generative`."""


@runtime_checkable
class Segmenting(Network, Protocol):
    """Finds where subsequences end."""

    def segment(self, x: Frames, a: Actions) -> Float[Tensor, "b t"]:
        """Probability that a subsequence ends at each frame."""


@runtime_checkable
class Branching(Protocol):
    """Shares work between several actions from one belief."""

    def imagine_from(self, state: State, parent: Action, action: Action) -> State:
        """What `imagine` returns for the rows `parent` of a belief."""


@runtime_checkable
class Colouring(Protocol):
    """Can start its decoder at a colour, so that a nearly plain background does not saturate it at once."""

    def start_at(self, colour: Float[Tensor, " 3"]) -> None:
        """Let the untrained decoder decode about this colour, channels in [-1, 1]."""
